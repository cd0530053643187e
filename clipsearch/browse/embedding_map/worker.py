"""The background process that draws a library's map.

`clipsearch.browse.embedding_map.map_cache` starts it with one core at low priority. It ends with its parent, when its
standard input is closed.
"""

from __future__ import annotations

import os
import sys
import threading

from clipsearch.browse.embedding_map.files import load_map, map_lock, save_map
from clipsearch.browse.embedding_map.projection import draw_map, incremental_update
from clipsearch.catalog.catalog import Catalog
from clipsearch.config import LibraryPlace, library_place

_NICENESS = 10
_WAIT_S = 3600.0
"""How long to wait for another process that draws the map of the same library."""


def redraw(place: LibraryPlace) -> None:
    """Draw and save a library's map, unless another process has done so meanwhile.

    Raises:
        LibraryError: the catalog cannot be read.
        OSError: the map cannot be saved.
    """
    store = Catalog(place)
    directory = store.directory
    try:
        model = store.models.active()
        with map_lock(directory, wait_s=_WAIT_S) as may_write:
            if model is None or not may_write:
                return
            saved = load_map(directory, model)
            before = incremental_update(store, model, saved) if saved is not None else None
            if before is not None and not before.is_to_be_redrawn():
                return
            save_map(directory, model, draw_map(store, model, before=before))
    finally:
        store.close()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not by sys.stdin, which a thread must not hold when Python ends
        pass
    os._exit(0)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    redraw(library_place())
