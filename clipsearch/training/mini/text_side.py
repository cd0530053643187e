"""Every text of the training data as the training loop needs it: frozen, or with the last layers trained.

Running the whole text backbone at each step would take hours on a CPU. What lies below the trained layers never
changes, so that it is computed once: the pooled output where nothing is trained, the hidden states of every token
where the last layers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from clipsearch.training.mini.minilm import Bert, mean_pool
from clipsearch.training.mini.usem import token_ids

_CHUNK = 256
"""Texts run at a time, in order of length, so that little of a batch is padding."""


class Ragged:
    """Where the tokens of each text lie when all are in one row without padding.

    Attributes:
        lengths: tokens of each text, int64 [texts].
        starts: where each text begins, int64 [texts].
    """

    def __init__(self, tokens: Sequence[Sequence[int]]) -> None:
        """Lay out texts, given as ids."""
        self.lengths = np.array([len(ids) for ids in tokens])
        self.starts = np.concatenate([[0], self.lengths.cumsum()[:-1]])

    def places(self, rows: NDArray[np.int64]) -> Tensor:
        """Where the tokens of some texts lie, int64 [tokens]."""
        ranges = [np.arange(self.starts[row], self.starts[row] + self.lengths[row]) for row in rows]
        return torch.from_numpy(np.concatenate(ranges))


class TokenStates:
    """Hidden states of texts after the frozen layers, without padding."""

    def __init__(self, texts: Sequence[str], bert: Bert, tokenizer: Tokenizer, *, layers: int) -> None:
        """Run the first `layers` layers over every text; kept as float16."""
        self.layers = layers
        tokens = token_ids(texts, tokenizer)
        self.tokens = Ragged(tokens)
        self.lengths = self.tokens.lengths
        self.states = torch.empty(int(self.lengths.sum()), bert.config.width, dtype=torch.float16)
        for rows, ids, mask in _padded(tokens, self.lengths):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                hidden = bert.run(bert.embed(ids), mask, 0, layers)
            self.states[self.tokens.places(rows)] = hidden[mask.bool()].half()

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Hidden states float32 [n, tokens, width] and attention mask int64 [n, tokens] of some texts."""
        mask = _mask(self.lengths[rows])
        hidden = torch.zeros(*mask.shape, self.states.shape[1])
        hidden[mask.bool()] = self.states[self.tokens.places(rows)].float()
        return hidden, mask


class TextSide(nn.Module):
    """Numbers of texts to their embeddings: the layers below `states` frozen and computed before, the rest trained."""

    def __init__(self, bert: Bert, states: TokenStates, projection: nn.Linear, *, trained: bool) -> None:
        """Bind the parts; unless the layers above `states` are trained, they are run once here."""
        super().__init__()
        self.bert = bert
        self.projection = projection
        self.states = states
        self.pooled: Tensor | None = None
        self._trained = trained
        if not trained:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                pooled = self._pooled(np.arange(len(states.lengths)))
            self.pooled = pooled.float().clone()

    def trained_layers(self) -> list[nn.Parameter]:
        """The parameters of the backbone's layers that are trained."""
        layers = list(self.bert.layers)[self.states.layers :] if self._trained else []
        return [parameter for layer in layers for parameter in layer.parameters()]

    def forward(self, rows: NDArray[np.int64]) -> Tensor:
        """Embeddings [n, dim] of texts, by their numbers int64 [n]; not normalized."""
        device = self.projection.weight.device
        pooled = self._pooled(rows) if self.pooled is None else self.pooled[torch.from_numpy(rows)].to(device)
        embeddings: Tensor = self.projection(pooled)
        return embeddings

    def _pooled(self, rows: NDArray[np.int64]) -> Tensor:
        """Sentence vectors [n, width]."""
        device = self.projection.weight.device
        order = self.states.lengths[rows].argsort(kind="stable")
        blocks = []
        for start in range(0, len(rows), _CHUNK):
            hidden, mask = (part.to(device) for part in self.states.batch(rows[order[start : start + _CHUNK]]))
            blocks.append(mean_pool(self.bert.run(hidden, mask, self.states.layers, None), mask))
        return torch.cat(blocks)[torch.from_numpy(order.argsort()).to(device)]


@torch.inference_mode()
def sentence_vectors(tokens: Sequence[Sequence[int]], encode: Callable[[Tensor, Tensor], Tensor], width: int) -> Tensor:
    """What an encoder of ids and mask makes of texts as a whole, given as ids: float16 [n, width]."""
    lengths = np.array([len(ids) for ids in tokens])
    vectors = torch.empty(len(tokens), width, dtype=torch.float16)
    for rows, ids, mask in _padded(tokens, lengths):
        vectors[torch.from_numpy(rows)] = encode(ids, mask).half()
    return vectors


def _padded(
    tokens: Sequence[Sequence[int]], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """The texts in batches of similar length: their numbers, ids int64 [n, t] and mask int64 [n, t]."""
    order = lengths.argsort(kind="stable")
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        mask = _mask(lengths[rows])
        ids = torch.zeros(mask.shape, dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, : len(tokens[row])] = torch.tensor(tokens[row])
        yield rows, ids, mask


def _mask(lengths: NDArray[np.int64]) -> Tensor:
    row_lengths = torch.from_numpy(lengths)
    return (torch.arange(int(row_lengths.max()))[None] < row_lengths[:, None]).long()
