"""Options and results of the search for duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

DuplicateKind = Literal["identical", "same", "near"]

KINDS: tuple[DuplicateKind, ...] = ("identical", "same", "near")
"""From the closest to the loosest: byte for byte; re-encoded or resized; cropped, turned, mirrored or edited."""


@dataclass(frozen=True)
class LibraryFile:
    """A file with a content.

    Attributes:
        path: of the file.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970; 0 if unknown.
        stack: the other files of its stack (`clipsearch.media.stacks`).
    """

    path: Path
    size: int
    mtime_ns: int = 0
    stack: tuple[Path, ...] = ()


@dataclass(frozen=True)
class LibraryContent:
    """A content of the library and all the files that hold it.

    Attributes:
        content_hash: of the files' bytes.
        width: in pixels, after EXIF rotation.
        height: in pixels, after EXIF rotation.
        format: Pillow's name of its format; of a RAW file its suffix in capitals.
        files: that hold it, at least one.
        fingerprint: of `clipsearch.media.perceptual_hash`; ``None`` if it has none yet, then only exact copies are
            found.
        taken_at: on the camera's clock; ``None`` where the file does not tell.
        camera: make and model, if known.
        duration_ms: of a video; ``None`` for a picture.
    """

    content_hash: str
    width: int
    height: int
    format: str
    files: tuple[LibraryFile, ...]
    fingerprint: bytes | None = None
    taken_at: datetime | None = None
    camera: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True)
class DuplicateFile:
    """A file of a group of duplicates; width and height in pixels after EXIF rotation, size in bytes."""

    path: Path
    size: int
    width: int
    height: int
    format: str
    content_hash: str
    stack: tuple[Path, ...] = ()


@dataclass(frozen=True)
class DuplicateGroup:
    """Files that show the same picture.

    Attributes:
        kind: the loosest that joins it: a group with a crop is ``near``, whatever exact copies it has besides.
        files: the one to keep first, two or more.
        reason: why that one is suggested, in words.
    """

    kind: DuplicateKind
    files: tuple[DuplicateFile, ...]
    reason: str

    @property
    def best(self) -> DuplicateFile:
        """The file that is suggested to be kept."""
        return self.files[0]

    @property
    def others(self) -> tuple[DuplicateFile, ...]:
        """All files but the best."""
        return self.files[1:]
