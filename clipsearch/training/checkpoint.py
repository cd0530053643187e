"""What a run needs to go on exactly where it was interrupted: written beside and renamed, read without unpickling."""

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
"""Settings that may change between an interruption and going on: they decide nothing before the last step."""


@dataclass
class RunState:
    """Where a run is. Order, captions, crops and rates follow from the seed and these numbers, and are not in it.

    Attributes:
        epoch: epochs that are complete.
        step: steps done in the one after.
        loss_sum: of these steps.
        weights: what is trained.
        optimizer: its state.
        scaler: of fp16, else empty.
        best: the weights with the best validation so far.
        best_epoch: after which epoch that was; 0 for before the first.
        history: a record of each epoch, for people and plots.
        done: all epochs are complete, or training has stopped early.
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
    """What has to be the same for a run to go on: settings, pairs, the model and the kind of device; JSON."""
    plain = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    listing = "\n".join(f"{pair.path}\t{pair.captions}" for pair in pairs)
    found = {
        **plain,
        "device": device,
        "weights": fingerprint,
        "pairs": hashlib.sha256(listing.encode()).hexdigest()[:16],
    }
    return json.dumps(found, sort_keys=True, default=str)


def write_state(folder: Path, identity: str, state: RunState) -> None:
    """Write a checkpoint, durable on the disk before it takes the place of the last."""
    with atomic.replacing(folder / STATE, durable=True) as file:
        torch.save({"identity": identity, **vars(state)}, file)


def read_state(folder: Path, identity: str) -> RunState:
    """Read the last checkpoint; a new state if there is none.

    Raises:
        ConfigError: it is damaged or another run's; the message names the settings that differ.
    """
    path = folder / STATE
    if not path.is_file():
        return RunState()
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = json.loads(found.pop("identity"))
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError and others
        raise ConfigError(f"the checkpoint {path} cannot be read; it may be damaged") from error
    now = json.loads(identity)
    different = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if different:
        raise ConfigError(
            f"{folder} is a run with other settings ({', '.join(different)}); repeat those, or name another --output"
        )
    return RunState(**found)


def write_json_file(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    atomic.write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
