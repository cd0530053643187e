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

from clipsearch.media.transform import ImageTransform

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
