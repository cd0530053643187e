"""Forgetting files and folders of a library."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.tables import Failure, File
from clipsearch.errors import ConfigError
from clipsearch.system.remote_files import scheme_of

_Rows = dict[type[File | Failure], list[int]]


def forget_paths(store: Catalog, paths: Sequence[Path]) -> int:
    """Take files, and all files in folders, out of the catalog; on disk nothing is touched.

    They are looked up in the catalog only, so that they need not be there any more.

    Args:
        store: the catalog.
        paths: of files and folders.

    Returns:
        How many files were forgotten, unreadable ones included.

    Raises:
        ConfigError: the catalog knows nothing of one of them; then none is forgotten.
        LibraryLockedError: another process is writing to this library.
    """
    with store.writer_lock():
        found = [rows for path in paths for rows in _rows_at(store, path)]
        return store.upkeep.forget(found)


def forget_held(store: Catalog, path: Path) -> Callable[[], int]:
    """What takes one file out of the catalog, for a caller who holds the writer's lock.

    Raises:
        ConfigError: the catalog knows nothing of it, or it is a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder")
    found = _rows_at(store, path)
    return lambda: store.upkeep.forget(found)


def _rows_at(store: Catalog, path: Path) -> list[_Rows]:
    # as it is written first: a link in the path may lead elsewhere now, and its target may be gone
    absolute = [Path(os.path.abspath(path)), path.resolve()]  # noqa: PTH100 (no links followed)
    for candidate in dict.fromkeys(absolute if scheme_of(path) is None else [path]):
        found = [rows for rows in _rows_below(store, candidate) if any(rows.values())]
        if found:
            return found
    raise ConfigError(f"the library holds no file {path} and none in a folder of that name (see: clipsearch roots)")


def _rows_below(store: Catalog, path: Path) -> list[_Rows]:
    found = []
    for root in store.roots.all():
        if root.path.is_relative_to(path):
            found.append(store.upkeep.rows_below(root.id, ""))
        elif path.is_relative_to(root.path):
            found.append(store.upkeep.rows_below(root.id, path.relative_to(root.path).as_posix()))
    return found
