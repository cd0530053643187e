"""Keeps the map of one library at hand: shown at once, saved, and drawn better in the background."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.browse.embedding_map.files import load_map, map_lock, save_map
from clipsearch.browse.embedding_map.projection import DrawnMap, draw_map, incremental_update, method_for
from clipsearch.browse.embedding_map.values import EmbeddingMap
from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.config import LIBRARY_VARIABLE
from clipsearch.errors import QueryError

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class MapCache:
    """The map of one library. Safe to use from several threads: one of them draws, the others wait for it."""

    def __init__(self, catalog: LazyCatalog) -> None:
        """Bind the library's catalog; nothing is read yet."""
        self._catalog = catalog
        self._lock = threading.Lock()
        self._kept: tuple[ModelRecord, DrawnMap] | None = None
        self._drawing: _Drawing | None = None

    def current(self, *, wait_s: float = 0.0) -> EmbeddingMap:
        """The map as well as it can be shown now; a better one is begun if there is one.

        Args:
            wait_s: how long to wait for the better one, in seconds.

        Raises:
            QueryError: the library has no images.
            LibraryError: embeddings in the catalog are damaged.
        """
        found = self._current()
        if found.complete or found.problem or wait_s <= 0:
            return found
        drawing = self._drawing
        if drawing is not None:
            drawing.thread.join(wait_s)
        return self._current()

    def _current(self) -> EmbeddingMap:
        with self._lock:
            model = self._catalog.active_model()
            if model is None:
                raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
            drawn = self._up_to_date(self._catalog.store, model)
            self._kept = model, drawn
            if not drawn.is_to_be_redrawn():
                return drawn.shown(complete=True, problem="")
            if self._drawing is None or self._drawing.is_over_for(drawn.revision):
                self._drawing = _Drawing(self._catalog, drawn.revision)
            return drawn.shown(complete=False, problem=self._drawing.problem)

    def _up_to_date(self, store: Catalog, model: ModelRecord) -> DrawnMap:
        """The best map there is, brought up to the catalog's revision."""
        drawn = self._kept[1] if self._kept is not None and self._kept[0] == model else None
        if drawn is None or (self._drawing is not None and self._drawing.has_news()):
            drawn = load_map(store.directory, model) or drawn
        if drawn is None:
            drawn = draw_map(store, model, method="pca")
        elif drawn.revision != store.revision():
            drawn = incremental_update(store, model, drawn)
        else:
            return drawn
        if drawn.is_to_be_redrawn() and method_for(len(drawn.ids)) == "pca":
            drawn = draw_map(store, model, method="pca")
        _save_if_free(store, model, drawn)
        return drawn


class _Drawing:
    """A map that is drawn in a process of its own."""

    def __init__(self, catalog: LazyCatalog, revision: int) -> None:
        """Start the process, and a thread that waits for its end."""
        self._command = [sys.executable, "-m", "clipsearch.browse.embedding_map.worker"]
        # not as an argument, which other users of the machine see: the address of a database may hold a password
        place = catalog.place
        self._library = {LIBRARY_VARIABLE: str(place) if isinstance(place, Path) else place.text}
        self._revision = revision
        self._is_news = False
        self.problem = ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def has_news(self) -> bool:
        """Whether it has ended well since this was last asked."""
        news, self._is_news = self._is_news, False
        return news

    def is_over_for(self, revision: int) -> bool:
        """Whether it has ended and should be begun again: what failed, not before the catalog has changed."""
        if self.thread.is_alive() or self._is_news:
            return False
        return not self.problem or revision != self._revision

    def _run(self) -> None:
        try:
            with subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | _ONE_CORE | self._library
            ) as process:
                assert process.stderr is not None
                said = process.stderr.read().decode(errors="replace").strip()
        except OSError as error:
            self.problem = str(error)
            return
        if process.returncode == 0:
            self._is_news = True
        else:
            self.problem = said.splitlines()[-1] if said else f"its process ended with status {process.returncode}"
            logger.warning("the map of the library was not drawn: %s", self.problem)


def _save_if_free(store: Catalog, model: ModelRecord, drawn: DrawnMap) -> None:
    """Save a map unless another process draws a better one, or the library cannot be written to: both are normal."""
    try:
        with map_lock(store.directory, wait_s=0) as may_write:
            if may_write:
                save_map(store.directory, model, drawn)
    except OSError as error:
        logger.info("the map was not saved: %s", error)
