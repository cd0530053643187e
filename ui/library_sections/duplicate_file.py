"""A file of a group of duplicates as it is reviewed: its preview, its date, and whether it can be moved at all."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from clipsearch.browse.details import HeldFile, PictureDetails
from clipsearch.errors import QueryError
from clipsearch.retrieval.duplicates import DuplicateFile
from ui import strings_library as strings
from ui.shared import library

_SAME_TIME_S = 0.001
"""Times go through floating-point numbers on their way."""


@dataclass(frozen=True)
class SeenFile:
    """What is shown of it.

    Attributes:
        file: of the group.
        thumbnail: its preview; ``None`` if there is none.
        date: when the picture was taken or the file changed, in words; empty if neither is known.
        hindrance: why it cannot be moved to the trash, in words; ``None`` if it can.
    """

    file: DuplicateFile
    thumbnail: Path | None
    date: str
    hindrance: str | None


def seen_file(file: DuplicateFile) -> SeenFile:
    """Look a file up, in the library and on its disk."""
    try:
        picture = library().browse.picture(file.content_hash)
    except QueryError:
        return SeenFile(file, None, "", strings.NOT_IN_LIBRARY)
    held = next((held for held in picture.files if held.path == file.path), None)
    if held is None:
        return SeenFile(file, picture.thumbnail, "", strings.NOT_IN_LIBRARY)
    return SeenFile(file, picture.thumbnail, _date(picture, held), _hindrance(held))


def _date(picture: PictureDetails, held: HeldFile) -> str:
    taken_at = picture.metadata.taken_at
    if taken_at is not None:
        return strings.TAKEN.format(date=f"{taken_at:%Y-%m-%d %H:%M}")
    return strings.MODIFIED.format(date=f"{held.modified_at.astimezone():%Y-%m-%d %H:%M}")


def _hindrance(held: HeldFile) -> str | None:
    """A file that was edited since it was indexed is no duplicate any more, for all that is known."""
    if not held.online:
        return strings.HINDRANCES["offline"]
    try:
        found = held.path.lstat()
    except OSError:
        return strings.HINDRANCES["gone"]
    if stat.S_ISLNK(found.st_mode):
        return strings.HINDRANCES["link"]
    same_time = abs(found.st_mtime - held.modified_at.timestamp()) < _SAME_TIME_S
    return None if same_time and found.st_size == held.size else strings.HINDRANCES["changed"]
