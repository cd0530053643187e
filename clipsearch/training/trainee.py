"""What can be trained: two towers, a temperature, and how the result is written."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageTransform
from clipsearch.models.presets import MINI, resolve_preset
from clipsearch.models.specs import MANIFEST_NAME, is_compiled, known_architectures, parse_spec
from clipsearch.training.settings import Parts, TrainSettings

MAX_LOGIT_SCALE = 100.0
"""Beyond which the inverse temperature never goes. Source: Radford et al. 2021, §2.5."""


class Trainee(nn.Module):
    """A model in training.

    Attributes:
        spec: what it is made from.
        fingerprint: identity of the weights that it starts with.
        transform: how a picture becomes pixels.
        log_scale: logarithm of the inverse temperature, a parameter.
        frozen: what is trained starts from features, which no step changes: they are calculated once.
    """

    spec: str
    fingerprint: str
    transform: ImageTransform
    log_scale: nn.Parameter
    frozen: bool

    @abstractmethod
    def image_inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """What `embed_images` takes of pictures, uint8 [n, height, width, 3]; on the CPU, a row for each."""

    @abstractmethod
    def text_inputs(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """What `embed_texts` takes of texts; on the CPU, a row for each."""

    @abstractmethod
    def embed_images(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, dim], not normalised."""

    @abstractmethod
    def embed_texts(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Embeddings [n, dim], not normalised."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the model into an existing directory, in a form that `clipsearch.models.loading` reads."""

    def forward(self, images: Tensor, texts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Embeddings of both sides."""
        return self.embed_images(images), self.embed_texts(texts)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.log_scale.device

    def logit_scale(self) -> Tensor:
        """The inverse temperature, exponentiated and clamped, a scalar."""
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Bring the temperature itself back into its range after a step, as CLIP does."""
        self.log_scale.clamp_(0, math.log(MAX_LOGIT_SCALE))

    def trained(self) -> dict[str, Tensor]:
        """What training changes, by name: weights, and running statistics of normalisations in training."""
        found: dict[str, Tensor] = {
            name: parameter.data for name, parameter in self.named_parameters() if parameter.requires_grad
        }
        for prefix, module in self.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and self.learns_statistics:
                found.update({f"{prefix}.{name}": buffer for name, buffer in module.named_buffers(recurse=False)})
        return found

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `trained` gave, from wherever it is."""
        for name, own in self.trained().items():
            own.copy_(weights[name])

    learns_statistics = False
    """Whether batch normalisations follow the batches: only where nothing is known of the pictures yet."""

    def train(self, mode: bool = True) -> Trainee:
        """Set training or evaluation; statistics of a pretrained model stay as they are."""
        super().train(mode)
        if not self.learns_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def load_trainee(settings: TrainSettings, device: torch.device) -> Trainee:
    """The model that a run starts from, on its device, its parts unlocked.

    Raises:
        ModelError: it is unknown, not to be had, or cannot be trained as asked.
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
        from clipsearch.config import data_dir

        return data_dir() / "models" / MINI
    directory = parse_spec(name).directory
    return directory if directory is not None and is_compiled(directory) else None


def _from_scratch(settings: TrainSettings, device: torch.device) -> Trainee:
    architecture = settings.model.strip()
    if architecture == MINI or (Path(architecture).expanduser() / MANIFEST_NAME).is_file():
        raise ModelError(f"{architecture} is trained from its own weights only; --init random takes an architecture")
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
