"""Checkpoints for exact resumption, replaced atomically and loaded without unpickling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipsearch.errors import ConfigError
from clipsearch.system import atomic
from clipsearch.training.pairs import CaptionedImage
from clipsearch.training.settings import TrainSettings

STATE, PROGRESS, REPORT = "state.pt", "progress.json", "report.json"
_FREE = ("output", "checkpoint_every", "ensemble", "retention_source", "retention_loss")
"""Settings that may change on resumption, because they take effect after the last step."""


@dataclass
class RunState:
    """State of a run. Order, captions, crops and learning rates follow from the seed and the step.

    Attributes:
        epoch: completed epochs.
        step: completed steps of the current epoch.
        loss_sum: sum of the losses of these steps.
        weights: the trained weights.
        optimizer: state of the optimizer.
        scaler: state of the fp16 gradient scaler; otherwise empty.
        best: the weights with the best validation.
        best_epoch: their epoch; 0 for the initial weights.
        history: a record per epoch.
        done: whether all epochs are complete or training stopped early.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False


def run_identity(settings: TrainSettings, pairs: Sequence[CaptionedImage], fingerprint: str, device: str) -> str:
    """JSON of everything that must be unchanged on resumption: settings, pairs, model and kind of device."""
    plain = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    listing = "\n".join(f"{pair.path}\t{pair.captions}" for pair in pairs)
    identity = {
        **plain,
        "device": device,
        "weights": fingerprint,
        "pairs": hashlib.sha256(listing.encode()).hexdigest()[:16],
    }
    return json.dumps(identity, sort_keys=True, default=str)


def write_state(folder: Path, identity: str, state: RunState) -> None:
    """Replace the checkpoint atomically and sync it to the disk."""
    with atomic.replacing(folder / STATE, durable=True) as file:
        torch.save({"identity": identity, **vars(state)}, file)


def read_state(folder: Path, identity: str) -> RunState:
    """Read the checkpoint; a new state if there is none.

    Raises:
        ConfigError: it is damaged or of other settings, which the message names.
    """
    path = folder / STATE
    if not path.is_file():
        return RunState()
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = json.loads(content.pop("identity"))
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError and others
        raise ConfigError(f"cannot read the checkpoint {path}; it may be damaged") from error
    now = json.loads(identity)
    different = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if different:
        raise ConfigError(
            f"the run in {folder} has other settings ({', '.join(different)}); use the same, or choose another --output"
        )
    return RunState(**content)


def write_json_file(path: Path, content: Any) -> None:
    """Replace a JSON file atomically."""
    atomic.write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
