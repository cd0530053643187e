"""What a vector index is, whichever engine is behind it."""

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
    """The nearest neighbours of one query, best first.

    Attributes:
        ids: int64 [n], n ≤ k.
        scores: float32 [n], inner products; cosine similarities for unit vectors.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


class VectorIndex(Protocol):
    """A set of unit vectors with ids. Ids are unique; adding one twice is an error of the caller."""

    dim: int

    def __len__(self) -> int:
        """How many vectors it holds."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        ...

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]."""
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over."""
        ...

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some of its ids, int64 [n]: exactly as stored, float32 [n, dim]."""
        ...

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim], among the ids `within`, ascending, if given.

        Scores are those of the stored vectors; of equal ones the smaller id comes first. Inside a filter the answer
        is exact. Fewer than k come back when there are fewer.
        """
        ...

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k vectors nearest to each of several queries, float32 [n, dim], in one pass."""
        ...


class Selection(Protocol):
    """The vectors of an index that pass a filter which it answers itself."""

    def __len__(self) -> int:
        """How many pass."""
        ...

    def search(self, query: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest to a query, float32 [dim], among them; exact, as every search inside a filter."""
        ...


@runtime_checkable
class SelectingIndex(Protocol):
    """A `VectorIndex` that answers some filters itself."""

    def select(self, filter_: Filter, roots: Sequence[RootPlace]) -> Selection | None:
        """What passes a filter; ``None`` if only the catalog can tell.

        Args:
            filter_: of a query.
            roots: of the catalog.
        """
        ...


def best(found: list[Neighbors], k: int) -> Neighbors:
    """The k best of several answers to one query; of equal scores the smaller id first."""
    ids, scores = np.concatenate([part.ids for part in found]), np.concatenate([part.scores for part in found])
    order = np.lexsort((ids, -scores))[:k]
    return Neighbors(ids[order], scores[order])
