"""Exact search over float16 vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.files import IndexFile, IndexFileError, IndexStamp, open_file, replacing
from clipsearch.vectors.faiss.float16 import products_with, widened
from clipsearch.vectors.faiss.io import Block, flat_header, new_flat, one_thread, read_faiss, write_vectors
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.index import Neighbors, best

BLOCK = 16_384
"""Vectors that are converted to float32 at once: 32 MB at 512 dimensions."""

_NUMBERS_OF_A_THREAD = 1 << 24
"""Components that one thread compares in a few milliseconds; fewer are not worth a second one."""

_FEW_QUERIES = 8
"""Up to so many queries are compared one by one with vectors as they are stored: converting those takes longer."""


_EXTRA = 8
"""Neighbours looked for beyond those wanted where equal ones may be cut off."""


class FlatIndex:
    """A scan of float16 vectors, in memory or memory-mapped from a file.

    Measured on two cores, 512 dimensions: 100,000 vectors take 30 ms on one thread and 15 ms on two.
    """

    def __init__(self, dim: int) -> None:
        """Make an empty index."""
        self._bind(new_flat(dim), np.empty(0, np.int64))

    def _bind(self, flat: Any, ids: NDArray[np.int64], mapped: NDArray[np.uint8] | None = None) -> None:
        self.dim = int(flat.d)
        self._flat = flat
        self._ids = ids  # by row
        self._mapped = mapped  # what FAISS looks at, kept alive
        self._sorted: tuple[NDArray[np.int64], NDArray[np.int64] | None] | None = None

    def __len__(self) -> int:
        """How many vectors it holds."""
        return len(self._ids)

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        return self._by_id()[0]

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]; the index must be in memory."""
        self._flat.add(np.ascontiguousarray(vectors, np.float32))
        self._ids = np.concatenate([self._ids, np.asarray(ids, np.int64)])
        self._sorted = None

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over; the index must be in memory."""
        import faiss

        rows = self._rows(np.asarray(ids, np.int64))
        if rows.size:
            self._flat.remove_ids(faiss.IDSelectorBatch(rows))
            self._ids = np.delete(self._ids, rows)
            self._sorted = None

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some of its ids, int64 [n]: exactly as stored, float32 [n, dim]."""
        return widened(self._halves(), self._rows(np.asarray(ids, np.int64)))

    def scores(self, ids: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of some of its vectors, by ids, int64 [n], and a query, float32 [dim]: float32 [n]."""
        return products_with(self._halves(), self._rows(np.asarray(ids, np.int64)), query)

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All it holds, by ascending id."""
        ids = self.ids()
        for start in range(0, len(ids), BLOCK):
            yield ids[start : start + BLOCK], self.vectors(ids[start : start + BLOCK])

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim]; see `VectorIndex.search`."""
        rows = None if within is None else self._rows(np.asarray(within, np.int64))
        count = len(self) if rows is None else len(rows)
        k = min(k, count)
        if k <= 0:
            return Neighbors(np.empty(0, np.int64), np.empty(0, np.float32))
        asked = k
        while True:  # of equal ones, which FAISS cuts off is by chance
            asked = min(asked + _EXTRA, count)
            found = self._nearest(query, asked, rows)
            if asked == count or found.scores[-1] < found.scores[k - 1]:
                return best([found], k)
            asked *= 2

    def _nearest(self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None) -> Neighbors:
        wanted = np.ascontiguousarray(query[None], np.float32)
        selections = self._selections(rows, len(self) if rows is None else len(rows))
        if len(selections) == 1:
            return best([self._scan(wanted, k, selections[0])], k)
        with ThreadPoolExecutor(len(selections)) as threads:
            return best(list(threads.map(lambda selection: self._scan(wanted, k, selection), selections)), k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k vectors nearest to each of several queries, float32 [n, dim]."""
        if len(queries) <= _FEW_QUERIES or len(self) == 0:
            return [self.search(query, k) for query in queries]
        scores, ids = nearest(self.blocks(), queries, min(k, len(self)))
        return [Neighbors(*row) for row in zip(ids, scores, strict=True)]

    def save(self, path: Path, stamp: IndexStamp) -> None:
        """Write the index with its stamp, in place of what is at `path`.

        Raises:
            OSError: it cannot be written.
        """
        write_exact(path, stamp, self.blocks())

    @classmethod
    def load(cls, path: Path, *, writable: bool = False) -> tuple[FlatIndex, IndexStamp]:
        """Open a saved index, memory-mapped unless it is to be changed.

        Raises:
            IndexFileError: it is missing, damaged or not an index of ours.
        """
        file = open_file(path)
        return cls.from_file(file, writable=writable), file.stamp

    @classmethod
    def of(cls, blocks: Iterable[Block], *, dim: int, most: int) -> FlatIndex:
        """Vectors in memory, by ascending id, at most so many; never changed, they take no more room than they need."""
        header = len(flat_header(dim, 0))
        section = np.empty(header + 2 * dim * most, np.uint8)
        held: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        end = header
        for block_ids, vectors in blocks:
            content = np.ascontiguousarray(vectors, "<f2").view(np.uint8).reshape(-1)
            section[end : end + len(content)] = content
            end += len(content)
            held.append(block_ids)
        ids = np.concatenate(held)
        section[:header] = np.frombuffer(flat_header(dim, len(ids)), np.uint8)
        index = cls.__new__(cls)
        index._bind(read_faiss(section), ids, section)
        return index

    @classmethod
    def from_file(cls, file: IndexFile, *, writable: bool = False) -> FlatIndex:
        """The vectors of a saved index, memory-mapped unless they are to be changed.

        Raises:
            IndexFileError: they are damaged.
        """
        try:
            mapped = file.section("vectors")
            ids = file.section("ids").view(np.int64)
        except (KeyError, ValueError) as error:
            raise IndexFileError(f"its content is not what its stamp says: {error}") from error
        flat = read_faiss(mapped, writable=writable)
        if not flat.ntotal == len(ids) == file.stamp.count or flat.d != file.stamp.dim:
            raise IndexFileError("its content is not what its stamp says")
        index = cls.__new__(cls)
        index._bind(flat, ids.copy() if writable else ids, None if writable else mapped)
        return index

    def _halves(self) -> NDArray[np.float16]:
        """The vectors where they lie, float16 [n, dim]; until the next change."""
        import faiss

        if not len(self):
            return np.empty((0, self.dim), np.float16)
        codes = self._flat.codes
        return faiss.rev_swig_ptr(codes.data(), codes.size()).view(np.float16).reshape(-1, self.dim)

    def _by_id(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The ids, ascending, and the row of each; no rows where they are in that order."""
        if self._sorted is None:
            if np.all(self._ids[1:] > self._ids[:-1]):
                self._sorted = self._ids, None
            else:
                order = np.argsort(self._ids)
                self._sorted = self._ids[order], order
        return self._sorted

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ids are, int64 [those that it holds]."""
        known, order = self._by_id()
        if not len(known):
            return np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        rows: NDArray[np.int64] = places[known[places] == ids]
        return rows if order is None else order[rows]

    def _selections(self, rows: NDArray[np.int64] | None, count: int) -> list[Any]:
        """What each thread looks at; ``None`` for everything."""
        import faiss

        parts = max(1, min(faiss.omp_get_max_threads(), count * self.dim // _NUMBERS_OF_A_THREAD))
        if rows is not None:
            return [_bitmap(part, len(self)) for part in np.array_split(rows, parts)]
        if parts == 1:
            return [None]
        bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
        return [faiss.IDSelectorRange(low, high) for low, high in pairwise(bounds)]

    def _scan(self, wanted: NDArray[np.float32], k: int, selection: Any) -> Neighbors:
        import faiss

        params = None if selection is None else faiss.SearchParameters(sel=selection)  # type: ignore[call-arg]
        with one_thread():
            scores, rows = self._flat.search(wanted, k, params=params)
        found = rows[0] >= 0  # FAISS pads with -1 when the selection holds fewer than k
        return Neighbors(self._ids[rows[0][found]], scores[0][found])


def write_exact(path: Path, stamp: IndexStamp, blocks: Iterable[Block]) -> None:
    """Write vectors, by ascending id, with their stamp, in place of what is at `path`.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as writer:
        ids = write_vectors(writer, blocks, stamp.dim)
        writer.seal(replace(stamp, count=len(ids)))


def _bitmap(rows: NDArray[np.int64], count: int) -> Any:
    import faiss

    chosen = np.zeros(count, bool)
    chosen[rows] = True
    return faiss.IDSelectorBitmap(np.packbits(chosen, bitorder="little"))  # type: ignore[call-arg, arg-type]
