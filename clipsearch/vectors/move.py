"""Moving a library's vectors from one engine to the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import LibraryError
from clipsearch.text import Notify
from clipsearch.vectors.common import APPROXIMATE_FROM
from clipsearch.vectors.engine import VectorEngine, choose_engine, engine_named, library_engine

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog


@dataclass(frozen=True)
class IndexCopyReport:
    """What moving the vectors did.

    Attributes:
        engine: that searches use now: ``faiss``, or ``milvus`` and where.
        model: whose vectors were copied; ``None`` in a library without pictures.
        vectors: how many.
        seconds: that it took.
    """

    engine: str
    model: str | None
    vectors: int
    seconds: float


def copy_index(
    store: Catalog, target: str, *, notify: Notify, approximate_from: int = APPROXIMATE_FROM
) -> IndexCopyReport:
    """Build the vector index with another engine, make searches use it, and delete the previous engine's vectors.

    Args:
        store: the catalog, from which the vectors are taken.
        target: ``faiss``, ``milvus`` (a local file in the library) or ``milvus:URI``.
        notify: callback for one-line user notices.
        approximate_from: as for `VectorEngine.current`.

    Raises:
        ConfigError: the target is none, or what it needs is not installed.
        LibraryError: the target cannot be reached.
        LibraryLockedError: another process is writing to this library; of a shared one, on this machine.
    """
    started = time.monotonic()
    engine = engine_named(target, shared_name=store.name if store.shared else None)
    # of a shared catalog only what this machine keeps changes: indexers go on
    with store.cache_lock() if store.shared else store.writer_lock():
        previous = _previous_engine(store.directory, notify)
        model = store.models.active()
        vectors = 0
        if model is not None:
            vectors = len(engine.build(store, model, notify=notify, approximate_from=approximate_from))
        choose_engine(store.directory, engine)
        if previous is not None and previous != engine:
            previous.retire(store, engine, notify)
    spec = model.spec if model is not None else None
    return IndexCopyReport(engine.describe(store.directory), spec, vectors, time.monotonic() - started)


def _previous_engine(library: Path, notify: Notify) -> VectorEngine | None:
    try:
        return library_engine(library)
    except LibraryError as error:
        notify(f"{error}; the vectors of the previous engine stay where they are")
        return None
