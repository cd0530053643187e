"""The nearest of many queries among vectors that come in blocks, so that no more than a block is held."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.io import Block

_QUERIES_AT_ONCE = 512
"""Queries compared with a block at once: 32 MB of scores."""


def nearest(
    blocks: Iterable[Block], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest of each of many queries, block by block; of equal ones those with the smaller ids.

    Args:
        blocks: at least k vectors in all, by ascending id.
        queries: float32 [n, dim].
        k: from 1.

    Returns:
        Scores, float32 [n, k], best first, and ids, int64 [n, k].
    """
    found = [_Best(k) for _ in queries]
    for ids, vectors in blocks:
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = found[start : start + _QUERIES_AT_ONCE]
            scores = queries[start : start + _QUERIES_AT_ONCE] @ np.asarray(vectors, np.float32).T
            passing = scores > np.array([best.least for best in part])[:, None]
            for row in np.flatnonzero(passing.any(axis=1)).tolist():
                places = np.flatnonzero(passing[row])
                part[row].add(ids[places], scores[row, places])
    for best in found:
        best.cut()
    return np.stack([best.scores for best in found]), np.stack([best.ids for best in found])


class _Best:
    """The k best so far of one query, and some that are not: they are sorted now and then only."""

    def __init__(self, k: int) -> None:
        self.ids = np.empty(0, np.int64)
        self.scores = np.empty(0, np.float32)
        self.least = np.float32(-np.inf)  # what is not better than that is not among them
        self._k = k

    def add(self, ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Add candidates with ids larger than those before."""
        self.ids = np.concatenate([self.ids, ids])
        self.scores = np.concatenate([self.scores, scores])
        if len(self.ids) >= 2 * self._k:
            self.cut()

    def cut(self) -> None:
        """Keep the best, in order."""
        if len(self.ids) > self._k:
            least = np.partition(self.scores, -self._k)[-self._k]
            kept = self.scores >= least
            self.ids, self.scores = self.ids[kept], self.scores[kept]
        order = np.lexsort((self.ids, -self.scores))[: self._k]
        self.ids, self.scores = self.ids[order], self.scores[order]
        if len(self.ids) == self._k:
            self.least = self.scores[-1]
