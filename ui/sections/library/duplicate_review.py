"""The last found duplicates, shared by all sessions, and the state of their files."""

from __future__ import annotations

import stat
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from clipsearch.browse.details import PictureDetails, PictureFile
from clipsearch.errors import QueryError
from clipsearch.library import Library
from clipsearch.media.metadata.values import date_text
from clipsearch.retrieval.duplicates import DuplicateFile, DuplicateGroup
from clipsearch.system.file_times import stamp_of, time_of
from ui import strings_library as strings
from ui.shared import library

_SAME_TIME_S = 0.001
"""Tolerance for times that were converted to floating point."""


@dataclass(frozen=True)
class FoundDuplicates:
    """Groups of duplicates of one revision of a library."""

    library: Path
    revision: int
    groups: tuple[DuplicateGroup, ...]


class DuplicatesHolder:
    """The last found duplicates; thread-safe."""

    def __init__(self) -> None:
        """Start empty."""
        self._latest: FoundDuplicates | None = None
        self._finding, self._lock = threading.Lock(), threading.Lock()

    def latest(self, library: Library) -> FoundDuplicates | None:
        """The last found duplicates of a library, possibly of an older revision."""
        latest = self._latest
        return latest if latest is not None and latest.library == library.path else None

    def find(self, library: Library) -> None:
        """Find duplicates, one session at a time; a session that waited takes the result of the other.

        Raises:
            QueryError: the library has no pictures.
        """
        before = self.latest(library)
        with self._finding:
            if self.latest(library) is before:
                revision = library.revision()
                groups = tuple(library.duplicates.find())
                with self._lock:
                    self._latest = FoundDuplicates(library.path, revision, groups)

    def forget(self, library: Library, paths: Collection[Path], *, revision: int) -> None:
        """Remove deleted files from the groups, without another search.

        Args:
            library: the library of the files.
            paths: paths of the files.
            revision: the revision of the library before the deletion.
        """
        with self._lock:
            latest = self.latest(library)
            if latest is None:
                return
            groups = tuple(rest for group in latest.groups if (rest := _without(group, paths)) is not None)
            current = library.revision() if latest.revision == revision else latest.revision
            self._latest = replace(latest, revision=current, groups=groups)


def _without(group: DuplicateGroup, paths: Collection[Path]) -> DuplicateGroup | None:
    """The group without these files; ``None`` if fewer than two remain. The reason is that of the old best file."""
    rest = tuple(file for file in group.files if file.path not in paths)
    if len(rest) < 2:
        return None
    return replace(group, files=rest, reason=group.reason if rest[0] == group.best else "")


duplicates_holder = DuplicatesHolder()


@dataclass(frozen=True)
class SeenFile:
    """A file of a group with its state.

    Attributes:
        file: the file.
        thumbnail: its preview, if there is one.
        date: text of the date taken or modified; empty if unknown.
        hindrance: text why it cannot be moved to the trash; ``None`` if it can.
    """

    file: DuplicateFile
    thumbnail: Path | None
    date: str
    hindrance: str | None


def seen_file(file: DuplicateFile) -> SeenFile:
    """Look a file up in the library and on disk."""
    try:
        picture = library().browse.picture(file.content_hash)
    except QueryError:
        return SeenFile(file, None, "", strings.NOT_IN_LIBRARY)
    entry = next((entry for entry in picture.files if entry.path == file.path), None)
    if entry is None:
        return SeenFile(file, picture.thumbnail, "", strings.NOT_IN_LIBRARY)
    return SeenFile(file, picture.thumbnail, _date(picture, entry), _hindrance(entry))


def _date(picture: PictureDetails, entry: PictureFile) -> str:
    taken_at = picture.metadata.taken_at
    if taken_at is not None:
        return strings.TAKEN.format(date=date_text(taken_at, picture.metadata.taken_precision))
    if entry.modified_at is None:
        return ""
    return strings.MODIFIED.format(date=f"{entry.modified_at.astimezone():%Y-%m-%d %H:%M}")


def _hindrance(entry: PictureFile) -> str | None:
    """A file that has changed since it was indexed may no longer be a duplicate."""
    if not entry.online:
        return strings.HINDRANCES["offline"]
    try:
        status = entry.path.lstat()
    except OSError:
        return strings.HINDRANCES["gone"]
    if stat.S_ISLNK(status.st_mode):
        return strings.HINDRANCES["link"]
    is_same = status.st_size == entry.size and _same_time(time_of(stamp_of(status.st_mtime_ns)), entry.modified_at)
    return None if is_same else strings.HINDRANCES["changed"]


def _same_time(first: datetime | None, second: datetime | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs((first - second).total_seconds()) < _SAME_TIME_S
