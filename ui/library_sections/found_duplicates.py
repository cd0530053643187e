"""The duplicates that were found last, for every session of the process: finding them can take minutes."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from clipsearch.library import Library
from clipsearch.retrieval.duplicates import DuplicateGroup


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
        self._found: FoundDuplicates | None = None
        self._finding, self._lock = threading.Lock(), threading.Lock()

    def found(self, library: Library) -> FoundDuplicates | None:
        """The last ones of a library, be they of its present revision or of an older one."""
        found = self._found
        return found if found is not None and found.library == library.path else None

    def find(self, library: Library) -> None:
        """Look for them, one session at a time; who waited for another one takes what that found.

        Raises:
            QueryError: the library has no images.
        """
        before = self.found(library)
        with self._finding:
            if self.found(library) is before:
                revision = library.revision()
                groups = tuple(library.duplicates.find())
                with self._lock:
                    self._found = FoundDuplicates(library.path, revision, groups)

    def forget(self, library: Library, paths: Collection[Path], *, revision: int) -> None:
        """Leave out files that are gone, without looking at all pictures again.

        Args:
            library: whose they were.
            paths: of the files.
            revision: of the library, just before they went.
        """
        with self._lock:
            found = self.found(library)
            if found is None:
                return
            groups = tuple(left for group in found.groups if (left := _without(group, paths)) is not None)
            current = library.revision() if found.revision == revision else found.revision
            self._found = replace(found, revision=current, groups=groups)


def _without(group: DuplicateGroup, paths: Collection[Path]) -> DuplicateGroup | None:
    """What is left of a group; ``None`` if it is none any more. Who is best is known, but no longer why."""
    left = tuple(file for file in group.files if file.path not in paths)
    if len(left) < 2:
        return None
    return replace(group, files=left, reason=group.reason if left[0] == group.best else "")


duplicates_holder = DuplicatesHolder()
