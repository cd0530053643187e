"""Duplicates under review: the groups found last, for every session of the process, and the state of their files."""

from __future__ import annotations

import stat
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from clipsearch.browse.details import HeldFile, PictureDetails
from clipsearch.errors import QueryError
from clipsearch.library import Library
from clipsearch.retrieval.duplicates import DuplicateFile, DuplicateGroup
from ui import strings_library as strings
from ui.shared import library

_SAME_TIME_S = 0.001
"""Times go through floating-point numbers on their way."""


@dataclass(frozen=True)
class FoundDuplicates:
    """Groups of duplicates, and the library and its revision that they are of."""

    library: Path
    revision: int
    groups: tuple[DuplicateGroup, ...]


class DuplicatesHolder:
    """Holds the last ones; its methods may be called from any thread."""

    def __init__(self) -> None:
        """Hold none."""
        self._latest: FoundDuplicates | None = None
        self._finding, self._lock = threading.Lock(), threading.Lock()

    def latest(self, library: Library) -> FoundDuplicates | None:
        """The last ones of a library, be they of its present revision or of an older one."""
        latest = self._latest
        return latest if latest is not None and latest.library == library.path else None

    def find(self, library: Library) -> None:
        """Look for them, one session at a time; who waited for another one takes what that found.

        Raises:
            QueryError: the library has no images.
        """
        before = self.latest(library)
        with self._finding:
            if self.latest(library) is before:
                revision = library.revision()
                groups = tuple(library.duplicates.find())
                with self._lock:
                    self._latest = FoundDuplicates(library.path, revision, groups)

    def forget(self, library: Library, paths: Collection[Path], *, revision: int) -> None:
        """Leave out files that are gone, without looking at all pictures again.

        Args:
            library: whose they were.
            paths: of the files.
            revision: of the library, just before they went.
        """
        with self._lock:
            latest = self.latest(library)
            if latest is None:
                return
            groups = tuple(left for group in latest.groups if (left := _without(group, paths)) is not None)
            current = library.revision() if latest.revision == revision else latest.revision
            self._latest = replace(latest, revision=current, groups=groups)


def _without(group: DuplicateGroup, paths: Collection[Path]) -> DuplicateGroup | None:
    """What is left of a group; ``None`` if it is none any more. Who is best is known, but no longer why."""
    left = tuple(file for file in group.files if file.path not in paths)
    if len(left) < 2:
        return None
    return replace(group, files=left, reason=group.reason if left[0] == group.best else "")


duplicates_holder = DuplicatesHolder()


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
    entry = next((entry for entry in picture.files if entry.path == file.path), None)
    if entry is None:
        return SeenFile(file, picture.thumbnail, "", strings.NOT_IN_LIBRARY)
    return SeenFile(file, picture.thumbnail, _date(picture, entry), _hindrance(entry))


def _date(picture: PictureDetails, entry: HeldFile) -> str:
    taken_at = picture.metadata.taken_at
    if taken_at is not None:
        return strings.TAKEN.format(date=f"{taken_at:%Y-%m-%d %H:%M}")
    return strings.MODIFIED.format(date=f"{entry.modified_at.astimezone():%Y-%m-%d %H:%M}")


def _hindrance(entry: HeldFile) -> str | None:
    """A file that was edited since it was indexed is no duplicate any more, for all that is known."""
    if not entry.online:
        return strings.HINDRANCES["offline"]
    try:
        status = entry.path.lstat()
    except OSError:
        return strings.HINDRANCES["gone"]
    if stat.S_ISLNK(status.st_mode):
        return strings.HINDRANCES["link"]
    same_time = abs(status.st_mtime - entry.modified_at.timestamp()) < _SAME_TIME_S
    return None if same_time and status.st_size == entry.size else strings.HINDRANCES["changed"]
