"""Files of saved vectors: sections of bytes, then a stamp that says what they are and of what they were made.

A file is written beside its place, synced and renamed, so that under its name there is only ever one that was written
whole: no crash and no power cut tears it. Opening one therefore does not read all of it, which at a million vectors
would be 1.4 GB for every command. It checks the stamp (which has a checksum of its own), the file's size, and as many
of its bytes as take a few milliseconds: all of a small file, blocks drawn at random of a large one, each against its
own checksum. Nothing depends on times, so that a library can be copied or restored with any tool. What is left is a
disk that changes bytes by itself: ``clipsearch check`` compares all of them.
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
"""What has a checksum of its own."""

_BLOCKS_AT_OPENING = 4
"""Blocks that are compared whenever a file is opened: 16 MiB, which take 2 ms."""


class IndexFileError(Exception):
    """A saved index cannot be used; the text says why. Never reaches a user: the index is made again."""


@dataclass(frozen=True)
class IndexStamp:
    """What a saved index was made from; anything else in the catalog means that it is behind.

    Attributes:
        model: ``spec@fingerprint``.
        dim: embedding dimension.
        revision: the catalog's, when it was saved.
        count: vectors in it.
        checksum: XXH3-64 of the checksums of the index's blocks, hex.
        details: what the kind of index adds.
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
        path: where it is.
        stamp: its stamp.
        sections: offset and length in bytes, by name.
    """

    path: Path
    stamp: IndexStamp
    sections: dict[str, tuple[int, int]]

    def section(self, name: str) -> NDArray[np.uint8]:
        """A section's bytes, memory-mapped; read on Windows, which cannot replace a file that is mapped."""
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
    """Writes the sections of a file one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin at a file's beginning."""
        self.file = file
        self.sections: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[BinaryIO]:
        """Where to write a section."""
        start = self.file.tell()
        yield self.file
        self.sections[name] = (start, self.file.tell() - start)

    def seal(self, stamp: IndexStamp) -> IndexStamp:
        """Write the stamp behind the sections; returns it as written."""
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
    """Write an index file that takes the place of `path` when all went well, and leaves nothing when not.

    Raises:
        OSError: it cannot be written.
    """
    with atomic.replacing(path, durable=True) as file:
        yield IndexFileWriter(file)


def open_file(path: Path, *, verify: bool = False) -> IndexFile:
    """Read the stamp of a saved index and see whether the file is as it was written.

    Args:
        path: of the file.
        verify: compare all of its blocks with their checksums.

    Raises:
        IndexFileError: it is missing, damaged or not an index of ours.
    """
    try:
        with path.open("rb", buffering=0) as file:
            content, length = _read_content(file, os.fstat(file.fileno()).st_size)
            sections = {str(name): (int(start), int(size)) for name, (start, size) in content.pop("sections").items()}
            starts = dict(zip(range(0, length, _BLOCK_BYTES), content.pop("blocks"), strict=True))
            stamp = IndexStamp(**content)
            if any(start < 0 or size < 0 or start + size > length for start, size in sections.values()):
                raise IndexFileError("its content is not what its stamp says")
            some = len(starts) if verify else min(len(starts), _BLOCKS_AT_OPENING)
            for start in random.sample(sorted(starts), some):
                if _checksum(file, start, length) != starts[start]:
                    raise IndexFileError("its checksum does not match")
    except FileNotFoundError as error:
        raise IndexFileError("it is missing") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IndexFileError(str(error)) from error
    return IndexFile(path, stamp, sections)


def read_stamp(path: Path) -> IndexStamp:
    """The stamp of a saved index.

    Raises:
        IndexFileError: it is missing, damaged or not an index of ours.
    """
    return open_file(path).stamp


def _read_content(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """What the stamp says, and the length of the sections before it in bytes."""
    file.seek(max(0, size - _TRAILER.size))
    trailer = file.read(_TRAILER.size)
    if len(trailer) != _TRAILER.size:
        raise IndexFileError("it is cut short")
    length, checksum, magic = _TRAILER.unpack(trailer)
    start = size - _TRAILER.size - length
    if magic != _MAGIC or start < 0:
        raise IndexFileError("it carries no stamp of this version")
    file.seek(start)
    encoded = file.read(length)
    if _xxh3(encoded) != checksum:
        raise IndexFileError("its stamp is damaged")
    content: dict[str, Any] = json.loads(encoded)
    return content, start


def _checksum(file: BinaryIO, start: int, length: int) -> str:
    """XXH3-64 (hex) of the block that begins at `start`, of a file's first `length` bytes."""
    file.seek(start)
    return f"{_xxh3(file.read(min(_BLOCK_BYTES, length - start))):016x}"


def _xxh3(content: bytes) -> int:
    import xxhash

    return xxhash.xxh3_64_intdigest(content)
