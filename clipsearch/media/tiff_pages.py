"""Which page of a TIFF is the picture: some programs put a thumbnail first, or the picture into a sub-directory."""

from __future__ import annotations

import io

from clipsearch.media.metadata.tiff import Value, walk_directories, with_first_directory

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC = 0x00FE, 0x00FF, 0x0100, 0x0101, 0x0106
_TAGS = frozenset({_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC})

_REDUCED, _PAGE, _MASK = 1, 2, 4
"""Bits of the tag NewSubfileType: a smaller version, a page of a document, a mask (TIFF 6.0, section 8)."""

_OLD_REDUCED = 2

_SENSOR = (32803, 34892)
"""Photometric interpretations of a sensor's values (DNG 1.7): color filter array and linear raw."""

_TIMES_LARGER = 2
"""A later page with so many times the pixels of the first is the picture; the pages of a document differ by less."""

_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def with_picture_first(content: bytes) -> bytes | None:
    """A TIFF with its largest page of full resolution first; ``None`` if that is its first page already, or no TIFF."""
    if not content.startswith(_TIFF_HEADS):
        return None
    pages = [(offset, *_described(tags)) for offset, tags in walk_directories(io.BytesIO(content), _TAGS)]
    if len(pages) < 2:
        return None
    full = [page for page in pages if not page[2] & (_REDUCED | _MASK)] or pages  # some writers flag all pages alike
    best = max(full, key=lambda page: page[1])  # the first of those
    _, first_area, first_flags = pages[0]
    is_lesser = pages[0] not in full or (best[1] >= _TIMES_LARGER * first_area and not first_flags & _PAGE)
    return with_first_directory(content, best[0]) if best != pages[0] and is_lesser else None


def has_sensor_values(content: bytes) -> bool:
    """Whether a file is a TIFF of a sensor's values: a camera's RAW file."""
    if not content.startswith(_TIFF_HEADS):
        return False
    return any(_number(tags, _PHOTOMETRIC) in _SENSOR for _, tags in walk_directories(io.BytesIO(content), _TAGS))


def _described(tags: dict[int, Value]) -> tuple[int, int]:
    """The pixels of a page, and the bits of its kind."""
    flags = _number(tags, _SUBFILE) | (_REDUCED if _number(tags, _OLD_SUBFILE) == _OLD_REDUCED else 0)
    return _number(tags, _WIDTH) * _number(tags, _HEIGHT), flags


def _number(tags: dict[int, Value], tag: int) -> int:
    value = tags.get(tag)
    return int(value[0]) if isinstance(value, tuple) else 0
