"""A stale saved index combined with the later changes in memory, for readers that must not write."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import Neighbors, VectorIndex, best, layered_vectors


class DeltaIndex:
    """A base index restricted to the live ids, plus the vectors it lacks.

    Another process may update the base meanwhile: additions are already in `recent`, and removed ids are not live.
    """

    def __init__(self, base: VectorIndex, live: NDArray[np.int64], recent: FlatIndex) -> None:
        """Combine the parts.

        Args:
            base: the stale index.
            live: all live ids, int64 [n], ascending.
            recent: the live vectors that `base` lacks.
        """
        self.dim = base.dim
        self._base = base
        self._live = live
        self._recent = recent

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self._live)

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending."""
        return self._live

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors; see `VectorIndex.add`."""
        self._recent.add(ids, vectors)
        self._live = np.union1d(self._live, ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; see `VectorIndex.remove`."""
        self._recent.remove(ids)
        self._live = setdiff_sorted(self._live, np.unique(ids))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors; see `VectorIndex.vectors`."""
        ids = np.asarray(ids, np.int64)
        return layered_vectors(ids[np.isin(ids, self._live)], self._base, self._recent)

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest; see `VectorIndex.search`."""
        ids = self._live if within is None else np.intersect1d(within, self._live)
        base = self._base.search(query, k, within=setdiff_sorted(ids, self._recent.ids()))
        return best([base, self._recent.search(query, k, within=ids)], k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k nearest of each query; see `VectorIndex.search_batch`."""
        return [self.search(query, k) for query in queries]
