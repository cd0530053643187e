"""Keeps a model's collection on Milvus in step with the catalog, which alone is true.

As for the files of `clipsearch.vectors.sync`: of the catalog's revision it is used as it is; behind, the difference is
added and removed; missing or of another model, it is made again, beside the one in use. A collection is marked while it
changes, so that one whose change was broken off is known, and what it holds is then asked of Milvus.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import LibraryLockedError
from clipsearch.vectors.common import try_writer_lock
from clipsearch.vectors.engine import MilvusEngine
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.collections import ModelCollections, drop_rows, space_prefix
from clipsearch.vectors.milvus.connection import LocalFileError, connect
from clipsearch.vectors.milvus.refresh import Renewal, held_in_memory, is_of_wrong_kind

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

_OTHERS_S = 600.0
"""How long a writer waits for another machine that brings the same collection up to date."""


def current_collection(
    store: Catalog,
    model: ModelRecord,
    engine: MilvusEngine,
    *,
    notify: Callable[[str], None],
    locked: bool,
    approximate_from: int,
) -> tuple[VectorIndex, int]:
    """The vector index as the catalog has it now; see `clipsearch.vectors.sync.current_index`."""
    try:
        collections = _collections(store.directory, engine, model)
    except LocalFileError as error:
        notify(f"{error}; the catalog's embeddings are used instead")
        revision, live = store.live_embedding_ids(model.id)
        return held_in_memory(store, model, live), revision
    found = _up_to_date(store, collections, locked=locked, approximate_from=approximate_from)
    if found is not None:
        return found
    with _right_to_change(store, engine, locked=locked) as may_write:
        if may_write:
            if store.shared:  # another machine may have done it while this one waited
                found = _up_to_date(store, collections, locked=locked, approximate_from=approximate_from)
            return found or _renewed(store, collections, notify, approximate_from=approximate_from, may_train=locked)
    revision, live = store.live_embedding_ids(model.id)
    return Renewal(store, collections, revision, live, notify).in_memory(collections.current()), revision


def _up_to_date(
    store: Catalog, collections: ModelCollections, *, locked: bool, approximate_from: int
) -> tuple[VectorIndex, int] | None:
    """The collection in use and the catalog's revision, if it is of that; ``None`` if something is to be done."""
    revision = store.revision()
    saved = collections.current()
    if saved is None or not saved.stamp.whole or saved.stamp.revision != revision:
        return None
    rows = collections.saved_rows(saved)
    ids = rows.ids if rows is not None else None
    if ids is None:
        revision, ids = store.live_embedding_ids(collections.model.id)
    is_right = saved.stamp.fields == revision and not is_of_wrong_kind(saved, len(ids), approximate_from)
    if saved.stamp.revision != revision or (locked and not is_right):
        return None
    collections.connection.load(saved.name)
    return collections.opened(saved, ids), revision


def _renewed(
    store: Catalog,
    collections: ModelCollections,
    notify: Callable[[str], None],
    *,
    approximate_from: int,
    may_train: bool,
) -> tuple[VectorIndex, int]:
    """The collection brought to the catalog's state, by whoever may change it."""
    saved = collections.current()
    revision, live = store.live_embedding_ids(collections.model.id)
    renewal = Renewal(store, collections, revision, live, notify)
    return renewal.on_milvus(saved, approximate_from=approximate_from, may_train=may_train), revision


@contextlib.contextmanager
def _right_to_change(store: Catalog, engine: MilvusEngine, *, locked: bool) -> Iterator[bool]:
    """This machine's right to write, and of a server that other machines use, too, theirs.

    Raises:
        LibraryLockedError: another machine still has it, and the caller has to have it: `locked`.
    """
    with try_writer_lock(store, "on Milvus", locked=locked) as is_free, contextlib.ExitStack() as stack:
        if is_free and not engine.is_local:
            try:
                stack.enter_context(store.vectors_lock(wait_s=_OTHERS_S if locked else 0.0))
            except LibraryLockedError:
                if locked:
                    raise
                yield False
                return
        yield is_free


def built_collection(
    store: Catalog, model: ModelRecord, engine: MilvusEngine, *, notify: Callable[[str], None], approximate_from: int
) -> VectorIndex:
    """The vector index on a library's engine to be, for whoever may write to its directory; see `current_collection`.

    Raises:
        LibraryError: the engine cannot be reached.
        LibraryLockedError: another machine is changing what it holds.
    """
    collections = _collections(store.directory, engine, model)
    with _right_to_change(store, engine, locked=True):
        found = _up_to_date(store, collections, locked=True, approximate_from=approximate_from)
        return (found or _renewed(store, collections, notify, approximate_from=approximate_from, may_train=True))[0]


def delete_collections(library: Path, engine: MilvusEngine, model: ModelRecord) -> None:
    """Delete what Milvus holds of a model of a library.

    Raises:
        LibraryError: it cannot be reached.
    """
    _collections(library, engine, model).drop()


def delete_space(library: Path, engine: MilvusEngine) -> None:
    """Delete all that Milvus holds of a library.

    Raises:
        LibraryError: it cannot be reached.
    """
    connection = connect(engine.address(library), local=engine.is_local)
    for name in connection.collections(space_prefix(engine)):
        connection.drop(name)
        drop_rows(library, name)


def _collections(library: Path, engine: MilvusEngine, model: ModelRecord) -> ModelCollections:
    connection = connect(engine.address(library), local=engine.is_local)
    return ModelCollections(connection, library, engine, model)
