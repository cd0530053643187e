"""Exact search over float16 vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.system.cpu import available_cores
from clipsearch.vectors.faiss.files import IndexFile, IndexFileError, IndexStamp, replacing
from clipsearch.vectors.faiss.float16 import products_with, to_float32
from clipsearch.vectors.faiss.io import (
    Block,
    flat_header,
    new_flat,
    one_thread,
    read_faiss,
    stored_vectors,
    write_vectors,
)
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.index import Neighbors, best

BLOCK = 16_384
"""Vectors converted to float32 at once: 32 MB at 512 dimensions."""

_COMPONENTS_PER_THREAD = 1 << 24
"""Vector components per thread (a few milliseconds of work); fewer do not justify another thread."""

_COMPONENTS_WITHOUT_FAISS = 1 << 26
"""Vector components that an index compares by itself before it loads FAISS, which takes as long: most processes search
once."""

_FEW_QUERIES = 8
"""Up to this number, queries are searched one by one, which is faster than converting the vectors."""

_EXTRA = 8
"""Additional neighbors to request, so that equal scores at rank k are seen."""


_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


class FlatIndex:
    """Exhaustive search of float16 vectors, in memory or memory-mapped.

    100,000 vectors of 512 dimensions take 30 ms on one thread and 15 ms on two. A mapped index compares the first ones
    by itself, in 40 ms, because loading FAISS takes 100.
    """

    def __init__(self, dim: int) -> None:
        """Create an empty index."""
        self._bind(dim, np.empty(0, np.int64), flat=new_flat(dim))

    def _bind(
        self, dim: int, ids: NDArray[np.int64], *, flat: Any = None, section: NDArray[np.uint8] | None = None
    ) -> None:
        self.dim = dim
        self._ids = ids  # by row
        self._section = section  # what FAISS reads without a copy, if it does not hold the vectors itself
        if flat is not None:
            self._flat = flat
        self._sorted: tuple[NDArray[np.int64], NDArray[np.int64] | None] | None = None
        self._left_without_faiss = _COMPONENTS_WITHOUT_FAISS

    @cached_property
    def _flat(self) -> Any:
        assert self._section is not None, "an index that is not mapped is made with its FAISS index"
        return read_faiss(self._section)

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self._ids)

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending."""
        return self._by_id()[0]

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors to an index in memory; see `VectorIndex.add`."""
        self._flat.add(np.ascontiguousarray(vectors, np.float32))
        self._ids = np.concatenate([self._ids, np.asarray(ids, np.int64)])
        self._sorted = None

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors from an index in memory; see `VectorIndex.remove`."""
        import faiss

        rows = self._rows(np.asarray(ids, np.int64))
        if rows.size:
            self._flat.remove_ids(faiss.IDSelectorBatch(rows))
            self._ids = np.delete(self._ids, rows)
            self._sorted = None

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors; see `VectorIndex.vectors`."""
        return to_float32(self._float16(), self._rows(np.asarray(ids, np.int64)))

    def scores(self, ids: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of the vectors of ids, int64 [n], with a query, float32 [dim]: float32 [n]."""
        return products_with(self._float16(), self._rows(np.asarray(ids, np.int64)), query)

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All vectors, by ascending id."""
        ids = self.ids()
        for start in range(0, len(ids), BLOCK):
            yield ids[start : start + BLOCK], self.vectors(ids[start : start + BLOCK])

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest; see `VectorIndex.search`."""
        rows = None if within is None else self._rows(np.asarray(within, np.int64))
        count = len(self) if rows is None else len(rows)
        k = min(k, count)
        if k <= 0:
            return Neighbors(np.empty(0, np.int64), np.empty(0, np.float32))
        if self._may_scan_without_faiss(count):
            return self._nearest_without_faiss(query, k, rows)
        limit = k
        while True:  # FAISS cuts equal scores off arbitrarily
            limit = min(limit + _EXTRA, count)
            neighbors = self._nearest(query, limit, rows)
            if limit == count or neighbors.scores[-1] < neighbors.scores[k - 1]:
                return best([neighbors], k)
            limit *= 2

    def _nearest(self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None) -> Neighbors:
        queries = np.ascontiguousarray(query[None], np.float32)
        selections = self._selections(rows, len(self) if rows is None else len(rows))
        return best(_in_threads(partial(self._scan, queries, k), selections), k)

    def _may_scan_without_faiss(self, count: int) -> bool:
        """Whether comparing that many vectors takes less time than loading FAISS would."""
        if self._section is None or "faiss" in sys.modules:
            return False
        self._left_without_faiss -= count * self.dim
        return self._left_without_faiss >= 0

    def _nearest_without_faiss(self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None) -> Neighbors:
        vectors = self._float16()
        count = len(self) if rows is None else len(rows)

        def scores_of(bounds: tuple[int, int]) -> NDArray[np.float32]:
            part = slice(*bounds)
            if rows is None:
                return products_with(vectors[part], None, query)
            return products_with(vectors, rows[part], query)

        bounds = np.linspace(0, count, self._parts(count, available_cores()) + 1).astype(int).tolist()
        scores = np.concatenate(_in_threads(scores_of, list(pairwise(bounds))))
        found = np.flatnonzero(scores >= np.partition(scores, count - k)[count - k])
        return best([Neighbors(self._ids[found if rows is None else rows[found]], scores[found])], k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k nearest of each query; see `VectorIndex.search_batch`."""
        if len(queries) <= _FEW_QUERIES or len(self) == 0:
            return [self.search(query, k) for query in queries]
        scores, ids = nearest(self.blocks(), queries, min(k, len(self)))
        return [Neighbors(*row) for row in zip(ids, scores, strict=True)]

    def save(self, path: Path, stamp: IndexStamp) -> None:
        """Write the index with its stamp, replacing the file at `path`.

        Raises:
            OSError: the file cannot be written.
        """
        write_exact(path, stamp, self.blocks())

    @classmethod
    def of(cls, blocks: Iterable[Block], *, dim: int, max_count: int) -> FlatIndex:
        """An immutable index of at most `max_count` vectors, given by ascending id, in the least memory."""
        header = len(flat_header(dim, 0))
        section = np.empty(header + 2 * dim * max_count, np.uint8)
        block_ids_so_far: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        end = header
        for block_ids, vectors in blocks:
            content = np.ascontiguousarray(vectors, "<f2").view(np.uint8).reshape(-1)
            section[end : end + len(content)] = content
            end += len(content)
            block_ids_so_far.append(block_ids)
        ids = np.concatenate(block_ids_so_far)
        section[:header] = np.frombuffer(flat_header(dim, len(ids)), np.uint8)
        index = cls.__new__(cls)
        index._bind(dim, ids, section=section[:end])
        return index

    @classmethod
    def from_file(cls, file: IndexFile, *, writable: bool = False) -> FlatIndex:
        """The vectors of a saved index, memory-mapped unless `writable`.

        Raises:
            IndexFileError: the file is damaged.
        """
        try:
            section = file.section("vectors")
            ids = file.section("ids").view(np.int64)
            count, dim = stored_vectors(section).shape
        except (KeyError, ValueError) as error:
            raise IndexFileError(f"its content does not match its stamp: {error}") from error
        if not count == len(ids) == file.stamp.count or dim != file.stamp.dim:
            raise IndexFileError("its content does not match its stamp")
        index = cls.__new__(cls)
        if writable:
            index._bind(dim, ids.copy(), flat=read_faiss(section, writable=True))
        else:
            index._bind(dim, ids, section=section)
        return index

    def _float16(self) -> NDArray[np.float16]:
        """A view of the vectors, float16 [n, dim]; valid until the next change."""
        if self._section is not None:
            return stored_vectors(self._section)
        if not len(self):
            return np.empty((0, self.dim), np.float16)
        import faiss

        codes = self._flat.codes
        return faiss.rev_swig_ptr(codes.data(), codes.size()).view(np.float16).reshape(-1, self.dim)

    def _by_id(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The ids, ascending, and their rows; ``None`` if the rows are in that order."""
        if self._sorted is None:
            if np.all(self._ids[1:] > self._ids[:-1]):
                self._sorted = self._ids, None
            else:
                order = np.argsort(self._ids)
                self._sorted = self._ids[order], order
        return self._sorted

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the known ids, int64 [known ids]."""
        known, order = self._by_id()
        if not len(known):
            return np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        rows: NDArray[np.int64] = places[known[places] == ids]
        return rows if order is None else order[rows]

    def _selections(self, rows: NDArray[np.int64] | None, count: int) -> list[Any]:
        """A FAISS selector for each thread; ``None`` for all rows."""
        import faiss

        parts = self._parts(count, faiss.omp_get_max_threads())
        if rows is not None:
            return [_bitmap(part, len(self)) for part in np.array_split(rows, parts)]
        if parts == 1:
            return [None]
        bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
        return [faiss.IDSelectorRange(low, high) for low, high in pairwise(bounds)]

    def _parts(self, count: int, threads: int) -> int:
        """Number of parts to compare that many vectors in."""
        return max(1, min(threads, count * self.dim // _COMPONENTS_PER_THREAD))

    def _scan(self, queries: NDArray[np.float32], k: int, selection: Any) -> Neighbors:
        import faiss

        params = None if selection is None else faiss.SearchParameters(sel=selection)  # type: ignore[call-arg]
        with one_thread():
            scores, rows = self._flat.search(queries, k, params=params)
        is_row = rows[0] >= 0  # FAISS pads with -1 if the selection has fewer than k
        return Neighbors(self._ids[rows[0][is_row]], scores[0][is_row])


def _in_threads(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """The result of each part, computed in as many threads."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(len(parts)) as threads:
        return list(threads.map(work, parts))


def write_exact(path: Path, stamp: IndexStamp, blocks: Iterable[Block]) -> None:
    """Write vectors, given by ascending id, with their stamp, replacing the file at `path`.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as writer:
        ids = write_vectors(writer, blocks, stamp.dim)
        writer.seal(replace(stamp, count=len(ids)))


def _bitmap(rows: NDArray[np.int64], count: int) -> Any:
    import faiss

    is_selected = np.zeros(count, bool)
    is_selected[rows] = True
    return faiss.IDSelectorBitmap(np.packbits(is_selected, bitorder="little"))  # type: ignore[call-arg, arg-type]
