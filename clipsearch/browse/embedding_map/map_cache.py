"""In-memory cache of a library's map; starts the background process that draws it by UMAP."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.browse.embedding_map.files import load_map, map_lock, save_map
from clipsearch.browse.embedding_map.projection import DrawnMap, draw_map, method_for, up_to_date
from clipsearch.browse.embedding_map.values import EmbeddingMap
from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.config import LIBRARY_VARIABLE
from clipsearch.errors import EmptyLibraryError

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class MapCache:
    """The map of one library. Thread-safe: one thread draws, the others wait."""

    def __init__(self, catalog: LazyCatalog) -> None:
        """Bind the catalog; nothing is read yet."""
        self._catalog = catalog
        self._lock = threading.Lock()
        self._cached: tuple[ModelRecord, DrawnMap] | None = None
        self._drawing: _Drawing | None = None

    def current(self, *, wait_s: float = 0.0) -> EmbeddingMap:
        """See `Library.browse.embedding_map`."""
        current = self._current()
        if current.complete or current.problem or wait_s <= 0:
            return current
        drawing = self._drawing
        if drawing is not None:
            drawing.thread.join(wait_s)
        return self._current()

    def _current(self) -> EmbeddingMap:
        with self._lock:
            model = self._catalog.active_model()
            if model is None:
                raise EmptyLibraryError
            drawn = self._up_to_date(self._catalog.store, model)
            self._cached = model, drawn
            if not drawn.is_to_be_redrawn():
                return drawn.shown(complete=True, problem="")
            if self._drawing is None or self._drawing.is_over_for(drawn.revision):
                self._drawing = _Drawing(self._catalog, drawn.revision)
            return drawn.shown(complete=False, problem=self._drawing.problem)

    def _up_to_date(self, store: Catalog, model: ModelRecord) -> DrawnMap:
        """The best available map at the catalog's revision."""
        cached = self._cached[1] if self._cached is not None and self._cached[0] == model else None
        if cached is None or (self._drawing is not None and self._drawing.take_success()):
            cached = load_map(store.directory, model) or cached
        drawn = up_to_date(store, model, cached)
        if drawn is cached:
            return drawn
        if drawn.is_to_be_redrawn() and method_for(len(drawn.ids)) == "pca":
            drawn = draw_map(store, model, method="pca")
        _save_if_free(store, model, drawn)
        return drawn


class _Drawing:
    """The background process that draws a map."""

    def __init__(self, catalog: LazyCatalog, revision: int) -> None:
        """Start the process and a thread that waits for it."""
        self._command = [sys.executable, "-m", "clipsearch.browse.embedding_map.worker"]
        # not as an argument, which other users of the machine see: the URL of a database may have a password
        place = catalog.place
        self._library = {LIBRARY_VARIABLE: str(place) if isinstance(place, Path) else place.text}
        self._revision = revision
        self._has_succeeded = False
        self.problem = ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def take_success(self) -> bool:
        """Whether it has succeeded since the last call."""
        succeeded, self._has_succeeded = self._has_succeeded, False
        return succeeded

    def is_over_for(self, revision: int) -> bool:
        """Whether it has ended and should be restarted; after a failure only at another catalog revision."""
        if self.thread.is_alive() or self._has_succeeded:
            return False
        return not self.problem or revision != self._revision

    def _run(self) -> None:
        try:
            with subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | _ONE_CORE | self._library
            ) as process:
                assert process.stderr is not None
                output = process.stderr.read().decode(errors="replace").strip()
        except OSError as error:
            self.problem = str(error)
            return
        if process.returncode == 0:
            self._has_succeeded = True
        else:
            self.problem = output.splitlines()[-1] if output else f"its process ended with status {process.returncode}"
            logger.warning("cannot draw the map of the library: %s", self.problem)


def _save_if_free(store: Catalog, model: ModelRecord, drawn: DrawnMap) -> None:
    """Save a map unless another process is drawing one or the library is read-only."""
    try:
        with map_lock(store.directory, wait_s=0) as may_write:
            if may_write:
                save_map(store.directory, model, drawn)
    except OSError as error:
        logger.info("cannot save the map: %s", error)
