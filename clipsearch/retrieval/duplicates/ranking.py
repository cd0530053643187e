"""Which file of a group of duplicates to keep, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clipsearch.media.raw import RAW_SUFFIXES
from clipsearch.retrieval.duplicates.values import DuplicateFile, HeldContent

_LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "DIB", "PPM", "TGA"})
"""Pillow's names of formats that keep every pixel. WebP, AVIF and JPEG 2000 may, but the name does not tell."""

Ranked = tuple[DuplicateFile, datetime | None]


def rank_files(contents: Sequence[HeldContent]) -> tuple[tuple[DuplicateFile, ...], str]:
    """The files of a group, the one to keep first, and in words what sets it apart.

    In this order: most pixels; RAW before lossless before lossy formats; least compressed (bytes per pixel);
    taken first; shortest path; the path itself.

    Args:
        contents: of the group, one or more, with two files or more between them.
    """
    ranked: list[Ranked] = [
        (DuplicateFile(file.path, file.size, item.width, item.height, item.format, item.content_hash), item.taken_at)
        for item in contents
        for file in item.files
    ]
    ranked.sort(key=_rank)
    return tuple(file for file, _ in ranked), _reason(ranked[0], ranked[1])


def _rank(ranked: Ranked) -> tuple[object, ...]:
    file, taken_at = ranked
    pixels = file.width * file.height
    density = file.size / max(pixels, 1)
    path = str(file.path)
    return (-pixels, -_faithfulness(file.format), -density, taken_at or datetime.max, len(path), path)


def _faithfulness(format_: str) -> int:
    """2 for what the sensor saw, 1 for formats that keep every pixel, 0 for lossy ones."""
    if f".{format_.lower()}" in RAW_SUFFIXES:
        return 2
    return 1 if format_ in _LOSSLESS else 0


def _reason(best: Ranked, second: Ranked) -> str:
    file, taken_at = best
    quality = "a RAW file" if _faithfulness(file.format) > 1 else f"saved without loss ({file.format})"
    words = (
        f"most pixels ({file.width}×{file.height})",
        quality,
        f"least compressed ({file.size / max(file.width * file.height, 1):.2f} bytes per pixel)",
        f"taken first ({taken_at:%Y-%m-%d %H:%M:%S})" if taken_at else "taken first",
        "shortest path",
        "first by name",
    )
    if file.content_hash == second[0].content_hash:
        words = (*words[:4], "shortest path among exact copies", "first by name among exact copies")
    pairs = zip(words, _rank(best), _rank(second), strict=True)
    return next((word for word, own, other in pairs if own != other), words[-1])
