"""What a run of training tells: while it goes on, and at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.training.ensemble import SharePoint
from clipsearch.training.validation import HitRates


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run is.

    Attributes:
        epoch: the one under way, from 1; 0 while pictures are read and the model is measured as it is.
        epochs: how many there are at most.
        step: steps done in it.
        steps: steps of an epoch.
        loss: of the last step, or at the end of an epoch its mean; ``None`` before the first.
        validation: at the end of an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    validation: HitRates | None = None


@dataclass(frozen=True)
class TrainingReport:
    """What a run came to.

    Attributes:
        model: spec of the model it started from.
        output: directory of the result, which `clipsearch models`, `evaluate` and `migrate` take.
        parts: what was trained.
        pictures: that were trained on.
        captions: of these.
        held_out: pictures that it was validated on.
        retained: pictures that retention was measured on.
        skipped: pictures that could not be read.
        epochs: that were run.
        best_epoch: whose weights were taken; 0 if none was better than the start.
        share: of the trained weights in the result; the rest is the original's.
        before: on the held-out pictures.
        after: likewise.
        retention_before: on the retention pairs.
        retention_after: likewise.
        shares: what each share would have reached.
        seconds: for all of it, since it was started or resumed.
    """

    model: str
    output: Path
    parts: str
    pictures: int
    captions: int
    held_out: int
    retained: int
    skipped: int
    epochs: int
    best_epoch: int
    share: float
    before: HitRates | None
    after: HitRates | None
    retention_before: HitRates | None
    retention_after: HitRates | None
    shares: tuple[SharePoint, ...]
    seconds: float


ProgressCallback = Callable[[TrainingProgress], None]
Notify = Callable[[str], None]
