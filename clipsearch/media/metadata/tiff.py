"""Tags of TIFF structures: EXIF blocks, TIFF files, and the RAW files that are TIFF at heart."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO, NamedTuple

Value = bytes | tuple[float, ...]
"""Of a tag: bytes for text and opaque data, numbers for the rest; a rational over nought is NaN."""

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
XMP, IPTC = 0x02BC, 0x83BB

# fmt: off
_IMAGE_TAGS = frozenset(
    {
        0x010E, 0x010F, 0x0110, 0x0112, 0x0132, 0x4746, 0x4749, XMP, IPTC, EXIF_IFD, GPS_IFD,
        0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F,
        # DNG and some scanners keep here what belongs into the Exif directory
        0x829A, 0x829D, 0x8827, 0x9003, 0x9004, 0x920A,
    }
)
_EXIF_TAGS = frozenset(
    {
        0x829A, 0x829D, 0x8827, 0x8830, 0x8831, 0x8832, 0x8833, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012,
        0x9201, 0x9202, 0x9286, 0x920A, 0xA405, 0xA434,
    }
)
# fmt: on
_GPS_TAGS = frozenset({*range(8), 0x1D})

_MAGIC = frozenset({42, 43, 0x4F52, 0x5352, 0x0055})
"""TIFF and BigTIFF; Olympus writes ``RO`` or ``RS`` instead of 42, Panasonic ``U``. All else is the same."""

_BIG = 43

_MAX_ENTRIES = 4096
"""Entries looked at in one directory; the largest real ones have a few hundred."""

_MAX_VALUE_BYTES = 2**20
"""A tag with more data than this is skipped."""

_UNITS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONALS = {5: "I", 10: "i"}
_OPAQUE = frozenset({1, 2, 7, 129})


_MALFORMED = (OSError, ValueError, OverflowError, struct.error)
"""What reading at offsets from a file may raise."""


@dataclass(frozen=True)
class TiffTags:
    """The tags of a picture that say something of its taking and its content.

    Attributes:
        image: of the first directory, IFD0.
        exif: of the Exif directory.
        gps: of the GPS directory.
    """

    image: dict[int, Value] = field(default_factory=dict)
    exif: dict[int, Value] = field(default_factory=dict)
    gps: dict[int, Value] = field(default_factory=dict)


def read_tags(file: BinaryIO) -> TiffTags:
    """Read the tags of a TIFF structure that begins at the start of a file.

    Args:
        file: seekable; its position is moved.

    Returns:
        what could be read; nothing if it is no TIFF structure.
    """
    try:
        layout, start = _header(file)
        image = _directory(file, layout, start, _IMAGE_TAGS)
        exif = _directory(file, layout, _pointer(image.get(EXIF_IFD)), _EXIF_TAGS)
        gps = _directory(file, layout, _pointer(image.get(GPS_IFD)), _GPS_TAGS)
    except _MALFORMED:
        return TiffTags()
    return TiffTags(image, exif, gps)


def read_separate_tags(*, image: bytes, exif: bytes, gps: bytes) -> TiffTags:
    """Read tags whose directories are each the first of a TIFF structure of its own; empty ones have none."""
    return TiffTags(_first(image, _IMAGE_TAGS), _first(exif, _EXIF_TAGS), _first(gps, _GPS_TAGS))


def _first(block: bytes, wanted: frozenset[int]) -> dict[int, Value]:
    file = io.BytesIO(block)
    try:
        return _directory(file, *_header(file), wanted)
    except _MALFORMED:
        return {}


@dataclass(frozen=True)
class _Layout:
    order: str
    count: struct.Struct
    entry: struct.Struct
    offset: struct.Struct


@cache
def _layout(order: str, big: bool) -> _Layout:
    fields = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    return _Layout(order, *(struct.Struct(order + code) for code in fields))


class _Entry(NamedTuple):
    tag: int
    kind: int
    number: int
    inline: bytes


def _header(file: BinaryIO) -> tuple[_Layout, int]:
    """Byte order and field widths, and where the first directory is."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("no TIFF structure")
    (magic,) = struct.unpack_from(f"{order}H", head, 2)
    if magic not in _MAGIC:
        raise ValueError("no TIFF structure")
    layout = _layout(order, magic == _BIG)
    return layout, layout.offset.unpack_from(head, layout.offset.size)[0]


