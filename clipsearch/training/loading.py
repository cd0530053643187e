"""Loads the model a training run starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from clipsearch.config import data_dir, typed_path
from clipsearch.errors import ModelError
from clipsearch.models.presets import MINI, resolve_preset
from clipsearch.models.specs import MANIFEST_NAME, is_compiled, known_architectures, parse_spec
from clipsearch.training.settings import Parts, TrainSettings
from clipsearch.training.trainee import Trainee


def load_trainee(settings: TrainSettings, device: torch.device) -> Trainee:
    """Load the initial model on its device, with the trained parts unlocked.

    Raises:
        ModelError: the model is unknown, unavailable, or cannot be trained with these settings.
    """
    if settings.init == "random":
        return _from_scratch(settings, device)
    name = resolve_preset(settings.model)
    directory = _compiled_directory(name)
    if directory is not None:
        from clipsearch.training.compiled_trainee import CompiledTrainee

        return CompiledTrainee(directory, settings.parts).to(device)
    from clipsearch.training.openclip_trainee import OpenClipTrainee

    return OpenClipTrainee(name, settings.parts, device=device)


def _compiled_directory(name: str) -> Path | None:
    if name == MINI:
        return data_dir() / "models" / MINI
    directory = parse_spec(name).directory
    return directory if directory is not None and is_compiled(directory) else None


def _from_scratch(settings: TrainSettings, device: torch.device) -> Trainee:
    architecture = settings.model.strip()
    if architecture == MINI or (typed_path(architecture) / MANIFEST_NAME).is_file():
        raise ModelError(f"{architecture} can only be trained from its weights; --init random needs an architecture")
    if architecture.partition("/")[0] in known_architectures():
        architecture = architecture.partition("/")[0]
    else:
        architecture = parse_spec(resolve_preset(architecture)).open_clip_name
    from clipsearch.training.openclip_trainee import OpenClipTrainee, write_random_model

    initial = settings.work / "initial"
    if not initial.is_dir():
        write_random_model(architecture, initial, seed=settings.seed)
    trainee = OpenClipTrainee(f"local-dir:{initial}", Parts("all"), device=device)
    trainee.spec = settings.model
    trainee.learns_statistics = True
    return trainee
