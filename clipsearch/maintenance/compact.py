"""Dropping what no file holds any more, and giving its room back to the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.maintenance.check.temporaries import leftover_files
from clipsearch.media.thumbnails import THUMBNAILS_NAME
from clipsearch.vectors.sync import current_index


@dataclass(frozen=True)
class CompactionReport:
    """What a compaction dropped.

    Attributes:
        images: contents that no file held.
        embeddings: of those.
        previews: of those, and of contents that the catalog never got to know.
        bytes_before: size of the library's own files.
        bytes_after: likewise.
    """

    images: int
    embeddings: int
    previews: int
    bytes_before: int
    bytes_after: int


def compact_library(
    store: Catalog, *, notify: Callable[[str], None], reached: Callable[[str], None] = lambda _: None
) -> CompactionReport:
    """Drop images, embeddings, keywords and previews that no file holds, and make the library's files smaller.

    The catalog is changed first, in one transaction; what is only a cache of it follows. A process that is
    killed at any point leaves a library that is whole, and the next compaction does the rest.

    Args:
        store: the catalog.
        notify: told in one line what a person should know.
        reached: told the name of each step that is done: ``dropped``, ``previews``, ``packed``, ``cached``.

    Raises:
        LibraryLockedError: another process is writing to this library.
        LibraryError: the disk is full, or the library cannot be written to.
    """
    with store.writer_lock():
        before = library_bytes(store.directory)
        images, embeddings = store.upkeep.drop_unheld()
        reached("dropped")
        previews = _drop_previews(store)
        reached("previews")
        store.upkeep.pack()
        reached("packed")
        _renew_cache(store, notify)
        reached("cached")
        return CompactionReport(images, embeddings, previews, before, library_bytes(store.directory))


def library_bytes(library: Path) -> int:
    """Size of a library's own files; other processes may add and remove some meanwhile."""
    total = 0
    for path in library.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _drop_previews(store: Catalog) -> int:
    """Delete the previews of contents that the catalog does not hold, and what killed processes left."""
    dropped = 0
    for shard in sorted((store.directory / THUMBNAILS_NAME).glob("??")):
        known = store.upkeep.known_contents(shard.name)
        for path in shard.glob("*.jpg"):
            if path.stem not in known:
                path.unlink(missing_ok=True)
                dropped += 1
    for path in leftover_files(store.directory):
        path.unlink(missing_ok=True)
    return dropped


def _renew_cache(store: Catalog, notify: Callable[[str], None]) -> None:
    """Bring the active model's saved vectors to the catalog's new revision; others are when they are wanted."""
    active = store.models.active()
    if active is not None:
        current_index(store, active, notify=notify, locked=True)