def _directory(file: BinaryIO, layout: _Layout, start: int | None, wanted: frozenset[int]) -> dict[int, Value]:
    """The wanted tags of one directory; the first wins where a tag is there twice."""
    if not start:
        return {}
    tags: dict[int, Value | None] = {}
    for entry in _entries(file, layout, start):
        if entry.tag in wanted and entry.tag not in tags:
            tags[entry.tag] = _value(file, layout, entry)
    return {tag: value for tag, value in tags.items() if value is not None}


def _entries(file: BinaryIO, layout: _Layout, start: int) -> Iterator[_Entry]:
    file.seek(start)
    head = file.read(layout.count.size)
    if len(head) < layout.count.size:
        return
    entries = min(layout.count.unpack(head)[0], _MAX_ENTRIES)
    table = file.read(entries * layout.entry.size)
    whole = len(table) // layout.entry.size * layout.entry.size
    yield from map(_Entry._make, layout.entry.iter_unpack(table[:whole]))


def _value(file: BinaryIO, layout: _Layout, entry: _Entry) -> Value | None:
    """Decode one tag; ``None`` where its type is unknown, or its data is missing, cut off or far too long."""
    _, kind, count, inline = entry
    code = _UNITS.get(kind) or _RATIONALS.get(kind) or ("s" if kind in _OPAQUE else None)
    size = count * struct.calcsize(f"={code}") * (2 if kind in _RATIONALS else 1) if code else 0
    if not 0 < size <= _MAX_VALUE_BYTES:
        return None
    data = inline[:size]
    if size > len(inline):
        file.seek(layout.offset.unpack(inline)[0])
        data = file.read(size)
    if len(data) < size:
        return None
    if code == "s" or entry.tag == IPTC:  # which Photoshop declares to be numbers
        return data
    if kind in _RATIONALS:
        parts = struct.unpack(f"{layout.order}{2 * count}{code}", data)
        return tuple(_quotient(*pair) for pair in zip(parts[::2], parts[1::2], strict=True))
    return struct.unpack(f"{layout.order}{count}{code}", data)


def _quotient(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _pointer(value: Value | None) -> int | None:
    """Where another directory begins, if the tag says."""
    return int(value[0]) if isinstance(value, tuple) and math.isfinite(value[0]) and value[0] > 0 else None


SUB_IFDS, _MAX_DIRECTORIES = 0x014A, 512


def walk_directories(file: BinaryIO, wanted: frozenset[int]) -> Iterator[tuple[int, dict[int, Value]]]:
    """Every directory of a TIFF structure with its offset: each page, and after it the directories that it names.

    Args:
        file: seekable; its position is moved.
        wanted: tags to read of each.
    """
    try:
        layout, start = _header(file)
        pending, seen = [start], set[int]()
        while pending and len(seen) < _MAX_DIRECTORIES:
            offset = pending.pop(0)
            if not offset or offset in seen:
                continue
            seen.add(offset)
            tags = _directory(file, layout, offset, wanted | {SUB_IFDS})
            file.seek(offset)
            (entries,) = layout.count.unpack(file.read(layout.count.size))
            file.seek(offset + layout.count.size + entries * layout.entry.size)
            following = file.read(layout.offset.size)
            named = tags.get(SUB_IFDS)
            inner = [int(place) for place in named if place > 0] if isinstance(named, tuple) else []
            following_page = layout.offset.unpack(following)[0] if len(following) == layout.offset.size else 0
            pending = [*inner, following_page, *pending]
            yield offset, tags
    except _MALFORMED:
        return


def with_first_directory(content: bytes, offset: int) -> bytes:
    """The same TIFF structure, beginning with another of its directories."""
    layout, _ = _header(io.BytesIO(content))
    place = layout.offset.size
    return content[:place] + layout.offset.pack(offset) + content[2 * place :]
