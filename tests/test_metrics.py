"""Retrieval metrics against a naive reference, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k, mean_reciprocal_rank


def _naive_rank(scores: list[int], relevant: int) -> int:
    """Sort the items, best first, with the relevant one last among those that score the same."""
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], item == relevant))
    return order.index(relevant) + 1


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    items = draw(st.integers(1, 8))
    row = st.lists(st.integers(-2, 2), min_size=items, max_size=items)  # few values, so that ties abound
    scores = draw(st.lists(row, min_size=1, max_size=8))
    relevant = draw(st.lists(st.integers(0, items - 1), min_size=len(scores), max_size=len(scores)))
    return scores, relevant


@given(_cases())
def test_ranks_and_metrics_equal_the_naive_reference(case: tuple[list[list[int]], list[int]]) -> None:
    scores, relevant = case
    expected = [_naive_rank(row, column) for row, column in zip(scores, relevant, strict=True)]
    ranks = first_relevant_ranks(np.array(scores, dtype=np.float32), np.array(relevant))
    assert ranks.tolist() == expected
    assert ranks.dtype == np.int64
    for k in (1, 2, 5, 100):
        assert hit_rate_at_k(ranks, k) == pytest.approx(sum(rank <= k for rank in expected) / len(expected))
    assert mean_reciprocal_rank(ranks) == pytest.approx(sum(1 / rank for rank in expected) / len(expected))


def test_a_model_that_scores_everything_alike_gains_nothing() -> None:
    ranks = first_relevant_ranks(np.zeros((4, 10), np.float32), np.array([0, 3, 5, 9], dtype=np.int32))
    assert ranks.tolist() == [10, 10, 10, 10]
    assert hit_rate_at_k(ranks, 5) == 0.0


def test_no_queries_give_zero() -> None:
    none = np.array([], dtype=np.int64)
    assert hit_rate_at_k(none, 1) == 0.0
    assert mean_reciprocal_rank(none) == 0.0


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        hit_rate_at_k(np.array([1]), k)
