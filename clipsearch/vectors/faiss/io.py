"""FAISS indexes as bytes: written block by block, and read from mapped memory without a copy."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clipsearch.text import first_line
from clipsearch.vectors.faiss.files import IndexFileError, IndexFileWriter

Block = tuple[NDArray[np.int64], NDArray[np.floating]]
"""Ids, int64 [n], and their vectors, floating [n, dim]."""

_ALIGNMENT = 64

_START = struct.Struct("<4siq")
"""What FAISS writes first of an index: its kind, the dimension, the number of vectors."""

_SIZE = struct.Struct("<Q")
"""What FAISS writes before the vectors: the number of their bytes."""


def write_vectors(writer: IndexFileWriter, blocks: Iterable[Block], dim: int) -> NDArray[np.int64]:
    """Write vectors, given by ascending id, and their ids, a block at a time; returns the ids."""
    written: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    writer.file.write(b"\0" * (-(writer.file.tell() + len(flat_header(dim, 0))) % _ALIGNMENT))
    with writer.section("vectors") as file:
        start = file.tell()
        file.write(flat_header(dim, 0))
        for block_ids, vectors in blocks:
            file.write(np.ascontiguousarray(vectors, "<f2").tobytes())
            written.append(block_ids)
        ids = np.concatenate(written)
        _overwrite(file, start, flat_header(dim, len(ids)))
    writer.file.write(b"\0" * (-writer.file.tell() % _ALIGNMENT))
    with writer.section("ids") as file:
        file.write(ids.astype("<i8").tobytes())
    return ids


def read_faiss(section: NDArray[np.uint8], *, writable: bool = False) -> Any:
    """Read a serialized FAISS index: without a copy (`section` must outlive it), or `writable` as a copy.

    Raises:
        IndexFileError: `section` is not a FAISS index.
    """
    import faiss

    try:
        if writable:
            return faiss.deserialize_index(section)
        return faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(section), section.size))  # type: ignore[attr-defined]
    except RuntimeError as error:
        raise IndexFileError(first_line(error)) from error


def stored_vectors(section: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The vectors of a serialized flat index, float16 [n, dim], without a copy and without loading FAISS.

    Raises:
        ValueError: `section` is not a flat index.
    """
    content = section.data
    if len(content) < _START.size:
        raise ValueError("there is no flat index")
    _, dim, count = _START.unpack_from(content)
    size = 2 * dim * count
    before = len(content) - size - _SIZE.size
    if min(dim, count) < 0 or before < _START.size or _SIZE.unpack_from(content, before)[0] != size:
        raise ValueError("the flat index has another number of vectors")
    return section[len(content) - size :].view("<f2").reshape(count, dim)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit FAISS to one thread, for calls from this thread: its idle threads cost time."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def new_flat(dim: int) -> Any:
    """An empty FAISS index of float16 vectors for inner products."""
    import faiss

    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def flat_header(dim: int, count: int) -> bytes:
    """The bytes FAISS writes before the float16 vectors, made without the vectors.

    The header of an empty index, with the number of vectors set after the magic and the dimension, and the number of
    bytes at the end.
    """
    import faiss

    header = bytearray(faiss.serialize_index(new_flat(dim)).tobytes())
    kind, _, _ = _START.unpack_from(header)
    _START.pack_into(header, 0, kind, dim, count)
    _SIZE.pack_into(header, len(header) - _SIZE.size, 2 * dim * count)
    return bytes(header)


def _overwrite(file: BinaryIO, offset: int, content: bytes) -> None:
    end = file.tell()
    file.seek(offset)
    file.write(content)
    file.seek(end)
