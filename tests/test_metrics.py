"""Retrieval metrics against slow and obvious references over whole matrices, ties included."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.metrics import (
    RelevantRanks,
    average_precision,
    first_relevant_ranks,
    hit_rate_at_k,
    mean_reciprocal_rank,
    ndcg_at_k,
    recall_at_k,
    relevant_ranks,
)

CUTOFFS = (1, 2, 3, 5, 100)


@dataclass(frozen=True)
class Case:
    """Scores with many ties, and what is relevant to each query."""

    scores: list[list[int]]
    relevant: list[list[int]]

    def ranks(self) -> RelevantRanks:
        flat = [item for own in self.relevant for item in own]
        starts = np.cumsum([0, *(len(own) for own in self.relevant)])
        return relevant_ranks(np.array(self.scores, np.float32), np.array(flat, np.int64), starts.astype(np.int64))

    def orders(self) -> list[list[bool]]:
        """Whether the item at each place is relevant: best first, and among equals what is relevant last."""
        return [
            [item in own for item in sorted(range(len(row)), key=lambda item: (-row[item], item in own))]
            for row, own in zip(self.scores, self.relevant, strict=True)
        ]


@st.composite
def cases(draw: st.DrawFn, *, most_relevant: int = 12) -> Case:
    items = draw(st.integers(1, 14))
    row = st.lists(st.integers(-2, 2), min_size=items, max_size=items)  # few values, so that ties abound
    scores = draw(st.lists(row, min_size=1, max_size=8))
    some = st.lists(st.integers(0, items - 1), min_size=1, max_size=min(most_relevant, items), unique=True)
    return Case(scores, [draw(some) for _ in scores])


@given(cases())
def test_ranks_equal_the_naive_reference(case: Case) -> None:
    ranks = case.ranks()
    expected = [[place for place, right in enumerate(order, start=1) if right] for order in case.orders()]
    assert ranks.ranks.dtype == np.int64
    assert ranks.ranks.tolist() == [rank for own in expected for rank in own]
    assert ranks.first.tolist() == [own[0] for own in expected]
    assert ranks.counts.tolist() == [len(own) for own in case.relevant]
    assert len(ranks) == len(case.scores)


@given(cases())
def test_metrics_equal_the_naive_reference(case: Case) -> None:
    ranks, orders = case.ranks(), case.orders()
    for k in CUTOFFS:
        hits = [any(order[:k]) for order in orders]
        assert hit_rate_at_k(ranks.first, k) == pytest.approx(sum(hits) / len(hits))
        recall = [sum(order[:k]) / sum(order) for order in orders]
        assert recall_at_k(ranks, k) == pytest.approx(recall)
        assert ndcg_at_k(ranks, k) == pytest.approx([_dcg(order, k) / _dcg(sorted(order)[::-1], k) for order in orders])
    reciprocal = [1 / (order.index(True) + 1) for order in orders]
    assert mean_reciprocal_rank(ranks.first) == pytest.approx(sum(reciprocal) / len(reciprocal))
    assert average_precision(ranks) == pytest.approx([_average_precision(order) for order in orders])


def _dcg(order: list[bool], k: int) -> float:
    return sum(right / math.log2(1 + place) for place, right in enumerate(order[:k], start=1))


def _average_precision(order: list[bool]) -> float:
    precisions = [sum(order[:place]) / place for place, right in enumerate(order, start=1) if right]
    return sum(precisions) / len(precisions)


@given(cases(most_relevant=1))
def test_one_relevant_item_makes_the_metrics_agree(case: Case) -> None:
    ranks = case.ranks()
    columns = np.array([own[0] for own in case.relevant])
    assert first_relevant_ranks(np.array(case.scores, np.float32), columns).tolist() == ranks.first.tolist()
    assert average_precision(ranks) == pytest.approx(1 / ranks.first)
    for k in CUTOFFS:
        assert recall_at_k(ranks, k).mean() == pytest.approx(hit_rate_at_k(ranks.first, k))


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(case: Case, random: object) -> None:
    items = list(range(len(case.scores[0])))
    random.shuffle(items)  # type: ignore[attr-defined]
    shuffled = Case(
        [[row[item] for item in items] for row in case.scores],
        [[items.index(item) for item in own] for own in case.relevant],
    )
    assert shuffled.ranks().ranks.tolist() == case.ranks().ranks.tolist()


def test_without_ties_average_precision_is_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score, ndcg_score

    rng = np.random.default_rng(3)
    scores = rng.permuted(np.tile(np.arange(60.0), (20, 1)), axis=1)
    relevant = [rng.choice(60, count, replace=False).tolist() for count in rng.integers(1, 30, 20)]
    ranks = Case(scores.astype(int).tolist(), relevant).ranks()
    truth = np.zeros_like(scores)
    for row, own in enumerate(relevant):
        truth[row, own] = 1
    expected = [average_precision_score(right, row) for right, row in zip(truth, scores, strict=True)]
    assert average_precision(ranks) == pytest.approx(expected)
    assert ndcg_at_k(ranks, 10).mean() == pytest.approx(ndcg_score(truth, scores, k=10))


def test_an_item_that_is_no_candidate_stands_nowhere() -> None:
    scores = np.array([[-np.inf, 0.5, 0.5, 0.1]], np.float32)
    ranks = relevant_ranks(scores, np.array([2, 3]), np.array([0, 2]))
    assert ranks.ranks.tolist() == [2, 3]


def test_a_model_that_scores_everything_alike_gains_nothing() -> None:
    ranks = first_relevant_ranks(np.zeros((4, 10), np.float32), np.array([0, 3, 5, 9], dtype=np.int32))
    assert ranks.tolist() == [10, 10, 10, 10]
    assert hit_rate_at_k(ranks, 5) == 0.0
    many = relevant_ranks(np.zeros((1, 10), np.float32), np.array([0, 1, 2]), np.array([0, 3]))
    assert many.ranks.tolist() == [8, 9, 10]


def test_parts_are_joined_in_order() -> None:
    first = relevant_ranks(np.array([[3.0, 2.0, 1.0]]), np.array([0, 2]), np.array([0, 2]))
    second = relevant_ranks(np.array([[3.0, 2.0, 1.0]]), np.array([1]), np.array([0, 1]))
    joined = RelevantRanks.joined([first, second])
    assert (joined.ranks.tolist(), joined.starts.tolist()) == ([1, 3, 2], [0, 2, 3])


def test_a_query_without_anything_relevant_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing relevant"):
        relevant_ranks(np.zeros((2, 3)), np.array([1]), np.array([0, 1, 1]))


def test_no_queries_give_zero() -> None:
    none = np.array([], dtype=np.int64)
    assert hit_rate_at_k(none, 1) == 0.0
    assert mean_reciprocal_rank(none) == 0.0
    empty = RelevantRanks.joined([])
    assert len(empty) == 0 and average_precision(empty).tolist() == []


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k: int) -> None:
    ranks = RelevantRanks(np.array([1]), np.array([0, 1]))
    for metric in (lambda: hit_rate_at_k(ranks.first, k), lambda: recall_at_k(ranks, k), lambda: ndcg_at_k(ranks, k)):
        with pytest.raises(ValueError, match="k must be at least 1"):
            metric()
