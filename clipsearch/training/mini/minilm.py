"""The text tower's backbone: a BERT encoder (MiniLM) in plain torch, with the weights' own names.

Own code rather than `transformers`, so that training needs one package less and the exported graph
holds nothing but what it computes.

Source: Devlin et al. 2018, BERT, §3; Wang et al. 2020, MiniLM, §3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class BertConfig:
    """Shape of the encoder; the defaults are all-MiniLM-L6-v2."""

    vocab_size: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    intermediate: int = 1536
    max_positions: int = 512
    layer_norm_eps: float = 1e-12


class BertLayer(nn.Module):
    """One post-norm transformer block."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate)
        self.output = nn.Linear(config.intermediate, width)
        self.output_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Map hidden states [batch, tokens, width]; `bias` [batch, 1, 1, tokens] is added to the attention logits."""
        batch, tokens, width = hidden.shape
        size = width // self.heads

        def split(states: Tensor) -> Tensor:  # [batch, heads, tokens, size]
            return states.reshape(batch, tokens, self.heads, size).transpose(1, 2)

        logits = split(self.query(hidden)) @ split(self.key(hidden)).transpose(2, 3) * size**-0.5 + bias
        mixed = (logits.softmax(dim=-1) @ split(self.value(hidden))).transpose(1, 2).reshape(batch, tokens, width)
        hidden = self.attention_norm(hidden + self.attention_output(mixed))
        normed: Tensor = self.output_norm(hidden + self.output(F.gelu(self.intermediate(hidden))))
        return normed


class Bert(nn.Module):
    """Token ids to the mean-pooled sentence vector."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.max_positions, config.width)
        self.token_type = nn.Parameter(torch.zeros(config.width))
        self.norm = nn.LayerNorm(config.width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.layers))

    def embed(self, input_ids: Tensor) -> Tensor:
        """Input embeddings [batch, tokens, width] of token ids [batch, tokens]."""
        positions = self.positions.weight[: input_ids.shape[1]]
        normed: Tensor = self.norm(self.words(input_ids) + positions + self.token_type)
        return normed

    def run(self, hidden: Tensor, attention_mask: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Hidden states after the layers `first` to `last` (exclusive; ``None`` for the end)."""
        bias = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * -1e4
        for layer in list(self.layers)[first:last]:
            hidden = layer(hidden, bias)
        return hidden

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Sentence vectors [batch, width], neither projected nor normalised."""
        return mean_pool(self.run(self.embed(input_ids), attention_mask), attention_mask)


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the tokens that are no padding: [batch, tokens, width] -> [batch, width]."""
    weights = attention_mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


_LAYER_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention_output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_norm",
}


def from_hugging_face(state: dict[str, Tensor], config: BertConfig) -> dict[str, Tensor]:
    """Rename a Hugging Face `BertModel` state dict to this module's names; pooler and buffers are dropped."""
    named = {
        "words.weight": state["embeddings.word_embeddings.weight"],
        "positions.weight": state["embeddings.position_embeddings.weight"],
        "token_type": state["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": state["embeddings.LayerNorm.weight"],
        "norm.bias": state["embeddings.LayerNorm.bias"],
    }
    for index in range(config.layers):
        for theirs, ours in _LAYER_NAMES.items():
            for kind in ("weight", "bias"):
                named[f"layers.{index}.{ours}.{kind}"] = state[f"encoder.layer.{index}.{theirs}.{kind}"]
    return named
