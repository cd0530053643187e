"""Retrieval metrics over ranks, as published.

One rule for ties holds in all of them: **an item that scores the same as a relevant one stands before it**, unless
it is relevant as well. So a model that scores everything alike gains nothing, and no figure depends on the order of
the items. A rank is 1 for the best place. CLIP papers' "R@k" is a hit rate: the share of queries with something
relevant among the first k; `recall_at_k` is the share of what is relevant that is there. With one relevant item a
query both are the same, and so are average precision and reciprocal rank.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEW = 8
"""Relevant items a query up to which comparing the scores with each is quicker than sorting them."""


@dataclass(frozen=True)
class RelevantRanks:
    """Ranks of all that is relevant, query by query.

    Attributes:
        ranks: int64 [relevant items of all queries], ascending within a query.
        starts: int64 [queries + 1]; query i has ``ranks[starts[i]:starts[i + 1]]``, one rank at least.
    """

    ranks: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not (np.diff(self.starts) > 0).all():
            raise ValueError("a query has nothing relevant")

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.starts) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """How much is relevant, int64 [queries]."""
        return np.diff(self.starts)

    @property
    def first(self) -> NDArray[np.int64]:
        """Rank of the best-placed relevant item, int64 [queries]."""
        return self.ranks[self.starts[:-1]]

    def sums(self, values: NDArray[np.floating | np.bool_]) -> NDArray[np.float64]:
        """Add up per query what belongs to its ranks; [ranks] → float64 [queries]."""
        totals = np.add.reduceat(values.astype(np.float64), self.starts[:-1]) if len(self) else np.empty(0)
        return np.asarray(totals, np.float64)

    @property
    def places(self) -> NDArray[np.int64]:
        """The how-manieth of its query's relevant items each is, from 1; int64 [ranks]."""
        return np.arange(len(self.ranks), dtype=np.int64) - np.repeat(self.starts[:-1], self.counts) + 1

    @classmethod
    def joined(cls, parts: Iterable[RelevantRanks]) -> RelevantRanks:
        """The queries of all parts, one after the other."""
        parts = list(parts)
        counts = np.concatenate([np.empty(0, np.int64), *(part.counts for part in parts)])
        ranks = np.concatenate([np.empty(0, np.int64), *(part.ranks for part in parts)])
        return cls(ranks, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))


def relevant_ranks(
    scores: NDArray[np.floating], relevant: NDArray[np.integer], starts: NDArray[np.int64]
) -> RelevantRanks:
    """Rank everything relevant.

    Args:
        scores: floating [queries, items], higher is better, finite; minus infinity for an item that is no candidate.
        relevant: integer [relevant items of all queries], columns of `scores`, none twice in a query.
        starts: int64 [queries + 1], where each query's begin in `relevant`.

    Returns:
        The ranks, from 1 to the number of items.

    Raises:
        ValueError: a query has nothing relevant.
    """
    counts = np.diff(starts)
    query = np.repeat(np.arange(len(scores)), counts)
    relevant_scores = scores[query, relevant]
    order = np.lexsort((-relevant_scores, query))  # best first within each query
    relevant_scores = relevant_scores[order]
    ranks = RelevantRanks(np.ones(len(relevant_scores), np.int64), starts)
    # the relevant items that score at least as much: up to the last of those that tie
    tied_above = np.r_[False, (query[1:] == query[:-1]) & (relevant_scores[1:] == relevant_scores[:-1])]
    last_of_tie = np.flatnonzero(np.r_[~tied_above[1:], True])
    at_least = (
        ranks.places[last_of_tie[np.searchsorted(last_of_tie, np.arange(len(relevant_scores)))]]
        if len(relevant_scores)
        else ranks.ranks
    )
    above = _count_at_least(scores, relevant_scores, ranks) - at_least  # irrelevant ones
    return RelevantRanks(above + ranks.places, starts)


