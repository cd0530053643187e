"""Progress and result of a training run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.training.ensemble import SharePoint
from clipsearch.training.validation import HitRates


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a run.

    Attributes:
        epoch: the current epoch, from 1; 0 during the initial validation.
        epochs: maximum number of epochs.
        step: completed steps of the epoch.
        steps: steps per epoch.
        loss: loss of the last step, or mean loss at the end of an epoch; ``None`` before the first step.
        validation: hit rates at the end of an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    validation: HitRates | None = None


@dataclass(frozen=True)
class TrainingReport:
    """Result of a run.

    Attributes:
        model: spec of the initial model.
        output: directory of the trained model, for `clipsearch models`, `evaluate` and `migrate`.
        parts: the trained parts.
        pictures: number of training images.
        captions: number of training captions.
        held_out: number of validation images.
        retained: number of retention images.
        skipped: number of unreadable images.
        epochs: number of epochs.
        best_epoch: epoch of the chosen weights; 0 if none was better than the initial ones.
        share: share of the trained weights in the result (see `clipsearch.training.ensemble`).
        before: validation of the initial model.
        after: validation of the result.
        retention_before: retention of the initial model.
        retention_after: retention of the result.
        shares: hit rates of each share.
        seconds: wall time since the start or resumption.
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
