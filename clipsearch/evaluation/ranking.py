"""Ranks of texts among pictures and pictures among texts, a bounded block of similarities at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.metrics import RelevantRanks, relevant_ranks
from clipsearch.models.encoder import FloatMatrix

SCORES_PER_BLOCK = 2**22
"""Similarities held at once: 16 MiB of float32."""


def rank_among(
    queries: FloatMatrix,
    items: FloatMatrix,
    relevant: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> RelevantRanks:
    """Rank what is relevant to each query among all items, by cosine.

    Args:
        queries: float32 [queries, dim], unit rows.
        items: float32 [items, dim], unit rows.
        relevant: int64 [relevant items of all queries], rows of `items`.
        starts: int64 [queries + 1], where each query's begin in `relevant`.
    """
    rows = max(1, SCORES_PER_BLOCK // len(items))
    parts = []
    for start in range(0, len(queries), rows):
        end = min(start + rows, len(queries))
        scores = queries[start:end] @ items.T  # [block, items]
        own = relevant[starts[start] : starts[end]]
        parts.append(relevant_ranks(scores, own, starts[start : end + 1] - starts[start]))
    return RelevantRanks.joined(parts)


def grouped(owners: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of each owner.

    Args:
        owners: int64 [rows], from 0 to `count` - 1.
        count: number of owners.

    Returns:
        int64 [rows], all rows sorted by owner, and int64 [count + 1], where each owner's begin.
    """
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owners, minlength=count))])
    return np.argsort(owners, kind="stable"), starts
