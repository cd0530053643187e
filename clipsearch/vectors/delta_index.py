"""A saved index that is behind, and what has changed since beside it, in memory: for who may not write."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import Neighbors, VectorIndex, best


class DeltaIndex:
    """An index restricted to the ids that still count, and those that it lacks.

    Another process may bring the index up to date meanwhile; what it adds is found here already, what it removes is
    passed over in any case.
    """

    def __init__(self, base: VectorIndex, live: NDArray[np.int64], recent: FlatIndex) -> None:
        """Put them together.

        Args:
            base: the index that is behind.
            live: all ids that count, int64 [n], ascending.
            recent: the vectors of those that `base` lacks.
        """
        self.dim = base.dim
        self._base = base
        self._live = live
        self._recent = recent

    def __len__(self) -> int:
        """How many vectors it holds."""
        return len(self._live)

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        return self._live

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]."""
        self._recent.add(ids, vectors)
        self._live = np.union1d(self._live, ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over."""
        self._recent.remove(ids)
        self._live = setdiff_sorted(self._live, np.unique(ids))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some of its ids, int64 [n]: exactly as stored, float32 [n, dim]."""
        wanted = np.asarray(ids, np.int64)
        wanted = wanted[np.isin(wanted, self._live)]
        recent = np.isin(wanted, self._recent.ids())
        found = np.empty((len(wanted), self.dim), np.float32)
        found[recent] = self._recent.vectors(wanted[recent])
        found[~recent] = self._base.vectors(wanted[~recent])
        return found

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim]; see `VectorIndex.search`."""
        ids = self._live if within is None else np.intersect1d(within, self._live)
        base = self._base.search(query, k, within=setdiff_sorted(ids, self._recent.ids()))
        return best([base, self._recent.search(query, k, within=ids)], k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k vectors nearest to each of several queries, float32 [n, dim]."""
        return [self.search(query, k) for query in queries]
