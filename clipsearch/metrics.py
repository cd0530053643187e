"""Retrieval metrics over ranks, as published.

A rank is 1 for the best-placed relevant item. CLIP papers' "R@k" for text-to-image is `hit_rate_at_k`: the
share of queries with their picture among the first k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_relevant_ranks(scores: NDArray[np.floating], relevant: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rank of the one relevant item of each query.

    Ties count against the query: an item that scores the same as the relevant one stands before it, so
    that a model which scores everything alike gains nothing.

    Args:
        scores: floating [queries, items], higher is better.
        relevant: integer [queries], the column of the relevant item.

    Returns:
        int64 [queries], from 1 to the number of items.
    """
    own = np.take_along_axis(scores, relevant[:, None].astype(np.int64), axis=1)
    return np.asarray((scores >= own).sum(axis=1), dtype=np.int64)


def hit_rate_at_k(ranks: NDArray[np.integer], k: int) -> float:
    """Share of queries whose relevant item is among the first `k`, 0–1; 0 without queries.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return float((ranks <= k).mean()) if ranks.size else 0.0


def mean_reciprocal_rank(ranks: NDArray[np.integer]) -> float:
    """Mean of 1/rank of the relevant item, 0–1; 0 without queries.

    Source: Voorhees 1999, "The TREC-8 Question Answering Track Report".
    """
    return float((1.0 / ranks).mean()) if ranks.size else 0.0
