"""Moving a library's vectors from one engine to the other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import LibraryError
from clipsearch.vectors.engine import MilvusEngine, choose_engine, engine_named, library_engine, new_space
from clipsearch.vectors.faiss.saved import delete_index
from clipsearch.vectors.sync import APPROXIMATE_FROM, current_file, index_path

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
    store: Catalog, target: str, *, notify: Callable[[str], None], approximate_from: int = APPROXIMATE_FROM
) -> IndexCopyReport:
    """Build the vector index with another engine, make searches use it, and delete what the one before held.

    Args:
        store: the catalog, from which the vectors are taken.
        target: ``faiss``, ``milvus`` (a local file in the library) or ``milvus:URI``.
        notify: told in one line what a person should know.
        approximate_from: as for `clipsearch.vectors.sync.current_index`.

    Raises:
        ConfigError: the target is none, or what it needs is not installed.
        LibraryError: the target cannot be reached.
        LibraryLockedError: another process is writing to this library; of a shared one, on this machine.
    """
    started = time.monotonic()
    engine = engine_named(target, space=new_space(store.name if store.shared else None))
    # of a shared catalog only what this machine keeps changes: indexers go on
    with store.cache_lock() if store.shared else store.writer_lock():
        before = _engine_before(store.directory, notify)
        model = store.models.active()
        vectors = 0
        if model is not None:
            if engine is None:
                index, _ = current_file(store, model, notify=notify, locked=True, approximate_from=approximate_from)
                vectors = len(index)
            else:
                from clipsearch.vectors.milvus.sync import built_collection

                vectors = len(built_collection(store, model, engine, notify=notify, approximate_from=approximate_from))
        choose_engine(store.directory, engine)
        _delete_before(store, before, engine, notify)
    named = "faiss" if engine is None else f"milvus at {engine.address(store.directory)}"
    return IndexCopyReport(named, model.spec if model else None, vectors, time.monotonic() - started)


def _engine_before(library: Path, notify: Callable[[str], None]) -> MilvusEngine | None:
    try:
        return library_engine(library)
    except LibraryError as error:
        notify(f"{error}; what its engine held is left where it is")
        return None


def _delete_before(
    store: Catalog, before: MilvusEngine | None, engine: MilvusEngine | None, notify: Callable[[str], None]
) -> None:
    """Delete what the engine before held, but what is in use now."""
    if engine is not None:
        for model in store.upkeep.models():
            delete_index(index_path(store.directory, model))
    if before is None or before == engine:
        return
    if store.shared:  # other machines may use it on
        notify(f"what Milvus at {before.address(store.directory)} holds is left there for the library's other machines")
        return
    from clipsearch.vectors.milvus.sync import delete_space

    try:
        delete_space(store.directory, before)
    except LibraryError as error:
        notify(f"{error}; what it holds of this library is left there")
        return
    address = before.address(store.directory)
    if before.is_inside(store.directory) and (engine is None or engine.address(store.directory) != address):
        from clipsearch.vectors.milvus.connection import connect

        connect(address, local=True).close()
        shutil.rmtree(address, ignore_errors=True)