def _count_at_least(
    scores: NDArray[np.floating], relevant_scores: NDArray[np.floating], ranks: RelevantRanks
) -> NDArray[np.int64]:
    """How many items of its query score at least as much as each relevant one, int64 [relevant items]."""
    counts, places = ranks.counts, ranks.places
    at_least = np.empty(len(relevant_scores), np.int64)
    if counts.max(initial=0) <= _FEW:
        for place in range(1, int(counts.max(initial=0)) + 1):
            rows = np.flatnonzero(counts >= place)
            at_place = places == place
            block = scores if len(rows) == len(scores) else scores[rows]
            at_least[at_place] = (block >= relevant_scores[at_place][:, None]).sum(axis=1)
        return at_least
    for row, (start, end) in enumerate(zip(ranks.starts[:-1], ranks.starts[1:], strict=True)):
        at_least[start:end] = scores.shape[1] - np.searchsorted(
            np.sort(scores[row]), relevant_scores[start:end], side="left"
        )
    return at_least


def first_relevant_ranks(scores: NDArray[np.floating], relevant: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rank of the one relevant item of each query.

    Args:
        scores: floating [queries, items], higher is better.
        relevant: integer [queries], the column of the relevant item.

    Returns:
        int64 [queries], from 1 to the number of items.
    """
    relevant_scores = np.take_along_axis(scores, relevant[:, None].astype(np.int64), axis=1)
    return np.asarray((scores >= relevant_scores).sum(axis=1), dtype=np.int64)


def hit_rate_at_k(ranks: NDArray[np.integer], k: int) -> float:
    """Share of queries whose best-placed relevant item is among the first `k`, 0–1; 0 without queries.

    Args:
        ranks: integer [queries], `first_relevant_ranks` or `RelevantRanks.first`.
        k: at least 1.

    Raises:
        ValueError: `k` is below 1.
    """
    _check(k)
    return float((ranks <= k).mean()) if ranks.size else 0.0


def mean_reciprocal_rank(ranks: NDArray[np.integer]) -> float:
    """Mean of 1/rank of the best-placed relevant item, 0–1; 0 without queries.

    Source: Voorhees 1999, "The TREC-8 Question Answering Track Report".
    """
    return float((1.0 / ranks).mean()) if ranks.size else 0.0


def recall_at_k(ranks: RelevantRanks, k: int) -> NDArray[np.float64]:
    """Share of what is relevant to each query that is among the first `k`, float64 [queries], 0–1.

    Raises:
        ValueError: `k` is below 1.
    """
    _check(k)
    return ranks.sums(ranks.ranks <= k) / ranks.counts


def average_precision(ranks: RelevantRanks) -> NDArray[np.float64]:
    """Mean, over what is relevant to each query, of the precision at its rank, float64 [queries], 0–1.

    Its mean over queries is mAP. Precision is taken at the ranks, not interpolated.

    Source: Manning, Raghavan and Schütze 2008, "Introduction to Information Retrieval", section 8.4.
    """
    return ranks.sums(ranks.places / ranks.ranks) / ranks.counts


def ndcg_at_k(ranks: RelevantRanks, k: int) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of the first `k` of each query, float64 [queries], 0–1.

    An item is relevant or not; the gain of a relevant one is 1, its discount log2(1 + rank), and the sum is divided
    by that of a perfect order.

    Source: Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with the discount of
    Burges et al. 2005, "Learning to rank using gradient descent".

    Raises:
        ValueError: `k` is below 1.
    """
    _check(k)
    gains = ranks.sums(np.where(ranks.ranks <= k, 1.0 / np.log2(1.0 + ranks.ranks), 0.0))
    ideal = np.cumsum(1.0 / np.log2(2.0 + np.arange(k)))
    return np.asarray(gains / ideal[np.minimum(ranks.counts, k) - 1], np.float64)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logistic function without overflow, float64, 0–1."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0))), np.float64)


def _check(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
