"""Blockwise nearest neighbors against a full sort."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from clipsearch.vectors.faiss.knn import nearest

COUNT = 900


def blocks(vectors: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The vectors under every seventh id."""
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size]
        yield 7 * np.arange(start, start + len(part)), part


@pytest.mark.parametrize("size", [1, 64, COUNT])
@pytest.mark.parametrize("k", [1, 10, 400, COUNT])
def test_the_nearest_are_found_and_of_equal_ones_those_with_smaller_ids(k: int, size: int) -> None:
    random = np.random.default_rng(k)
    vectors = random.integers(-2, 3, (COUNT, 4)).astype(np.float16)  # whole numbers: many scores are equal
    queries = random.integers(-2, 3, (5, 4)).astype(np.float32)
    scores, ids = nearest(blocks(vectors, size), queries, k)
    all_scores = queries @ vectors.T.astype(np.float32)
    order = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, 7 * order)
    np.testing.assert_array_equal(scores, np.take_along_axis(all_scores, order, 1))
    assert (scores.dtype, ids.dtype) == (np.float32, np.int64)


def test_more_queries_than_are_compared_at_once() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(50, 8)).astype(np.float32)
    queries = random.normal(size=(1500, 8)).astype(np.float32)
    _, ids = nearest(blocks(vectors, 20), queries, 1)
    np.testing.assert_array_equal(ids[:, 0], 7 * np.argmax(queries @ vectors.T, axis=1))
