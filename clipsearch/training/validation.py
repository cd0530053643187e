"""Hit rates of a model in training on pairs that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k, mean_reciprocal_rank
from clipsearch.training.inputs import Inputs
from clipsearch.training.trainee import Trainee

_QUERIES = 512
"""Captions ranked at a time."""


@dataclass(frozen=True)
class HitRates:
    """Text-to-image retrieval among the pictures of a set, every caption a query; shares from 0 to 1.

    Attributes:
        at_1: captions whose picture came first.
        at_5: among the first 5.
        at_10: among the first 10.
        mean_reciprocal_rank: mean of 1/rank; moves where hit rates stand still, and so decides what is better.
    """

    at_1: float
    at_5: float
    at_10: float
    mean_reciprocal_rank: float


@torch.no_grad()
def hit_rates(trainee: Trainee, inputs: Inputs, *, autocast: Callable[[], torch.autocast]) -> HitRates:
    """Measure a model as it is now."""
    trainee.eval()
    with autocast():
        image_blocks = [F.normalize(trainee.embed_images(block).float(), dim=-1) for block in inputs.all_images()]
        text_blocks = [F.normalize(trainee.embed_texts(block).float(), dim=-1) for block in inputs.all_texts()]
    images, texts = torch.cat(image_blocks).cpu().numpy(), torch.cat(text_blocks).cpu().numpy()
    ranks = np.concatenate(
        [
            first_relevant_ranks(texts[start : start + _QUERIES] @ images.T, inputs.owners[start : start + _QUERIES])
            for start in range(0, len(texts), _QUERIES)
        ]
    )
    at_1, at_5, at_10 = (hit_rate_at_k(ranks, k) for k in (1, 5, 10))
    return HitRates(at_1, at_5, at_10, mean_reciprocal_rank(ranks))
