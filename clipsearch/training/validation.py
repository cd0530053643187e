"""Hit rates of a model in training on held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k, mean_reciprocal_rank
from clipsearch.training.inputs import PairInputs
from clipsearch.training.trainee import ContrastiveModel

_QUERIES = 512
"""Captions ranked at once."""


@dataclass(frozen=True)
class HitRates:
    """Text-to-image retrieval with every caption as a query; all 0–1.

    Attributes:
        at_1: hit rate @1.
        at_5: hit rate @5.
        at_10: hit rate @10.
        mean_reciprocal_rank: finer than hit rates, therefore used for comparisons.
    """

    at_1: float
    at_5: float
    at_10: float
    mean_reciprocal_rank: float


@torch.no_grad()
def hit_rates(trainee: ContrastiveModel, inputs: PairInputs, *, autocast: Callable[[], torch.autocast]) -> HitRates:
    """Measure the current model."""
    trainee.eval()
    with autocast():
        images = torch.cat([trainee.embed_images(block).float() for block in inputs.all_images()])
        texts = torch.cat([trainee.embed_texts(block).float() for block in inputs.all_texts()])
    blocks = zip(
        torch.split(texts, _QUERIES), np.split(inputs.owners, range(_QUERIES, len(texts), _QUERIES)), strict=True
    )
    ranks = np.concatenate(
        [first_relevant_ranks(trainee.logits(images, block).T.cpu().numpy(), owners) for block, owners in blocks]
    )
    at_1, at_5, at_10 = (hit_rate_at_k(ranks, k) for k in (1, 5, 10))
    return HitRates(at_1, at_5, at_10, mean_reciprocal_rank(ranks))
