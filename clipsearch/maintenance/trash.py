"""Moves files to the system's trash, from where a person can take them back, and forgets them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.errors import LibraryError
from clipsearch.maintenance.forget import forget_held


def move_to_trash(store: Catalog, paths: Sequence[Path]) -> int:
    """Move files of a library to the system's trash, one by one, and take each out of the catalog.

    A picture that is taken back from the trash is new for the library, but not embedded again.

    Args:
        store: the catalog.
        paths: of files that it holds; folders are refused.

    Returns:
        How many were moved.

    Raises:
        ConfigError: the catalog knows nothing of one of them; then none is moved.
        LibraryLockedError: another process is writing to this library.
        LibraryError: one cannot be moved; those before it were, and are forgotten.
    """
    from send2trash import send2trash

    with store.writer_lock():
        forget = [forget_held(store, path) for path in paths]
        for number, (path, forget_it) in enumerate(zip(paths, forget, strict=True)):
            try:
                send2trash(path)
            except OSError as error:
                moved = f"; {number} before it were moved" if number else ""
                raise LibraryError(f"cannot move {path} to the trash: {error.strerror or error}{moved}") from error
            forget_it()
    return len(paths)
