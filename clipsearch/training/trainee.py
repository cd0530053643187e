"""The interface of models in training."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.media.transform import ImageTransform
from clipsearch.training.losses import cosine_logits

MAX_LOGIT_SCALE = 100.0
"""Maximum inverse temperature. Source: Radford et al. 2021, §2.5."""


class ContrastiveModel(nn.Module):
    """What the training loop trains: embeddings of images (or videos) and texts, and their logits.

    Attributes:
        log_scale: logarithm of the inverse temperature, a parameter.
    """

    log_scale: nn.Parameter

    @abstractmethod
    def embed_images(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, dim], not normalized."""

    @abstractmethod
    def embed_texts(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Embeddings [n, dim], not normalized."""

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Scaled similarities [n, m] of embeddings [n, dim] and [m, dim]."""
        return cosine_logits(images, texts, self.logit_scale())

    def forward(self, images: Tensor, texts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Embeddings of images and texts."""
        return self.embed_images(images), self.embed_texts(texts)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.log_scale.device

    def logit_scale(self) -> Tensor:
        """The inverse temperature, exponentiated and clamped, a scalar."""
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Clamp the temperature after a step, as CLIP does."""
        self.log_scale.clamp_(0, math.log(MAX_LOGIT_SCALE))

    def trained(self) -> dict[str, Tensor]:
        """The trained tensors by name: parameters and, with `learns_statistics`, running statistics."""
        tensors: dict[str, Tensor] = {
            name: parameter.data for name, parameter in self.named_parameters() if parameter.requires_grad
        }
        for prefix, module in self.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and self.learns_statistics:
                tensors.update({f"{prefix}.{name}": buffer for name, buffer in module.named_buffers(recurse=False)})
        return tensors

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Restore the tensors of `trained`, from any device."""
        for name, tensor in self.trained().items():
            tensor.copy_(weights[name])

    learns_statistics = False
    """Whether running statistics of batch normalizations are updated; only in training from scratch."""

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; the running statistics of a pretrained model stay fixed."""
        super().train(mode)
        if not self.learns_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


class Trainee(ContrastiveModel):
    """An image and a text tower in training.

    Attributes:
        spec: spec of the initial model.
        fingerprint: identity of the initial weights.
        transform: the image transform.
        frozen: whether only heads are trained, so that their input features are computed once.
    """

    spec: str
    fingerprint: str
    transform: ImageTransform
    frozen: bool

    @abstractmethod
    def image_inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Inputs of `embed_images` for pixels, uint8 [n, height, width, 3]; a row per image, on the CPU."""

    @abstractmethod
    def text_inputs(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Inputs of `embed_texts`; a row per text, on the CPU."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the model to an existing directory, for `clipsearch.models.loading`."""
