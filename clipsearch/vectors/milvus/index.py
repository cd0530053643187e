"""A vector index in a Milvus collection."""

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
from clipsearch.vectors.milvus.connection import ID, MAX_RESULTS, MilvusConnection
from clipsearch.vectors.milvus.fields import Vocabulary, expression
from clipsearch.vectors.tuning import ProbeSettings

_SLACK = np.float32(1e-5)
"""Maximum rounding difference between two ways to compute an inner product."""

_EXTRA = 32
"""Additional results to request, so that equal scores at rank k are rarely cut off."""

_MAX_FETCHED = 128
"""Filters that pass at most this many vectors are evaluated by fetching these."""

_IDS_AT_ONCE = 8192
"""Maximum number of ids in an expression."""

_MAX_POSTFILTERED = 1024
"""Maximum number of results to filter here; for more, the passing ids are sent to Milvus."""

_QUERIES_AT_ONCE = 64


class MilvusIndex:
    """A collection with its ids.

    Results of Milvus that may be among the best are reranked by the stored vectors, so that scores and the order of
    equal scores are those of every index. With an inverted file, unfiltered searches for up to as many neighbors as
    were tuned for probe a part of the lists; all other searches probe all lists and are exact.
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
        """Use a loaded collection.

        Args:
            connection: to Milvus.
            collection: its name.
            ids: its ids, int64 [n], ascending.
            dim: embedding dimension.
            lists: nlist of its inverted file; 0 for a flat index.
            probing: search parameters, by ascending k.
            vocabulary: of its scalar fields, if these correspond to the catalog.
        """
        self.dim = dim
        self.collection = collection
        self._connection = connection
        self._ids = ids
        self._lists = lists
        self._probing = probing
        self._vocabulary = vocabulary

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self._ids)

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending."""
        return self._ids

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors; see `VectorIndex.add`."""
        added = np.asarray(ids, np.int64)
        self._connection.upsert(self.collection, [(added, vectors)])
        self._ids = np.union1d(self._ids, added)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; see `VectorIndex.remove`."""
        removed = np.intersect1d(ids, self._ids)
        self._connection.delete(self.collection, removed)
        self._ids = setdiff_sorted(self._ids, removed)

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors; see `VectorIndex.vectors`.

        Raises:
            LibraryError: another process has removed one of them.
        """
        ids = np.asarray(ids, np.int64)
        known, vectors = self._fetched(np.unique(ids))
        if len(intersect_sorted(ids, known)) < len(ids):
            raise LibraryError("the library was changed by another process; search again")
        rows: NDArray[np.float32] = vectors[np.searchsorted(known, ids)]
        return rows

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest; see `VectorIndex.search`."""
        if within is None:
            return self.search_batch(query[None], k)[0]
        passing = intersect_sorted(np.asarray(within, np.int64), self._ids)
        k = min(k, len(passing))
        if k <= 0:
            return _no_neighbors()
        if len(passing) <= _MAX_FETCHED:
            return best([self._scored(query, passing)], k)
        limit = round(1.5 * k * len(self) / len(passing)) + _EXTRA
        if limit > _MAX_POSTFILTERED and len(passing) <= _IDS_AT_ONCE:
            return self._in_parts(query, k, passing)
        return self._ranked(query, k, limit, within=passing)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k nearest of each query; see `VectorIndex.search_batch`."""
        k = min(k, len(self))
        if k <= 0:
            return [_no_neighbors() for _ in queries]
        lists = next((item.lists for item in self._probing if item.k >= k), self._lists)
        limit = min(k + _EXTRA, MAX_RESULTS)
        answers: list[Neighbors] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            results = self.nearest(part, limit, lists=lists)
            contenders = [_contenders(ranked, k, limit) for ranked in results]
            settled = [ids for ids in contenders if ids is not None]
            known = np.unique(np.concatenate(settled)) if settled else np.empty(0, np.int64)
            fetched = self._fetched(known)
            for query, ids in zip(part, contenders, strict=True):
                if ids is None:
                    answers.append(self._ranked(query, k, 4 * limit, lists=lists))
                else:
                    answers.append(best([_scored(query, ids, fetched)], k))
        return answers

    def select(self, filter_: Filter, roots: Sequence[RootPlace]) -> MilvusSelection | None:
        """The vectors that pass a filter; see `SelectingIndex.select`."""
        where = None if self._vocabulary is None else expression(filter_, self._vocabulary, roots)
        return None if where is None else MilvusSelection(self, where)

    def search_where(self, query: NDArray[np.float32], k: int, where: str) -> Neighbors:
        """The exact k nearest of a query, float32 [dim], among those that pass an expression."""
        return self._ranked(query, k, k + _EXTRA, where=where) if k > 0 and len(self) else _no_neighbors()

    def count_where(self, where: str) -> int:
        """Number of vectors that pass an expression."""
        return self._connection.count(self.collection, where)

    def nearest(
        self, queries: NDArray[np.float32], k: int, *, lists: int | None = None, where: str = ""
    ) -> list[Neighbors]:
        """The nearest neighbors of each query, as ranked by Milvus.

        Args:
            queries: float32 [n, dim].
            k: neighbors per query, up to `MAX_RESULTS`.
            lists: lists to probe; all by default.
            where: filter expression.
        """
        lists = self._lists if lists is None else lists
        return self._connection.search(self.collection, queries, k, lists=lists, where=where)

    def _ranked(
        self,
        query: NDArray[np.float32],
        k: int,
        limit: int,
        *,
        within: NDArray[np.int64] | None = None,
        lists: int | None = None,
        where: str = "",
    ) -> Neighbors:
        """The k nearest, with a growing limit until all contenders are among Milvus's results."""
        while True:
            limit = min(limit, MAX_RESULTS)
            ranked = self.nearest(query[None], limit, lists=lists, where=where)[0]
            contenders = _contenders(ranked, k, limit, within)
            if contenders is not None:
                return best([self._scored(query, contenders)], k)
            if limit == MAX_RESULTS:
                if where:
                    within = self._connection.ids(self.collection, where=where)
                return self._in_parts(query, k, self._ids if within is None else within)
            limit *= 4

    def _in_parts(self, query: NDArray[np.float32], k: int, ids: NDArray[np.int64]) -> Neighbors:
        """The k nearest among ids, ranked by Milvus in parts."""
        parts = [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]
        limit = k + _EXTRA
        ranked = [self._ranked_part(query, part, min(limit, len(part))) for part in parts]
        scores = np.sort(np.concatenate([results.scores for results in ranked]))[::-1]
        if not len(scores):
            return _no_neighbors()  # another process has removed them
        least = scores[min(k, len(scores)) - 1] - _SLACK
        near: list[NDArray[np.int64]] = []
        for part, results in zip(parts, ranked, strict=True):
            is_cut_off = limit == len(results.ids) < len(part) and results.scores[-1] >= least
            every = self._ranked_part(query, part, len(part)) if is_cut_off else results
            near.append(every.ids[every.scores >= least])
        return best([self._scored(query, np.concatenate(near))], k)

    def _ranked_part(self, query: NDArray[np.float32], part: NDArray[np.int64], k: int) -> Neighbors:
        return self.nearest(query[None], k, where=f"{ID} in {part.tolist()}")[0]

    def _scored(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> Neighbors:
        return _scored(query, ids, self._fetched(np.sort(ids)))

    def _fetched(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ids, int64 [n] ascending, that Milvus and this index have, and their vectors, float32 [n, dim]."""
        ids = intersect_sorted(ids, self._ids)
        rows, is_known = np.empty((len(ids), self.dim), np.float32), np.zeros(len(ids), bool)
        for block, vectors in self._connection.vectors(self.collection, ids, self.dim):
            places = np.searchsorted(ids, block)
            rows[places], is_known[places] = vectors, True
        return ids[is_known], rows[is_known]


class MilvusSelection:
    """The vectors of a collection that pass an expression."""

    def __init__(self, index: MilvusIndex, where: str) -> None:
        """Combine an index with an expression."""
        self.where = where
        self._index = index

    @cached_property
    def _count(self) -> int:
        return self._index.count_where(self.where)

    def __len__(self) -> int:
        """Number of passing vectors."""
        return self._count

    def search(self, query: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest among them; see `Selection.search`."""
        return self._index.search_where(query, k, self.where)


def _contenders(
    ranked: Neighbors, k: int, limit: int, within: NDArray[np.int64] | None = None
) -> NDArray[np.int64] | None:
    """The ids that may be among the k best; ``None`` if ids beyond `ranked` may be as well.

    Args:
        ranked: results of Milvus, in its order.
        k: number of neighbors.
        limit: number of results requested; `ranked` is complete if it has fewer.
        within: restricts the neighbors to these ids, int64 [n], ascending.
    """
    passing = np.ones(len(ranked.ids), bool)
    if within is not None:
        passing = np.isin(ranked.ids, intersect_sorted(ranked.ids, within))
    ids, scores = ranked.ids[passing], ranked.scores[passing]
    is_complete = len(ranked.ids) < limit
    if len(ids) < k:
        return ids if is_complete else None
    least = scores[k - 1] - _SLACK
    if not is_complete and ranked.scores[-1] >= least:
        return None
    near_enough: NDArray[np.int64] = ids[scores >= least]
    return near_enough


def _scored(
    query: NDArray[np.float32], ids: NDArray[np.int64], fetched: tuple[NDArray[np.int64], NDArray[np.float32]]
) -> Neighbors:
    """The fetched ones of ids with their inner products, in float64 so that equal vectors have equal scores."""
    known, vectors = fetched
    ids = intersect_sorted(ids, known)
    scores = vectors[np.searchsorted(known, ids)].astype(np.float64) @ query.astype(np.float64)
    return Neighbors(ids, scores.astype(np.float32))


def _no_neighbors() -> Neighbors:
    return Neighbors(np.empty(0, np.int64), np.empty(0, np.float32))
