"""The file format of saved indexes: sections of bytes followed by a stamp.

Files are replaced atomically, so that a crash leaves no partial file. Opening a file does not read all of it (1.4 GB at
a million vectors): it verifies the stamp, the size and the checksums of the first and a few random blocks, or of all
blocks of a small file. Modification times are not used, so that a library can be copied or restored with any tool.
``clipsearch check`` verifies every block.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clipsearch.system import atomic

_MAGIC = b"CLIPSRCHSTAMP\x00\x00\x03"
_TRAILER = struct.Struct("<QQ16s")  # length of the stamp in bytes, its XXH3-64, magic

_BLOCK_BYTES = 4 << 20
"""Size of a checksummed block."""

_READ_BYTES = 1 << 18

_BLOCKS_AT_OPENING = 4
"""Blocks verified when a file is opened: 16 MiB in 2 ms."""


class IndexFileError(Exception):
    """A saved index cannot be used. Never reaches a user: the index is rebuilt."""


@dataclass(frozen=True)
class IndexStamp:
    """The state of the catalog that a saved index corresponds to.

    Attributes:
        model: ``spec@fingerprint``.
        dim: embedding dimension.
        revision: the catalog's revision.
        count: number of vectors.
        checksum: XXH3-64 of the block checksums, hex.
        details: further data of the kind of index.
    """

    model: str
    dim: int
    revision: int
    count: int
    checksum: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexFile:
    """A saved index whose stamp has been read.

    Attributes:
        path: of the file.
        stamp: its stamp.
        sections: offset and length in bytes, by name.
    """

    path: Path
    stamp: IndexStamp
    sections: dict[str, tuple[int, int]]

    def section(self, name: str) -> NDArray[np.uint8]:
        """A section's bytes, memory-mapped; read on Windows, which cannot replace a mapped file."""
        offset, length = self.sections[name]
        if length == 0:
            return np.empty(0, np.uint8)
        try:
            if sys.platform == "win32":
                return np.fromfile(self.path, np.uint8, length, offset=offset)
            return np.asarray(np.memmap(self.path, np.uint8, "r", offset, (length,)))
        except (OSError, ValueError) as error:
            raise IndexFileError(str(error)) from error


class IndexFileWriter:
    """Writes the sections of a file."""

    def __init__(self, file: BinaryIO) -> None:
        """Start with an empty file."""
        self.file = file
        self.sections: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[BinaryIO]:
        """The file, positioned to write a section."""
        start = self.file.tell()
        yield self.file
        self.sections[name] = (start, self.file.tell() - start)

    def seal(self, stamp: IndexStamp) -> IndexStamp:
        """Write the stamp after the sections and return it with its checksum."""
        self.file.flush()
        length = self.file.tell()
        blocks = [_checksum(self.file, start, length) for start in range(0, length, _BLOCK_BYTES)]
        sealed = replace(stamp, checksum=f"{_xxh3(''.join(blocks).encode()):016x}")
        encoded = json.dumps({**asdict(sealed), "sections": self.sections, "blocks": blocks}).encode()
        self.file.seek(0, os.SEEK_END)
        self.file.write(encoded + _TRAILER.pack(len(encoded), _xxh3(encoded), _MAGIC))
        return sealed


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IndexFileWriter]:
    """Replace an index file atomically; see `clipsearch.system.atomic.replacing`.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic.replacing(path, durable=True) as file:
        yield IndexFileWriter(file)


def open_file(path: Path, *, verify: bool = False) -> IndexFile:
    """Read the stamp of a saved index and verify the file.

    Args:
        path: of the file.
        verify: verify every block rather than a sample.

    Raises:
        IndexFileError: the file is missing, damaged or of another format.
    """
    try:
        with path.open("rb", buffering=0) as file:
            content, length = _read_content(file, os.fstat(file.fileno()).st_size)
            sections = {str(name): (int(start), int(size)) for name, (start, size) in content.pop("sections").items()}
            starts = dict(zip(range(0, length, _BLOCK_BYTES), content.pop("blocks"), strict=True))
            stamp = IndexStamp(**content)
            if any(start < 0 or size < 0 or start + size > length for start, size in sections.values()):
                raise IndexFileError("its content does not match its stamp")
            first, *others = sorted(starts)  # the first block has what FAISS reads before the vectors
            count = len(others) if verify else min(len(others), _BLOCKS_AT_OPENING - 1)
            for start in [first, *random.sample(others, count)]:
                if _checksum(file, start, length) != starts[start]:
                    raise IndexFileError("its checksum does not match")
    except FileNotFoundError as error:
        raise IndexFileError("it is missing") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IndexFileError(str(error)) from error
    return IndexFile(path, stamp, sections)


def _read_content(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The decoded stamp and the total length of the sections in bytes."""
    file.seek(max(0, size - _TRAILER.size))
    trailer = file.read(_TRAILER.size)
    if len(trailer) != _TRAILER.size:
        raise IndexFileError("it is truncated")
    length, checksum, magic = _TRAILER.unpack(trailer)
    start = size - _TRAILER.size - length
    if magic != _MAGIC or start < 0:
        raise IndexFileError("it has no stamp of this version")
    file.seek(start)
    encoded = file.read(length)
    if _xxh3(encoded) != checksum:
        raise IndexFileError("its stamp is damaged")
    content: dict[str, Any] = json.loads(encoded)
    return content, start


def _checksum(file: BinaryIO, start: int, length: int) -> str:
    """XXH3-64 (hex) of the block that begins at `start`, within a file's first `length` bytes."""
    import xxhash

    file.seek(start)
    checksum, left = xxhash.xxh3_64(), min(_BLOCK_BYTES, length - start)
    buffer = memoryview(bytearray(_READ_BYTES))  # the system takes longer to give 4 MiB than to fill them
    while count := file.readinto(buffer[:left]):  # type: ignore[attr-defined]
        checksum.update(buffer[:count])
        left -= count
    return f"{checksum.intdigest():016x}"


def _xxh3(content: bytes) -> int:
    import xxhash

    return xxhash.xxh3_64_intdigest(content)
