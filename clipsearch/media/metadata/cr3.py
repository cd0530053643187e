"""Canon's CR3: a QuickTime-like file whose metadata is cut into one TIFF structure per directory."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.media.metadata.tiff import TiffTags, read_separate_tags

_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_MAX_BOXES = 1000


def read_cr3_tags(content: bytes) -> TiffTags | None:
    """The tags of a CR3 file; ``None`` if it is another kind of file.

    Source: L. Clévy, "Describing the Canon Raw v3 (CR3) file format": boxes CMT1 (IFD0), CMT2 (Exif) and CMT4
    (GPS) in Canon's ``uuid`` box within ``moov``.
    """
    if content[4:12] != b"ftypcrx ":
        return None
    for kind, start, end in _boxes(content, 0, len(content)):
        if kind != b"moov":
            continue
        for inner, inner_start, inner_end in _boxes(content, start, end):
            if inner == b"uuid" and content[inner_start : inner_start + 16] == _CANON:
                parts = {name: content[a:b] for name, a, b in _boxes(content, inner_start + 16, inner_end)}
                image, exif, gps = (parts.get(name, b"") for name in (b"CMT1", b"CMT2", b"CMT4"))
                return read_separate_tags(image=image, exif=exif, gps=gps)
    return TiffTags()


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of each box, up to the first whose length cannot be."""
    for _ in range(_MAX_BOXES):
        head = 8
        size = int.from_bytes(content[start : start + 4])
        if size == 1:  # the true size follows
            head = 16
            size = int.from_bytes(content[start + 8 : start + 16])
        if size < head or start + size > end:
            return
        yield content[start + 4 : start + 8], start + head, start + size
        start += size
