"""Nearest neighbours by inner product: the `VectorIndex` interface, and FAISS behind it."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"CLIPSRCHSTAMP\x00\x00\x01"
_TRAILER = struct.Struct("<Q16s")  # length of the stamp in bytes, magic


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
        """The vectors of these ids, int64 [n]; float32 [n, dim]."""
        ...

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim], exactly, among the ids `within` if given.

        Fewer than k come back when there are fewer.
        """
        ...


@dataclass(frozen=True)
class IndexStamp:
    """What a saved index was made from; anything else in the catalog means that it is behind.

    Attributes:
        model: ``spec@fingerprint``.
        dim: embedding dimension.
        revision: the catalog's, when it was saved.
        count: vectors in it.
        checksum: XXH3-64 of the index's bytes, hex.
    """

    model: str
    dim: int
    revision: int
    count: int
    checksum: str = ""


class IndexFileError(Exception):
    """A saved index cannot be used; the text says why. Never reaches a user: the index is made again."""


class FaissVectorIndex:
    """Exact search over float16 vectors."""

    def __init__(self, dim: int) -> None:
        """Make an empty index."""
        import faiss

        flat = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._index: Any = faiss.IndexIDMap(flat)
        self._rows: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None  # sorted ids and where they are
        self.dim = dim

    def __len__(self) -> int:
        """How many vectors it holds."""
        return int(self._index.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        import faiss

        return np.sort(faiss.vector_to_array(self._index.id_map))

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n]."""
        self._rows = None
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(ids, np.int64))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over."""
        if ids.size:
            self._rows = None
            self._index.remove_ids(np.ascontiguousarray(ids, np.int64))

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim]; see `VectorIndex.search`."""
        import faiss

        params = None
        if within is not None:
            params = faiss.SearchParameters(sel=faiss.IDSelectorBatch(np.ascontiguousarray(within, np.int64)))  # type: ignore[call-arg]
        k = min(k, len(self))
        if k == 0:
            return Neighbors(np.empty(0, np.int64), np.empty(0, np.float32))
        scores, ids = self._index.search(np.ascontiguousarray(query[None], np.float32), k, params=params)
        found = ids[0] >= 0  # FAISS pads with -1 when the selection holds fewer than k
        return Neighbors(ids[0][found], scores[0][found])

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors under some of its ids, int64 [n]: exactly as stored, float32 [n, dim]."""
        import faiss

        if self._rows is None:
            held = faiss.vector_to_array(self._index.id_map)
            order = np.argsort(held)
            self._rows = held[order], order
        sorted_ids, order = self._rows
        rows = order[np.searchsorted(sorted_ids, ids)]
        found: NDArray[np.float32] = self._index.index.reconstruct_batch(rows)
        return found

    def save(self, path: Path, stamp: IndexStamp) -> None:
        """Write the index with its stamp: to a temporary file, synced, then renamed over `path`.

        Raises:
            OSError: it cannot be written.
        """
        import faiss

        with _temporary_beside(path) as temporary:
            try:
                faiss.write_index(self._index, str(temporary))
            except RuntimeError as error:
                raise OSError(f"FAISS could not write it: {str(error).splitlines()[0]}") from error
            stamped = json.dumps({**asdict(stamp), "count": len(self), "checksum": _checksum(temporary)}).encode()
            with temporary.open("ab") as file:
                file.write(stamped + _TRAILER.pack(len(stamped), _MAGIC))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_directory(path.parent)

    @classmethod
    def load(cls, path: Path, *, writable: bool = False) -> tuple[FaissVectorIndex, IndexStamp]:
        """Open a saved index, memory-mapped unless it is to be changed.

        Raises:
            IndexFileError: it is missing, damaged or not an index of ours.
        """
        import faiss

        stamp, length = _read_stamp(path)
        if _checksum(path, length) != stamp.checksum:
            raise IndexFileError("its checksum does not match")
        # Windows cannot replace a file that is mapped
        flags = 0 if writable or sys.platform == "win32" else faiss.IO_FLAG_MMAP_IFC
        try:
            loaded = faiss.read_index(str(path), flags)
        except RuntimeError as error:
            raise IndexFileError(str(error).splitlines()[0]) from error
        if loaded.d != stamp.dim or loaded.ntotal != stamp.count:
            raise IndexFileError("its content is not what its stamp says")
        index = cls.__new__(cls)
        index._index, index._rows, index.dim = loaded, None, stamp.dim
        return index, stamp


def read_stamp(path: Path) -> IndexStamp:
    """The stamp of a saved index, without reading the index.

    Raises:
        IndexFileError: it is missing or carries no stamp.
    """
    return _read_stamp(path)[0]


def _read_stamp(path: Path) -> tuple[IndexStamp, int]:
    """The stamp, and the length of the index before it in bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TRAILER.size))
            trailer = file.read()
            if len(trailer) != _TRAILER.size:
                raise IndexFileError("it is cut short")
            length, magic = _TRAILER.unpack(trailer)
            start = size - _TRAILER.size - length
            if magic != _MAGIC or start < 0:
                raise IndexFileError("it carries no stamp")
            file.seek(start)
            return IndexStamp(**json.loads(file.read(length))), start
    except FileNotFoundError as error:
        raise IndexFileError("it is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise IndexFileError(str(error)) from error


def _checksum(path: Path, length: int | None = None) -> str:
    """XXH3-64 (hex) of a file's first `length` bytes, or of all of it."""
    import xxhash

    digest = xxhash.xxh3_64()
    left = path.stat().st_size if length is None else length
    with path.open("rb", buffering=0) as file:
        while left and (block := file.read(min(left, 1 << 22))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Make a rename last through a power cut; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
