"""Settings of a training run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.errors import ConfigError

Init = Literal["pretrained", "random"]
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_RATES = {"heads": 1e-4, "last": 3e-5, "all": 1e-5}
"""Peak learning rates; lower if more pretrained weights are trained."""

_RANDOM_RATE = 5e-4  # CLIP's for its ViT-B/32 (Radford et al. 2021, table 20)


@dataclass(frozen=True)
class Parts:
    """The trained parts of a model, besides the temperature.

    Attributes:
        kind: ``heads`` (projections of both towers), ``last`` or ``all``.
        layers: with ``last``, number of layers per tower besides the heads.
    """

    kind: Literal["heads", "last", "all"]
    layers: int = 0

    def __str__(self) -> str:
        return f"last:{self.layers}" if self.kind == "last" else self.kind


def parse_parts(text: str) -> Parts:
    """Parse ``heads``, ``last:N`` or ``all``.

    Raises:
        ConfigError: the text is none of these.
    """
    if text in ("heads", "all"):
        return Parts("heads" if text == "heads" else "all")
    match = re.fullmatch(r"last:([1-9]\d*)", text)
    if match is None:
        raise ConfigError(f"--train takes heads, last:N (N from 1) or all, not {text!r}")
    return Parts("last", int(match[1]))


@dataclass(frozen=True)
class PairSource:
    """Location of image-caption pairs.

    Attributes:
        images: image folder.
        pairs: the captions file; ``None`` for sidecar files.
        split: use only the rows of this split of a table.
    """

    images: Path
    pairs: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class TrainSettings:
    """One run.

    Attributes:
        model: spec of the initial model; with `init` ``random``, the name of an architecture.
        source: the training pairs.
        output: directory of the trained model; checkpoints are in its folder `training`.
        parts: the trained parts.
        init: ``pretrained``, or ``random`` to train from scratch.
        epochs: passes over the images, with one caption each per pass.
        batch_size: images in memory at once.
        accumulate: number of batches contrasted with each other in one step.
        lr: peak learning rate; ``None`` for the default of `parts`.
        warmup: share of the warm-up steps, 0–1.
        weight_decay: of AdamW, on weights with at least two dimensions.
        patience: epochs without improvement of the validation before training stops; 0 for no early stopping.
        seed: seed of all random choices.
        precision: one of `PRECISIONS`.
        device: ``auto``, ``cpu``, ``cuda``…
        validation: held-out share of the images, 0–1, without `validation_source`.
        validation_source: separate validation pairs.
        retention_source: pairs of the original domain.
        retention_loss: maximum decrease of the hit rate @10 on the retention pairs, in points.
        ensemble: share of the trained weights in the result, 0–1; ``None`` to choose it.
        checkpoint_every: steps between checkpoints, besides the one at the end of each epoch.
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
        """Validate the settings.

        Raises:
            ConfigError: a number is out of range, or two settings contradict each other.
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
            raise ConfigError("--init random has nothing to retain: remove --retention")

    @property
    def peak_lr(self) -> float:
        """The peak learning rate."""
        if self.lr is not None:
            return self.lr
        return _RANDOM_RATE if self.init == "random" else _RATES[self.parts.kind]

    @property
    def work(self) -> Path:
        """Folder of checkpoints, progress and report."""
        return self.output / "training"
