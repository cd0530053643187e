"""Which file of a group of duplicates to keep, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clipsearch.media.raw import RAW_SUFFIXES
from clipsearch.retrieval.duplicates.values import DuplicateFile, LibraryContent

_LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "DIB", "PPM", "TGA"})
"""Pillow's names of formats that keep every pixel. WebP, AVIF and JPEG 2000 may, but the name does not tell."""


@dataclass(frozen=True)
class _Ranked:
    """A file of a group with what speaks for it."""

    file: DuplicateFile
    content: LibraryContent
    mtime_ns: int
    is_turned: bool
    is_copy: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Sorts the file to keep first."""
        file, taken_at = self.file, self.content.taken_at
        pixels, path = file.width * file.height, str(file.path)
        is_raw = _is_raw(file.format) or any(_is_raw(other.suffix[1:]) for other in file.stack)
        return (
            -pixels,
            not is_raw,
            self.content.camera is None,
            taken_at or datetime.max,
            self.is_turned,
            self.is_copy,
            file.format not in _LOSSLESS,
            -file.size / max(pixels, 1),
            self.mtime_ns,
            len(path),
            path,
        )


def rank_files(
    contents: Sequence[LibraryContent], turns: Mapping[str, int] | None = None
) -> tuple[tuple[DuplicateFile, ...], str]:
    """The files of a group, the one to keep first, and in words what sets it apart.

    In this order: most pixels; RAW; camera metadata; taken first; not turned or mirrored; no lossless copy that was
    made after a lossy file; lossless; least compressed (bytes per pixel); changed first; shortest path; the path.

    Args:
        contents: of the group, one or more, with two files or more between them.
        turns: how each content lies, by hash, as `clipsearch.retrieval.duplicates.alignment` numbers turns.
    """
    turns = turns or {}
    upright = _upright(contents, turns)
    lossy = [
        (item.width * item.height, file.mtime_ns)
        for item in contents
        for file in item.files
        if item.format not in _LOSSLESS and not _is_raw(item.format)
    ]
    ranked = [
        _Ranked(
            DuplicateFile(file.path, file.size, item.width, item.height, item.format, item.content_hash, file.stack),
            item,
            file.mtime_ns,
            is_turned=turns.get(item.content_hash, upright) != upright,
            is_copy=item.format in _LOSSLESS
            and any(pixels == item.width * item.height and changed < file.mtime_ns for pixels, changed in lossy),
        )
        for item in contents
        for file in item.files
    ]
    ranked.sort(key=lambda item: item.key)
    return tuple(item.file for item in ranked), _reason(ranked[0], ranked[1])


def _upright(contents: Sequence[LibraryContent], turns: Mapping[str, int]) -> int:
    """How most of a group lie; of two that differ, the one with camera metadata, or the lossy one, lies right."""
    votes: Counter[int] = Counter()
    for item in contents:
        weight = 2 + 2 * (item.camera is not None) + (item.format not in _LOSSLESS)
        votes[turns.get(item.content_hash, 0)] += weight
    return max(votes, key=lambda turn: (votes[turn], -turn))


def _is_raw(format_: str) -> bool:
    return f".{format_.lower()}" in RAW_SUFFIXES


def _reason(best: _Ranked, second: _Ranked) -> str:
    file, taken_at = best.file, best.content.taken_at
    words = (
        f"most pixels ({file.width}×{file.height})",
        "a RAW file" if _is_raw(file.format) else "with a RAW file",
        f"camera metadata ({best.content.camera})",
        f"taken first ({taken_at:%Y-%m-%d %H:%M:%S})" if taken_at else "taken first",
        "not turned or mirrored",
        "the lossless file was made later",
        f"saved without loss ({file.format})",
        f"least compressed ({file.size / max(file.width * file.height, 1):.2f} bytes per pixel)",
        "changed first",
        "shortest path",
        "first by name",
    )
    if file.content_hash == second.file.content_hash:
        words = (*words[:-2], "shortest path among exact copies", "first by name among exact copies")
    pairs = zip(words, best.key, second.key, strict=True)
    return next((word for word, own, other in pairs if own != other), words[-1])
