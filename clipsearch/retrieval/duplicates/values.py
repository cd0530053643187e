"""What the search for duplicates takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

DuplicateKind = Literal["identical", "same", "near"]

KINDS: tuple[DuplicateKind, ...] = ("identical", "same", "near")
"""From the closest to the loosest: byte for byte; re-encoded or resized; cropped, turned, mirrored or edited."""


@dataclass(frozen=True)
class HeldFile:
    """A file that holds a content: where it is, and its size in bytes."""

    path: Path
    size: int


@dataclass(frozen=True)
class HeldContent:
    """A content of the library and all the files that hold it.

    Attributes:
        content_hash: of the files' bytes.
        width: of the picture as it is looked at, in pixels.
        height: likewise.
        format: Pillow's name of its format; of a RAW file its suffix in capitals.
        files: that hold it, at least one.
        fingerprint: of `clipsearch.media.perceptual_hash`; ``None`` if it has none yet, then only exact copies are
            found.
        taken_at: on the camera's clock; ``None`` where the file does not tell.
    """

    content_hash: str
    width: int
    height: int
    format: str
    files: tuple[HeldFile, ...]
    fingerprint: bytes | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True)
class DuplicateFile:
    """A file of a group of duplicates; width and height in pixels as it is looked at, size in bytes."""

    path: Path
    size: int
    width: int
    height: int
    format: str
    content_hash: str


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
