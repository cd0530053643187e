"""Vectors in a collection of Milvus."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import RootPlace
from clipsearch.errors import LibraryError
from clipsearch.query import Filter
from clipsearch.vectors.id_sets import intersect_sorted, setdiff_sorted
from clipsearch.vectors.index import Neighbors, best
from clipsearch.vectors.milvus.connection import ID, MOST_RESULTS, MilvusConnection
from clipsearch.vectors.milvus.fields import Vocabulary, expression
from clipsearch.vectors.tuning import ProbeSettings

_SLACK = np.float32(1e-5)
"""By how much two ways to sum up the same inner product differ at most."""

_EXTRA = 32
"""Results asked for beyond those wanted, so that equal ones are rarely cut off."""

_FETCHED = 128
"""Up to so many vectors that pass a filter are fetched and compared here."""

_IDS_AT_ONCE = 8192
"""Ids in one expression."""

_PASSED_OVER = 1024
"""Up to so many results, those that pass a filter are chosen here; for more, Milvus is told which ids pass."""

_QUERIES_AT_ONCE = 64


class MilvusIndex:
    """A collection whose ids are known here.

    Milvus ranks; what may be among the best by its scores is ranked again by the vectors themselves, so that scores
    and the order of equal ones are those of every index. With an inverted file, unfiltered searches for as many
    neighbours as were tuned for look into some of its lists; everything else looks into all of them and is exact.
    """

    def __init__(
        self,
        connection: MilvusConnection,
        collection: str,
        ids: NDArray[np.int64],
        *,
        dim: int,
        lists: int = 0,
        probing: tuple[ProbeSettings, ...] = (),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """Bind a loaded collection.

        Args:
            connection: to Milvus.
            collection: its name.
            ids: what it holds, int64 [n], ascending.
            dim: of its vectors.
            lists: of its inverted file; 0 if it is scanned.
            probing: how many of them to look into.
            vocabulary: of its further fields, if these are as the catalog has them.
        """
        self.dim = dim
        self.collection = collection
        self._connection = connection
        self._ids = ids
        self._lists = lists
        self._probing = probing
        self._vocabulary = vocabulary

    def __len__(self) -> int:
        """How many vectors it holds."""
        return len(self._ids)

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        return self._ids

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]."""
        added = np.asarray(ids, np.int64)
        self._connection.upsert(self.collection, [(added, vectors)])
        self._ids = np.union1d(self._ids, added)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over."""
        gone = np.intersect1d(ids, self._ids)
        self._connection.delete(self.collection, gone)
        self._ids = setdiff_sorted(self._ids, gone)

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some of its ids, int64 [n]: exactly as stored, float32 [n, dim].

        Raises:
            LibraryError: another process has removed one of them meanwhile.
        """
        wanted = np.asarray(ids, np.int64)
        known, vectors = self._fetched(np.unique(wanted))
        if len(intersect_sorted(wanted, known)) < len(wanted):
            raise LibraryError("the library has changed meanwhile; search again")
        found: NDArray[np.float32] = vectors[np.searchsorted(known, wanted)]
        return found

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim]; see `VectorIndex.search`."""
        if within is None:
            return self.search_batch(query[None], k)[0]
        held = intersect_sorted(np.asarray(within, np.int64), self._ids)
        k = min(k, len(held))
        if k <= 0:
            return _nothing()
        if len(held) <= _FETCHED:
            return best([self._scored(query, held)], k)
        passing_share = len(held) / len(self)
        expected = round(1.5 * k / passing_share) + _EXTRA
        if expected > _PASSED_OVER and len(held) <= _IDS_AT_ONCE:
            return self._in_parts(query, k, held)
        return self._ranked(query, k, expected, within=held)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k vectors nearest to each of several queries, float32 [n, dim]."""
        k = min(k, len(self))
        if k <= 0:
            return [_nothing() for _ in queries]
        lists = next((item.lists for item in self._probing if item.k >= k), self._lists)
        asked = min(k + _EXTRA, MOST_RESULTS)
        answers: list[Neighbors] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            found = self.nearest(part, asked, lists=lists)
            contenders = [_contenders(ranked, k, asked) for ranked in found]
            settled = [ids for ids in contenders if ids is not None]
            known = np.unique(np.concatenate(settled)) if settled else np.empty(0, np.int64)
            fetched = self._fetched(known)
            for query, ids in zip(part, contenders, strict=True):
                if ids is None:
                    answers.append(self._ranked(query, k, 4 * asked, lists=lists))
                else:
                    answers.append(best([_scored(query, ids, fetched)], k))
        return answers

    def select(self, filter_: Filter, roots: Sequence[RootPlace]) -> MilvusSelection | None:
        """What passes a filter, if Milvus can tell; see `SelectingIndex.select`."""
        where = None if self._vocabulary is None else expression(filter_, self._vocabulary, roots)
        return None if where is None else MilvusSelection(self, where)

    def search_where(self, query: NDArray[np.float32], k: int, where: str) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim], among those that pass an expression."""
        return self._ranked(query, k, k + _EXTRA, where=where) if k > 0 and len(self) else _nothing()

    def count_where(self, where: str) -> int:
        """How many pass an expression."""
        return self._connection.count(self.collection, where)

    def nearest(
        self, queries: NDArray[np.float32], k: int, *, lists: int | None = None, where: str = ""
    ) -> list[Neighbors]:
        """The nearest of each query as Milvus ranks them.

        Args:
            queries: float32 [n, dim].
            k: how many, up to `MOST_RESULTS`.
            lists: how many lists to look into; all of them by default.
            where: an expression that rows have to pass.
        """
        wanted = self._lists if lists is None else lists
        return self._connection.search(self.collection, queries, k, lists=wanted, where=where)

    def _ranked(
        self,
        query: NDArray[np.float32],
        k: int,
        asked: int,
        *,
        within: NDArray[np.int64] | None = None,
        lists: int | None = None,
        where: str = "",
    ) -> Neighbors:
        """The nearest, of ever more that Milvus ranks until the best that pass are surely among them."""
        while True:
            asked = min(asked, MOST_RESULTS)
            ranked = self.nearest(query[None], asked, lists=lists, where=where)[0]
            contenders = _contenders(ranked, k, asked, within)
            if contenders is not None:
                return best([self._scored(query, contenders)], k)
            if asked == MOST_RESULTS:
                if where:
                    within = self._connection.ids(self.collection, where=where)
                return self._in_parts(query, k, self._ids if within is None else within)
            asked *= 4

    def _in_parts(self, query: NDArray[np.float32], k: int, ids: NDArray[np.int64]) -> Neighbors:
        """The nearest of some ids, of which Milvus ranks a part at a time."""
        parts = [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]
        asked = k + _EXTRA
        ranked = [self._ranked_part(query, part, min(asked, len(part))) for part in parts]
        scores = np.sort(np.concatenate([found.scores for found in ranked]))[::-1]
        if not len(scores):
            return _nothing()  # another process has removed them meanwhile
        least = scores[min(k, len(scores)) - 1] - _SLACK
        near: list[NDArray[np.int64]] = []
        for part, some in zip(parts, ranked, strict=True):
            cut_off = asked == len(some.ids) < len(part) and some.scores[-1] >= least
            found = self._ranked_part(query, part, len(part)) if cut_off else some
            near.append(found.ids[found.scores >= least])
        return best([self._scored(query, np.concatenate(near))], k)

    def _ranked_part(self, query: NDArray[np.float32], part: NDArray[np.int64], k: int) -> Neighbors:
        return self.nearest(query[None], k, where=f"{ID} in {part.tolist()}")[0]

    def _scored(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> Neighbors:
        return _scored(query, ids, self._fetched(np.sort(ids)))

    def _fetched(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those ids, int64 [n], ascending, that are there and known here, and their vectors, float32 [n, dim]."""
        wanted = intersect_sorted(ids, self._ids)
        rows, known = np.empty((len(wanted), self.dim), np.float32), np.zeros(len(wanted), bool)
        for found, vectors in self._connection.vectors(self.collection, wanted, self.dim):
            places = np.searchsorted(wanted, found)
            rows[places], known[places] = vectors, True
        return wanted[known], rows[known]


