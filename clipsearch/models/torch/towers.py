"""The towers of an open_clip model as modules with the inputs and outputs of a compiled model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ImageTower(nn.Module):
    """Pixels uint8 [n, h, w, 3] to embeddings [n, dim], not normalized; includes mean and standard deviation."""

    scale: Tensor
    offset: Tensor

    def __init__(self, model: Any, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.model = model
        deviation = torch.tensor(std, dtype=torch.float32).expand(3).reshape(1, 3, 1, 1)
        center = torch.tensor(mean, dtype=torch.float32).expand(3).reshape(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * deviation), persistent=False)
        self.register_buffer("offset", -center / deviation, persistent=False)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed a batch."""
        images = pixels.permute(0, 3, 1, 2).to(torch.float32) * self.scale + self.offset  # [n, 3, h, w]
        embeddings: Tensor = self.model.encode_image(images)
        return embeddings


class TextTower(nn.Module):
    """Token ids int64 [n, t] to embeddings [n, dim], not normalized."""

    def __init__(self, model: Any, *, separator_id: int | None = None) -> None:
        """Wrap a model.

        Args:
            model: the open_clip model.
            separator_id: a token to be replaced by 0, as open_clip's tokenizer does and a `tokenizer.json` cannot.
        """
        super().__init__()
        self.model = model
        self.separator_id = separator_id
        self.eval()

    def forward(self, input_ids: Tensor) -> Tensor:
        """Embed a batch."""
        if self.separator_id is not None:
            input_ids = torch.where(input_ids == self.separator_id, torch.zeros_like(input_ids), input_ids)
        return self.embed(input_ids)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed a batch without its separators."""
        embeddings: Tensor = self.model.encode_text(input_ids)
        return embeddings
