"""Exact k-nearest-neighbor search of many queries over vectors that are read in blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.io import Block

_QUERIES_AT_ONCE = 512
"""Queries per block of scores: 32 MB."""


def nearest(
    blocks: Iterable[Block], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest vectors of each query; of equal scores those with the smaller ids.

    Args:
        blocks: at least k vectors in total, by ascending id.
        queries: float32 [n, dim].
        k: at least 1.

    Returns:
        Scores, float32 [n, k], best first, and ids, int64 [n, k].
    """
    results = [_Best(k) for _ in queries]
    for ids, vectors in blocks:
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = results[start : start + _QUERIES_AT_ONCE]
            scores = queries[start : start + _QUERIES_AT_ONCE] @ np.asarray(vectors, np.float32).T
            passing = scores > np.array([best.least for best in part])[:, None]
            for row in np.flatnonzero(passing.any(axis=1)).tolist():
                places = np.flatnonzero(passing[row])
                part[row].add(ids[places], scores[row, places])
    for best in results:
        best.cut()
    return np.stack([best.scores for best in results]), np.stack([best.ids for best in results])


class _Best:
    """The k best results of a query so far, and unsorted candidates."""

    def __init__(self, k: int) -> None:
        self.ids = np.empty(0, np.int64)
        self.scores = np.empty(0, np.float32)
        self.least = np.float32(-np.inf)  # a candidate must have a larger score
        self._k = k

    def add(self, ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Add candidates with larger ids than all before."""
        self.ids = np.concatenate([self.ids, ids])
        self.scores = np.concatenate([self.scores, scores])
        if len(self.ids) >= 2 * self._k:
            self.cut()

    def cut(self) -> None:
        """Sort and keep the k best."""
        if len(self.ids) > self._k:
            least = np.partition(self.scores, -self._k)[-self._k]
            kept = self.scores >= least
            self.ids, self.scores = self.ids[kept], self.scores[kept]
        order = np.lexsort((self.ids, -self.scores))[: self._k]
        self.ids, self.scores = self.ids[order], self.scores[order]
        if len(self.ids) == self._k:
            self.least = self.scores[-1]
