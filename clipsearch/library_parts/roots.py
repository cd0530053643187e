"""`Library.roots`: the indexed folders."""

from __future__ import annotations

from pathlib import Path

from clipsearch.catalog.records import RootRecord
from clipsearch.catalog.reports import RootStatus
from clipsearch.catalog.volumes import is_online, place_of
from clipsearch.errors import ConfigError
from clipsearch.library_parts.context import LibraryContext


class Roots:
    """The indexed folders of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share."""
        self._context = context

    def all(self) -> list[RootStatus]:
        """The indexed folders, and whether their drives are there now, by path."""
        return [RootStatus(root.path, root.files, is_online(root)) for root in self._context.store.roots.all()]

    def move(self, old: Path | str, new: Path | str) -> RootStatus:
        """Say that an indexed folder is elsewhere now, or that its drive was replaced; no picture is read.

        Raises:
            ConfigError: `old` is no root, `new` is no folder, or it is in another root.
            LibraryLockedError: another process is writing to this library.
        """
        root, store = self._root_at(old), self._context.store
        path = Path(new).expanduser().resolve()
        if not path.is_dir():
            raise ConfigError(f"there is no folder {path}; plug its drive in first")
        for other in store.roots.all():
            if other.id != root.id and (path.is_relative_to(other.path) or other.path.is_relative_to(path)):
                raise ConfigError(f"{path} overlaps the indexed folder {other.path}")
        place = place_of(path)
        with store.writer_lock():
            store.roots.move(root.id, path, volume_id=place.volume_id, volume_path=place.volume_path)
        return RootStatus(path, root.files, online=True)

    def remove(self, path: Path | str) -> int:
        """Forget an indexed folder; its files on disk are not touched. Returns how many files it held.

        Raises:
            ConfigError: it is no root.
            LibraryLockedError: another process is writing to this library.
        """
        root, store = self._root_at(path), self._context.store
        with store.writer_lock():
            return store.roots.remove(root.id)

    def _root_at(self, path: Path | str) -> RootRecord:
        named = Path(path).expanduser()
        roots = self._context.store.roots.all()
        for root in roots:
            if root.path in (named, named.absolute(), named.resolve()):
                return root
        known = ", ".join(str(root.path) for root in roots) or "none"
        raise ConfigError(f"{named} is not an indexed folder; those are: {known}")
