"""Delete data of contents without files, and reclaim disk space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.maintenance.check.temporaries import leftover_files
from clipsearch.media.thumbnails import THUMBNAILS_NAME
from clipsearch.text import Notify
from clipsearch.vectors.engine import current_index


@dataclass(frozen=True)
class CompactionReport:
    """Result of a compaction.

    Attributes:
        images: number of deleted contents.
        embeddings: number of deleted embeddings.
        previews: number of deleted previews, stray ones included.
        bytes_before: size of the library's files before.
        bytes_after: size of the library's files after.
    """

    images: int
    embeddings: int
    previews: int
    bytes_before: int
    bytes_after: int


def compact_library(
    store: Catalog, *, notify: Notify, reached: Callable[[str], None] = lambda _: None
) -> CompactionReport:
    """See `Library.maintenance.compact`.

    The catalog is changed first, in one transaction, the caches after it: a process killed at any point leaves a
    consistent library, and the next compaction does the rest.

    Args:
        store: the catalog.
        notify: callback for one-line user notices.
        reached: called with the name of each completed step: ``dropped``, ``previews``, ``packed``, ``cached``.
    """
    with store.writer_lock():
        before = library_bytes(store.directory)
        images, embeddings = store.upkeep.drop_unreferenced()
        reached("dropped")
        previews = _drop_previews(store)
        reached("previews")
        store.upkeep.pack()
        reached("packed")
        _renew_cache(store, notify)
        reached("cached")
        return CompactionReport(images, embeddings, previews, before, library_bytes(store.directory))


def library_bytes(library: Path) -> int:
    """Size of a library's files; other processes may add and remove files meanwhile."""
    total = 0
    for path in library.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _drop_previews(store: Catalog) -> int:
    """Delete stray previews and abandoned temporary files."""
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


def _renew_cache(store: Catalog, notify: Notify) -> None:
    """Update the active model's saved vectors to the catalog's new revision."""
    active = store.models.active()
    if active is not None:
        current_index(store, active, notify=notify, locked=True)
