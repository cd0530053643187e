"""Networks of the temporal heads.

The frames of a video are rows of a float32 tensor [n, frames, dim]: unit embeddings in order of time, then zero rows up
to the length of the longest video of the batch.

Source: Luo et al. 2021, CLIP4Clip: An Empirical Study of CLIP for End to End Video Clip Retrieval (arXiv 2104.08860),
§3.3: sequential type (LSTM, transformer encoder) and tight type. The differences: the model stays frozen, and two
layers replace four, because a head is trained on hundreds or thousands of clips.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.models.video_heads import MAX_FRAMES, HeadType

LAYERS = 2
_DROPOUT = 0.1
_TIGHT_WIDTH = 128
_POSITION_STD = 0.02  # as in CLIP4Clip


class SequentialHead(nn.Module, ABC):
    """Whole-video embeddings: the mean of the frames, each with what a sequence model adds to it.

    The addition is a residual whose last layer starts at zero, so that training starts at mean pooling.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.add = nn.Linear(dim, dim)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)

    @abstractmethod
    def sequence(self, frames: Tensor, is_frame: Tensor) -> Tensor:
        """The sequence model; [n, frames, dim] to the same, with `is_frame` bool [n, frames]."""

    def forward(self, frames: Tensor) -> Tensor:
        """Unit embeddings [n, dim] of frames [n, frames, dim]."""
        is_frame = _is_frame(frames)
        scaled = frames * frames.shape[-1] ** 0.5  # unit variance
        enriched = frames + self.add(self.sequence(scaled, is_frame))
        return F.normalize((enriched * is_frame[..., None]).sum(dim=1), dim=-1)


class LstmHead(SequentialHead):
    """A one-layer LSTM over the frames. Source: CLIP4Clip §3.3, sequential type; Hochreiter & Schmidhuber 1997."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def sequence(self, frames: Tensor, is_frame: Tensor) -> Tensor:
        """The hidden states; the padding comes last and has no effect on them."""
        hidden: Tensor = self.lstm(frames)[0]
        return hidden


class TransformerHead(SequentialHead):
    """A transformer encoder over the frames, with learned positions. Source: CLIP4Clip §3.3, sequential type."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.positions = nn.Parameter(torch.randn(MAX_FRAMES, dim) * _POSITION_STD)
        self.encoder = _Encoder(dim)

    def sequence(self, frames: Tensor, is_frame: Tensor) -> Tensor:
        """The states of the last layer."""
        placed = frames + self.positions[: frames.shape[1]] * frames.shape[-1] ** 0.5
        states: Tensor = self.encoder(placed, is_frame)
        return states


class TightHead(nn.Module):
    """Scores of texts with videos, by a transformer over the text's embedding and the frames together.

    Source: CLIP4Clip §3.3, tight type (eq. 5 to 7): positions and token types are added, and two linear layers turn the
    state of the text's place into the score.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        width = min(dim, _TIGHT_WIDTH)
        self.scale = dim**0.5
        self.narrow = nn.Linear(dim, width)
        self.positions = nn.Parameter(torch.randn(1 + MAX_FRAMES, width) * _POSITION_STD)
        self.types = nn.Parameter(torch.randn(2, width) * _POSITION_STD)
        self.encoder = _Encoder(width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, texts: Tensor, frames: Tensor) -> Tensor:
        """Scores [n] of texts [n, dim] with frames [n, frames, dim], row by row."""
        tokens = self.narrow(torch.cat([texts[:, None], frames], dim=1) * self.scale)
        types = torch.cat([self.types[:1], self.types[1:].expand(frames.shape[1], -1)])
        is_token = _is_frame(torch.cat([torch.ones_like(frames[:, :1]), frames], dim=1))
        states = self.encoder(tokens + types + self.positions[: tokens.shape[1]], is_token)
        scores: Tensor = self.score(states[:, 0])[:, 0]
        return scores


def make_head(kind: HeadType, dim: int) -> SequentialHead | TightHead:
    """An untrained head for embeddings of `dim` dimensions."""
    types: dict[HeadType, type[SequentialHead | TightHead]] = {
        "lstm": LstmHead,
        "transformer": TransformerHead,
        "tight": TightHead,
    }
    return types[kind](dim)


def _is_frame(frames: Tensor) -> Tensor:
    """Which rows are frames and not padding, bool [n, frames]."""
    return (frames != 0).any(dim=-1)


class _Encoder(nn.Module):
    """A transformer encoder of CLIP's residual attention blocks (torch's own has no ONNX form of free size)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(width) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, is_token: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, is_token)
        states: Tensor = self.norm(tokens)
        return states


class _Block(nn.Module):
    """Source: Radford et al. 2021, §2.4 (pre-norm transformer); Vaswani et al. 2017, §3.2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 64)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, tokens: Tensor, is_token: Tensor) -> Tensor:
        projected = self.query_key_value(self.attention_norm(tokens)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=is_token[:, None, None])
        tokens = tokens + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        added: Tensor = self.dropout(self.mlp(self.mlp_norm(tokens)))
        return tokens + added
