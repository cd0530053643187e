"""`Library.roots`: the indexed folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.exclusion_patterns import exclusion_pattern
from clipsearch.catalog.records import RootRecord
from clipsearch.catalog.volumes import is_online, place_of
from clipsearch.config import typed_path
from clipsearch.errors import ConfigError
from clipsearch.library_parts.context import LibraryContext
from clipsearch.text import composed

if TYPE_CHECKING:
    from clipsearch.catalog.reports import RootStatus


class Roots:
    """The indexed folders of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def all(self) -> list[RootStatus]:
        """The indexed folders and their online state, by path."""
        return [_status(root, root.path, online=is_online(root)) for root in self._context.store.roots.all()]

    def exclusions(self) -> tuple[str, ...]:
        """The patterns of what is not indexed in any folder, in gitignore's syntax."""
        return self._context.store.exclusions.of_library()

    def exclude(self, patterns: Sequence[str], folder: Path | str | None = None) -> None:
        """Leave files and folders out from the next run of the indexer on; what is known of them is kept.

        Args:
            patterns: in gitignore's syntax; a later one wins over an earlier one.
            folder: an indexed folder; all of the library by default.

        Raises:
            ConfigError: one is no pattern, or the folder is no root.
            LibraryLockedError: another process is writing to this library.
        """
        store, root = self._context.store, self._root_at(folder) if folder is not None else None
        checked = [exclusion_pattern(pattern, root.path if root is not None else None) for pattern in patterns]
        with store.writer_lock():
            store.exclusions.add(checked, root.id if root is not None else None)

    def stop_excluding(self, patterns: Sequence[str], folder: Path | str | None = None) -> None:
        """Take patterns away that `exclude` or `Library.index` added.

        Raises:
            ConfigError: one of them is not there, or the folder is no root.
            LibraryLockedError: another process is writing to this library.
        """
        store, root = self._context.store, self._root_at(folder) if folder is not None else None
        checked = [exclusion_pattern(pattern, root.path if root is not None else None) for pattern in patterns]
        known = root.exclusions if root is not None else store.exclusions.of_library()
        if unknown := [pattern for pattern in checked if pattern not in known]:
            raise ConfigError(f"{unknown[0]} is not excluded; the patterns are: {', '.join(known) or 'none'}")
        with store.writer_lock():
            store.exclusions.remove(checked, root.id if root is not None else None)

    def use_default_exclusions(self, wanted: bool, folder: Path | str | None = None) -> None:
        """Leave out other programs' private folders, or stop doing so; of all indexed folders by default.

        Raises:
            ConfigError: the folder is no root.
            LibraryLockedError: another process is writing to this library.
        """
        store = self._context.store
        roots = store.roots.all() if folder is None else [self._root_at(folder)]
        with store.writer_lock():
            for root in roots:
                store.exclusions.use_defaults(wanted, root.id)

    def move(self, old: Path | str, new: Path | str) -> RootStatus:
        """Change the path of an indexed folder that was moved or whose drive was replaced; reads no picture.

        Raises:
            ConfigError: `old` is no root, `new` is no folder, or it overlaps another root.
            LibraryLockedError: another process is writing to this library.
        """
        root, store = self._root_at(old), self._context.store
        path = typed_path(new).resolve()
        if not path.is_dir():
            raise ConfigError(f"the folder {path} does not exist; connect its drive first")
        for other in store.roots.all():
            if other.id != root.id and (path.is_relative_to(other.path) or other.path.is_relative_to(path)):
                raise ConfigError(f"{path} overlaps the root {other.path}")
        place = place_of(path)
        with store.writer_lock():
            store.roots.move(root.id, path, volume_id=place.volume_id, volume_path=place.volume_path)
        return _status(root, path, online=True)

    def remove(self, path: Path | str) -> int:
        """Remove an indexed folder from the library but not from disk. Returns its number of files.

        Raises:
            ConfigError: `path` is no root.
            LibraryLockedError: another process is writing to this library.
        """
        root, store = self._root_at(path), self._context.store
        with store.writer_lock():
            return store.roots.remove(root.id)

    def _root_at(self, path: Path | str) -> RootRecord:
        folder = typed_path(path)
        forms = {composed(str(form)) for form in (folder, folder.absolute(), folder.resolve())}
        roots = self._context.store.roots.all()
        for root in roots:
            if composed(str(root.path)) in forms:
                return root
        known = ", ".join(str(root.path) for root in roots) or "none"
        raise ConfigError(f"{folder} is not a root; roots: {known}")


def _status(root: RootRecord, path: Path, *, online: bool) -> RootStatus:
    from clipsearch.catalog.reports import RootStatus

    return RootStatus(path, root.files, online, root.exclusions, root.default_exclusions)
