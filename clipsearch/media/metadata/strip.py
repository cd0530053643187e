"""Files without their metadata, for decoders that refuse a sound picture because of what stands beside it."""

from __future__ import annotations

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""What makes a PNG's pixels; the rest is color management, text, EXIF and further frames."""

_AVIF_BRANDS = (b"avif", b"avis", b"mif1")
_AVIF_EXIF = b"infe\x02\0\0"
_HEADER_BYTES = 2**16


def strip_metadata(content: bytes) -> bytes | None:
    """A PNG or AVIF file with nothing in it but the picture; ``None`` for other formats, or nothing to leave out.

    Pillow refuses PNGs with a malformed or very long chunk of text, EXIF or color profile, and libavif refuses
    files with malformed EXIF; readers of other formats pass over it.

    Source: PNG specification, third edition, section 5.3; ISO/IEC 14496-12, ItemInfoEntry.
    """
    if content.startswith(_PNG):
        stripped = _strip_png(content)
    elif content[4:8] == b"ftyp" and content[8:12] in _AVIF_BRANDS:
        stripped = _strip_avif(content)
    else:
        return None
    return stripped if stripped != content else None


def _strip_png(content: bytes) -> bytes:
    kept = [_PNG]
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind in _PNG_CHUNKS:
            kept.append(content[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def _strip_avif(content: bytes) -> bytes:
    """Give EXIF and XMP items a type that nobody knows, which readers pass over; nothing moves."""
    header = content[:_HEADER_BYTES]
    at = header.find(_AVIF_EXIF)
    while at >= 0:
        # version 2: flags, item's number and protection index, two bytes each, then its type
        kind = at + len(_AVIF_EXIF) + 1 + 4
        if header[kind : kind + 4] in (b"Exif", b"mime"):
            header = header[:kind] + b"skip" + header[kind + 4 :]
        at = header.find(_AVIF_EXIF, at + 1)
    return header + content[_HEADER_BYTES:]
