"""Keeps a model's collection on Milvus in step with the catalog, which alone is true.

As for the files of `clipsearch.vectors.cache`: of the catalog's revision it is used as it is; behind, the difference is
added and removed; missing or of another model, it is made again, beside the one in use. A collection is marked while it
changes, so that one whose change was broken off is known, and what it holds is then asked of Milvus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.store.records import ModelRecord
from clipsearch.vectors.approximate import Probing, without
from clipsearch.vectors.building import tuned_lists
from clipsearch.vectors.cache import identity, is_outgrown, right_to_write
from clipsearch.vectors.engine import MilvusEngine
from clipsearch.vectors.exact import ExactIndex
from clipsearch.vectors.fields import ScalarFields, Vocabulary, read_fields
from clipsearch.vectors.flat import Block
from clipsearch.vectors.interface import Neighbors, VectorIndex
from clipsearch.vectors.milvus import MilvusIndex
from clipsearch.vectors.milvus_collections import (
    CollectionStamp,
    HeldRows,
    ModelCollections,
    SavedCollection,
    drop_rows,
    space_prefix,
)
from clipsearch.vectors.milvus_connection import Fields, LocalFileError, MilvusConnection, connect
from clipsearch.vectors.overlay import OverlaidIndex

if TYPE_CHECKING:
    from clipsearch.store.image_store import ImageStore

_Write = Callable[[str, Iterable[Block], Fields], None]

LISTS_OF_SERVER = 1024
LISTS_OF_FILE = 128
"""Lists of the inverted file of each segment: up to 1 GB of vectors on a server, 100,000 vectors in a local file."""

_TUNED_AGAIN = 4.0
"""Times its size when it was tuned at which it is tuned again."""

_TUNING_STEP = 1.5
"""From one number of lists that is tried to the next; every trial is a request or more."""

_SEALED_FROM = 10_000
"""Changed rows from which on they are sealed at once, so that they are indexed; fewer are, when Milvus sees fit."""


def current_collection(
    store: ImageStore,
    model: ModelRecord,
    engine: MilvusEngine,
    *,
    notify: Callable[[str], None],
    locked: bool,
    approximate_from: int,
) -> tuple[VectorIndex, int]:
    """The vector index as the catalog has it now; see `clipsearch.vectors.cache.current_index`."""
    try:
        collections = _collections(store.directory, engine, model)
    except LocalFileError as error:
        notify(f"{error}; the catalog's embeddings are used instead")
        revision, live = store.live_embedding_ids(model.id)
        return _in_memory(store, model, live), revision
    revision = store.revision()
    saved = collections.current()
    if saved is not None and saved.stamp.whole and saved.stamp.revision == revision:
        rows = collections.saved_rows(saved)
        ids = rows.ids if rows is not None else None
        if ids is None:
            revision, ids = store.live_embedding_ids(model.id)
        is_right = saved.stamp.fields == revision and not _is_of_wrong_kind(saved, len(ids), approximate_from)
        if saved.stamp.revision == revision and (is_right or not locked):
            collections.connection.load(saved.name)
            return collections.opened(saved, ids), revision
    revision, live = store.live_embedding_ids(model.id)
    renewal = _Renewal(store, collections, revision, live, notify)
    with right_to_write(store, "on Milvus", locked=locked) as may_write:
        if may_write:
            return renewal.on_milvus(saved, approximate_from=approximate_from, may_train=locked), revision
    return renewal.in_memory(saved), revision


def built_collection(
    store: ImageStore, model: ModelRecord, engine: MilvusEngine, *, notify: Callable[[str], None], approximate_from: int
) -> VectorIndex:
    """The vector index on a library's engine to be, for a holder of the writer's lock; see `current_collection`.

    Raises:
        LibraryError: the engine cannot be reached.
    """
    collections = _collections(store.directory, engine, model)
    revision, live = store.live_embedding_ids(model.id)
    saved = collections.current()
    renewal = _Renewal(store, collections, revision, live, notify)
    return renewal.on_milvus(saved, approximate_from=approximate_from, may_train=True)


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


@dataclass(frozen=True)
class _Renewal:
    """Brings a collection to a state of the catalog: to the ids that are live in it."""

    store: ImageStore
    collections: ModelCollections
    revision: int
    live: NDArray[np.int64]
    notify: Callable[[str], None]

    @property
    def _model(self) -> ModelRecord:
        return self.collections.model

    @property
    def _connection(self) -> MilvusConnection:
        return self.collections.connection

    def on_milvus(self, saved: SavedCollection | None, *, approximate_from: int, may_train: bool) -> VectorIndex:
        """Change the collection, or make another.

        Args:
            saved: the one in use.
            approximate_from: vectors from which on it has an inverted file.
            may_train: somebody may wait for that; otherwise it stays of the kind it is.
        """
        if saved is None or (may_train and _is_of_wrong_kind(saved, len(self.live), approximate_from)):
            return self._made(saved, with_lists=may_train and len(self.live) >= approximate_from)
        return self._caught_up(saved, may_train=may_train)

    def in_memory(self, saved: SavedCollection | None) -> VectorIndex:
        """The index as it should be now, beside the collection as it is."""
        if saved is None:
            return _in_memory(self.store, self._model, self.live)
        rows = self.collections.saved_rows(saved) or self.collections.listed_rows(saved.name)
        self._connection.load(saved.name)
        recent = _in_memory(self.store, self._model, without(self.live, rows.ids))
        return OverlaidIndex(self.collections.opened(saved, rows.ids), self.live, recent)

    def _made(self, saved: SavedCollection | None, *, with_lists: bool) -> MilvusIndex:
        if with_lists:
            self.notify(f"sorting {len(self.live):,} vectors for fast search on Milvus; searches go on meanwhile")
        of_kind = LISTS_OF_FILE if self._connection.is_local else LISTS_OF_SERVER
        stamp = CollectionStamp(identity(self._model), self._model.dim, lists=of_kind if with_lists else 0)
        name = self.collections.new_name()
        self._connection.create(name, self._model.dim)
        vocabulary = Vocabulary()
        rows = HeldRows(self.live, self._written(self._connection.insert, name, self.live, vocabulary))
        self._connection.index(name, "IVF_FLAT" if with_lists else "FLAT", lists=stamp.lists)
        stamp = replace(stamp, fields=self.revision)
        return self._noted(SavedCollection(name, stamp), rows, vocabulary, instead_of=saved, tuning=with_lists)

    def _caught_up(self, saved: SavedCollection, *, may_train: bool) -> MilvusIndex:
        """Add and remove the difference; where somebody may wait, bring the fields of the others up to date, too."""
        self._connection.load(saved.name)
        held = (self.collections.saved_rows(saved) if saved.stamp.whole else None) or self.collections.listed_rows(
            saved.name
        )
        self.collections.note(saved.name, replace(saved.stamp, whole=False))
        gone, new = without(held.ids, self.live), without(self.live, held.ids)
        self._connection.delete(saved.name, gone)
        digests = np.zeros(len(self.live), np.int64)
        kept = np.isin(self.live, held.ids)
        digests[kept] = held.digests[np.searchsorted(held.ids, self.live[kept])]
        vocabulary, written = Vocabulary(), new
        if may_train:
            current = self._digests(vocabulary)
            written = self.live[~kept | (current != digests)]
        digests[np.searchsorted(self.live, written)] = self._written(
            self._connection.upsert, saved.name, written, vocabulary
        )
        if len(gone) + len(written) >= _SEALED_FROM:
            self._connection.flush(saved.name)
        grown = saved.stamp.lists > 0 and len(self.live) > _TUNED_AGAIN * saved.stamp.tuned
        changed = replace(saved, stamp=replace(saved.stamp, fields=self.revision if may_train else -1))
        rows = HeldRows(self.live, digests)
        return self._noted(changed, rows, vocabulary, instead_of=None, tuning=may_train and grown)

    def _written(
        self, write: _Write, collection: str, ids: NDArray[np.int64], vocabulary: Vocabulary
    ) -> NDArray[np.int64]:
        """Write rows; returns the digests of their fields, whose texts are added to the vocabulary."""
        digests = np.zeros(len(ids), np.int64)
        for block, vectors in self.store.embeddings(ids, dim=self._model.dim):
            fields = dict(read_fields(self.store.scalars.of(self._model.id, block), vocabulary))
            write(collection, [(block, vectors)], fields)
            known = [fields.get(row_id, ScalarFields()).digest() for row_id in block.tolist()]
            digests[np.searchsorted(ids, block)] = known
        return digests

    def _digests(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """What the digests of all fields are in the catalog; their texts are added to the vocabulary."""
        digests = np.zeros(len(self.live), np.int64)
        places = {row_id: place for place, row_id in enumerate(self.live.tolist())}
        for row_id, fields in read_fields(self.store.scalars.all(self._model.id), vocabulary):
            if row_id in places:
                digests[places[row_id]] = fields.digest()
        return digests

    def _noted(
        self,
        made: SavedCollection,
        rows: HeldRows,
        vocabulary: Vocabulary,
        *,
        instead_of: SavedCollection | None,
        tuning: bool,
    ) -> MilvusIndex:
        """Stamp a collection as whole: searches use it from then on."""
        stamp = made.stamp
        if tuning:
            probing = tune(self.collections.opened(made, rows.ids), lists=stamp.lists)
            stamp = replace(stamp, tuned=len(rows.ids), probing=probing)
        state = self.collections.save_rows(made.name, rows, vocabulary)
        stamp = replace(stamp, revision=self.revision, state=state, whole=True)
        self.collections.note(made.name, stamp)
        # others may be reading the one before; a local file has no others
        kept = {made.name} if instead_of is None or self._connection.is_local else {made.name, instead_of.name}
        self.collections.drop(but=kept)
        return self.collections.opened(SavedCollection(made.name, stamp), rows.ids)


def tune(index: MilvusIndex, *, lists: int) -> tuple[Probing, ...]:
    """How many lists a collection is searched with, for as many neighbours as `clipsearch.vectors.building.TUNED_FOR`.

    Args:
        index: of a loaded collection with an inverted file.
        lists: how many lists that has.
    """

    def search(queries: NDArray[np.float32], k: int, some: int) -> list[Neighbors]:
        return index.nearest(queries, k, lists=some)

    def true_scores(queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        return np.stack([found.scores for found in index.nearest(queries, k, lists=lists)])

    return tuned_lists(index, search, true_scores, lists=lists, step=_TUNING_STEP)


def _collections(library: Path, engine: MilvusEngine, model: ModelRecord) -> ModelCollections:
    connection = connect(engine.address(library), local=engine.is_local)
    return ModelCollections(connection, library, engine, model)


def _in_memory(store: ImageStore, model: ModelRecord, ids: NDArray[np.int64]) -> ExactIndex:
    return ExactIndex.of(store.embeddings(ids, dim=model.dim), dim=model.dim, most=len(ids))


def _is_of_wrong_kind(saved: SavedCollection, count: int, approximate_from: int) -> bool:
    return is_outgrown(saved.stamp.lists > 0, count, approximate_from)
