"""Training of the bundled model and models fine-tuned from it: the weights of compiled towers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageTransform
from clipsearch.models.manifest import file_digests, read_manifest
from clipsearch.models.onnx.encoder import token_inputs
from clipsearch.models.onnx.sessions import DATA_SUFFIX
from clipsearch.models.onnx.text_cleaning import clean_text
from clipsearch.models.onnx.text_tokens import TextTokenizer
from clipsearch.training.onnx_tower import OnnxTower
from clipsearch.training.settings import Parts
from clipsearch.training.trainee import Trainee

HEAD_DROPOUT = 0.6
"""Dropout of mini's image head, as in its training; without it a few hundred images are memorized."""


class CompiledTrainee(Trainee):
    """A model directory like `data/models/mini`.

    If only the heads are trained, their input features are computed once, by ONNX Runtime.
    """

    def __init__(self, directory: Path, parts: Parts) -> None:
        """Read both towers.

        Raises:
            ModelError: the directory is not such a model, or was compiled from another one.
        """
        super().__init__()
        self.directory = directory
        self.manifest = read_manifest(directory)
        if self.manifest.parity or any(directory.glob(f"*{DATA_SUFFIX}")):
            raise ModelError(f"{directory} was compiled from {self.manifest.source}; train the source instead")
        self.spec = self.manifest.name
        self.fingerprint = self.manifest.fingerprint
        self.transform = ImageTransform(self.manifest.image)
        self.tokenizers = [TextTokenizer(directory / name) for name in self.manifest.text.tokenizers]
        self.image = OnnxTower(directory / "image.onnx", head_dropout=HEAD_DROPOUT)
        self.text = OnnxTower(directory / "text.onnx")
        self.frozen = parts.kind == "heads"
        for tower in (self.image, self.text):
            tower.rescale()
            tower.unlock(None if parts.kind == "all" else parts.layers)
        self.log_scale = nn.Parameter(torch.tensor(math.log(self.manifest.logit_scale)))
        self.eval()

    def image_inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Features [n, width] if only the heads are trained; otherwise the pixels."""
        return torch.from_numpy(self.image.features({"pixels": pixels}) if self.frozen else pixels)

    def text_inputs(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Features [n, width] if only the heads are trained; otherwise ids and mask [n, tokens] of each tokenizer."""
        inputs = token_inputs(self.tokenizers, [clean_text(text, self.manifest.text.cleaning) for text in texts])
        if self.frozen:
            return (torch.from_numpy(self.text.features(inputs)),)
        return tuple(torch.from_numpy(inputs[name]) for name in self.text.inputs)

    def embed_images(self, inputs: Tensor) -> Tensor:
        """Embed; see `Trainee`."""
        inputs = inputs.to(self.device)
        embeddings: Tensor = self.image.head(inputs) if self.frozen else self.image(inputs)
        return embeddings

    def embed_texts(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Embed; see `Trainee`."""
        moved = [part.to(self.device) for part in inputs]
        embeddings: Tensor = self.text.head(*moved) if self.frozen else self.text(*moved)
        return embeddings

    def save(self, directory: Path) -> None:
        """Write graphs, tokenizer and manifest."""
        self.image.write(directory / "image.onnx")
        self.text.write(directory / "text.onnx")
        for name in self.manifest.text.tokenizers:
            shutil.copyfile(self.directory / name, directory / name)
        replace(
            self.manifest,
            name=f"{self.manifest.name} fine-tuned",
            version=f"{self.manifest.version} fine-tuned",
            logit_scale=float(self.logit_scale().detach()),
            source=f"{self.manifest.name} {self.fingerprint}, fine-tuned by clipsearch train",
            weights_fingerprint="",
            files=file_digests(directory),
            rounding=None,
            compared_on="",
        ).write(directory)