class MilvusSelection:
    """What passes an expression over the fields of a collection."""

    def __init__(self, index: MilvusIndex, where: str) -> None:
        """Bind the collection's index, and the expression."""
        self.where = where
        self._index = index

    @cached_property
    def _count(self) -> int:
        return self._index.count_where(self.where)

    def __len__(self) -> int:
        """How many pass."""
        return self._count

    def search(self, query: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest to a query, float32 [dim], among them."""
        return self._index.search_where(query, k, self.where)


def _contenders(
    ranked: Neighbors, k: int, asked: int, within: NDArray[np.int64] | None = None
) -> NDArray[np.int64] | None:
    """The ids that may be among the k best; ``None`` if others may be, too, which were not given.

    Args:
        ranked: the best by Milvus's scores, in their order.
        k: how many are wanted.
        asked: how many were asked for: fewer came if that was all.
        within: ids that may answer, int64 [n], ascending.
    """
    passing = np.ones(len(ranked.ids), bool)
    if within is not None:
        passing = np.isin(ranked.ids, intersect_sorted(ranked.ids, within))
    ids, scores = ranked.ids[passing], ranked.scores[passing]
    complete = len(ranked.ids) < asked
    if len(ids) < k:
        return ids if complete else None
    least = scores[k - 1] - _SLACK
    if not complete and ranked.scores[-1] >= least:
        return None
    near_enough: NDArray[np.int64] = ids[scores >= least]
    return near_enough


def _scored(
    query: NDArray[np.float32], ids: NDArray[np.int64], fetched: tuple[NDArray[np.int64], NDArray[np.float32]]
) -> Neighbors:
    """Those ids that were fetched, with their inner products; summed up so that equal vectors have equal ones."""
    known, vectors = fetched
    found = intersect_sorted(ids, known)
    scores = vectors[np.searchsorted(known, found)].astype(np.float64) @ query.astype(np.float64)
    return Neighbors(found, scores.astype(np.float32))


def _nothing() -> Neighbors:
    return Neighbors(np.empty(0, np.int64), np.empty(0, np.float32))
