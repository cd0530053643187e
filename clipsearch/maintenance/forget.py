"""Remove files and folders from the catalog, also with moving files to the system's trash."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.tables import Failure, File
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.media.metadata.sidecar_names import match_sidecars
from clipsearch.system.remote_files import scheme_of
from clipsearch.text import composed

_Rows = dict[type[File | Failure], list[int]]


def forget_paths(store: Catalog, paths: Sequence[Path]) -> int:
    """See `Library.maintenance.forget`; only the catalog is read, so files need not exist any more."""
    with store.writer_lock():
        return store.upkeep.forget([rows for path in paths for rows in _rows_at(store, path)])


def move_to_trash(store: Catalog, paths: Sequence[Path]) -> int:
    """See `Library.maintenance.trash`; a picture restored from the trash needs no new embedding.

    Its sidecars go with it, except those that belong to another file as well.
    """
    from send2trash import send2trash

    with store.writer_lock():
        rows_of_files = [_rows_of_file(store, path) for path in paths]
        for number, (path, rows) in enumerate(zip(paths, rows_of_files, strict=True)):
            try:
                for place in [path, *_own_sidecars(path)]:
                    send2trash(place)
            except OSError as error:
                moved = f"; {number} before it were moved" if number else ""
                raise LibraryError(f"cannot move {path} to the trash: {error.strerror or error}{moved}") from error
            store.upkeep.forget(rows)
    return len(paths)


def _own_sidecars(picture: Path) -> list[Path]:
    """The sidecars of a picture that belong to no other file."""
    names = [entry.name for entry in picture.parent.iterdir()]
    sidecars_of = match_sidecars(names)
    shared = Counter(sidecar for sidecars in sidecars_of.values() for sidecar in sidecars)
    return [picture.parent / names[sidecar] for sidecar in sidecars_of.get(picture.name, ()) if shared[sidecar] == 1]


def _rows_of_file(store: Catalog, path: Path) -> list[_Rows]:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder")
    return _rows_at(store, path)


def _rows_at(store: Catalog, path: Path) -> list[_Rows]:
    # without following links first: a link may point elsewhere now, and its target may be deleted
    absolute = [Path(os.path.abspath(path)), path.resolve()]  # noqa: PTH100 (no links followed)
    for candidate in dict.fromkeys(absolute if scheme_of(path) is None else [path]):
        rows = [table_rows for table_rows in _rows_below(store, candidate) if any(table_rows.values())]
        if rows:
            return rows
    raise ConfigError(f"the library has no file or folder {path} (see: clipsearch roots)")


def _rows_below(store: Catalog, path: Path) -> list[_Rows]:
    rows = []
    plain = Path(composed(str(path)))
    for root in store.roots.all():
        place = Path(composed(str(root.path)))
        if place.is_relative_to(plain):
            rows.append(store.upkeep.rows_below(root.id, ""))
        elif plain.is_relative_to(place):
            below = Path(*path.parts[len(place.parts) :]).as_posix()
            # a file that is gone may be in the catalog in another Unicode form than it was typed in
            forms = dict.fromkeys([below, *(unicodedata.normalize(form, below) for form in ("NFC", "NFD"))])
            rows += [store.upkeep.rows_below(root.id, form) for form in forms]
    return rows
