"""The interface of vector indexes, implemented by every engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from clipsearch.catalog.records import RootPlace
    from clipsearch.query import Filter


@dataclass(frozen=True)
class Neighbors:
    """The nearest neighbors of one query, best first.

    Attributes:
        ids: int64 [n], n ≤ k.
        scores: float32 [n], inner products; cosine similarities for unit vectors.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


class VectorIndex(Protocol):
    """Unit vectors by id. Ids are unique; the caller must not add one twice."""

    dim: int

    def __len__(self) -> int:
        """Number of vectors."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending."""
        ...

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]."""
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors of ids, int64 [n]; unknown ids are ignored."""
        ...

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored (float16) vectors of known ids, int64 [n], in their order: float32 [n, dim]."""
        ...

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest neighbors of a query, float32 [dim], best first; fewer if there are fewer vectors.

        Scores are computed from the stored vectors; of equal scores the smaller id comes first.

        Args:
            query: float32 [dim].
            k: number of neighbors.
            within: restricts the search to these ids, int64 [n] ascending; the result is then exact.
        """
        ...

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """`search` for each of several queries, float32 [n, dim]."""
        ...


class Selection(Protocol):
    """The vectors that pass a filter, evaluated by the engine."""

    def __len__(self) -> int:
        """Number of passing vectors."""
        ...

    def search(self, query: NDArray[np.float32], k: int) -> Neighbors:
        """The exact k nearest neighbors of a query, float32 [dim], among them."""
        ...


@runtime_checkable
class SelectingIndex(Protocol):
    """A `VectorIndex` whose engine can evaluate some filters."""

    def select(self, filter_: Filter, roots: Sequence[RootPlace]) -> Selection | None:
        """The vectors that pass a filter; ``None`` if only the catalog can evaluate it.

        Args:
            filter_: filter of a query.
            roots: the catalog's roots.
        """
        ...


def best(parts: list[Neighbors], k: int) -> Neighbors:
    """Merge partial results of one query to the k best; of equal scores the smaller id first."""
    ids, scores = np.concatenate([part.ids for part in parts]), np.concatenate([part.scores for part in parts])
    order = np.lexsort((ids, -scores))[:k]
    return Neighbors(ids[order], scores[order])


def layered_vectors(ids: NDArray[np.int64], base: VectorIndex, recent: VectorIndex) -> NDArray[np.float32]:
    """The vectors of ids, int64 [n], from `recent` where it has them, otherwise from `base`: float32 [n, dim]."""
    is_recent = np.isin(ids, recent.ids())
    vectors = np.empty((len(ids), base.dim), np.float32)
    vectors[is_recent] = recent.vectors(ids[is_recent])
    vectors[~is_recent] = base.vectors(ids[~is_recent])
    return vectors
