"""Ranks of relevant items by cosine similarity, in blocks of bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.metrics import RelevantRanks, relevant_ranks
from clipsearch.models.encoder import FloatMatrix

SCORES_PER_BLOCK = 2**22
"""Similarities per block: 16 MiB of float32."""


def rank_among(
    queries: FloatMatrix,
    items: FloatMatrix,
    relevant: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> RelevantRanks:
    """Rank the relevant items of each query among all items.

    Args:
        queries: float32 [queries, dim], unit rows.
        items: float32 [items, dim], unit rows.
        relevant: rows of the relevant items of all queries, int64 [relevant].
        starts: start of each query's items in `relevant`, int64 [queries + 1].
    """
    rows = max(1, SCORES_PER_BLOCK // len(items))
    parts = []
    for start in range(0, len(queries), rows):
        end = min(start + rows, len(queries))
        scores = queries[start:end] @ items.T  # [block, items]
        block = relevant[starts[start] : starts[end]]
        parts.append(relevant_ranks(scores, block, starts[start : end + 1] - starts[start]))
    return RelevantRanks.joined(parts)


def grouped(owners: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group rows by owner.

    Args:
        owners: int64 [rows], from 0 to `count` - 1.
        count: number of owners.

    Returns:
        Rows sorted by owner, int64 [rows], and the start of each owner's rows, int64 [count + 1].
    """
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owners, minlength=count))])
    return np.argsort(owners, kind="stable"), starts
