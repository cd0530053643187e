"""How a model is trained: everything that a run is told, and that a resumed run has to be told again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.errors import ConfigError

Init = Literal["pretrained", "random"]
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_RATES = {"heads": 1e-4, "last": 3e-5, "all": 1e-5}
"""Peak learning rates: the more of a pretrained model is trained, the more there is to spoil."""

_RANDOM_RATE = 5e-4  # CLIP's for its ViT-B/32 (Radford et al. 2021, table 20)


@dataclass(frozen=True)
class Parts:
    """Which parts of a model are trained; the temperature always is.

    Attributes:
        kind: ``heads`` (what brings a tower's features into the common space), ``last`` or ``all``.
        layers: of ``last``, how many layers of each tower besides.
    """

    kind: Literal["heads", "last", "all"]
    layers: int = 0

    def __str__(self) -> str:
        return f"last:{self.layers}" if self.kind == "last" else self.kind


def parse_parts(text: str) -> Parts:
    """Read ``heads``, ``last:N`` or ``all``.

    Raises:
        ConfigError: it is none of them.
    """
    if text in ("heads", "all"):
        return Parts("heads" if text == "heads" else "all")
    found = re.fullmatch(r"last:([1-9]\d*)", text)
    if found is None:
        raise ConfigError(f"--train takes heads, last:N (N from 1) or all, not {text!r}")
    return Parts("last", int(found[1]))


@dataclass(frozen=True)
class PairSource:
    """Where pictures and their captions come from.

    Attributes:
        images: folder of the pictures.
        pairs: the captions file; ``None`` for sidecar files beside the pictures.
        split: of a table, use the rows of this split only.
    """

    images: Path
    pairs: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class TrainSettings:
    """One run.

    Attributes:
        model: spec of the model to start from, or with `init` ``random`` the name of an architecture.
        source: the training pairs.
        output: directory to write the model to; what a run needs to go on is in `training` below it.
        parts: what is trained.
        init: ``pretrained``, or ``random`` to train from scratch.
        epochs: passes over the pictures, one caption of each per pass.
        batch_size: pictures in memory at once.
        accumulate: so many batches are contrasted with each other in one step.
        lr: highest learning rate; ``None`` for one that suits `parts`.
        warmup: share of the steps over which the rate rises, 0–1.
        weight_decay: of AdamW, on weights of two or more dimensions.
        patience: epochs without a better validation after which training stops; 0 for never.
        seed: of the split, the order, the crops and everything else that is drawn.
        precision: one of `PRECISIONS`.
        device: ``auto``, ``cpu``, ``cuda``…
        validation: share of the pictures that is held out, 0–1, where `validation_source` is not given.
        validation_source: held-out pairs of their own.
        retention_source: pairs of what the model could do before and is not to forget.
        retention_loss: how much the hit rate at 10 on these may fall, in points.
        ensemble: share of the trained weights in the result, 0–1; ``None`` to choose it.
        checkpoint_every: steps between two checkpoints; each epoch ends with one as well.
    """

    model: str
    source: PairSource
    output: Path
    parts: Parts = Parts("heads")
    init: Init = "pretrained"
    epochs: int = 10
    batch_size: int = 64
    accumulate: int = 1
    lr: float | None = None
    warmup: float = 0.1
    weight_decay: float = 0.05
    patience: int = 3
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    validation: float = 0.1
    validation_source: PairSource | None = None
    retention_source: PairSource | None = None
    retention_loss: float = 1.0
    ensemble: float | None = None
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigError: a number is out of its range, or two settings contradict each other.
        """
        for name in ("epochs", "batch_size", "accumulate", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        for name in ("warmup", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}")
        if self.lr is not None and self.lr <= 0:
            raise ConfigError(f"the learning rate must be above 0, not {self.lr:g}")
        if self.ensemble is not None and not 0 <= self.ensemble <= 1:
            raise ConfigError(f"the share of the trained weights is from 0 to 1, not {self.ensemble:g}")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"the precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.init == "random" and self.retention_source is not None:
            raise ConfigError("a model that starts at random has nothing to retain: leave out --retention")

    @property
    def peak_lr(self) -> float:
        """The highest learning rate."""
        if self.lr is not None:
            return self.lr
        return _RANDOM_RATE if self.init == "random" else _RATES[self.parts.kind]

    @property
    def work(self) -> Path:
        """Where checkpoints, progress and the report lie."""
        return self.output / "training"
