"""Brings a collection on Milvus to a state of the catalog: changed where there is one, and made where there is none."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.vectors.common import is_outgrown, model_key
from clipsearch.vectors.delta_index import DeltaIndex
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.collections import CollectionManifest, CollectionStamp, ModelCollections, SavedCollection
from clipsearch.vectors.milvus.connection import Fields, MilvusConnection
from clipsearch.vectors.milvus.fields import ScalarFields, Vocabulary, read_fields
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.tuning import ProbeSettings, TuningSet

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

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


@dataclass(frozen=True)
class Renewal:
    """Brings a collection to a state of the catalog: to the ids that are live in it."""

    store: Catalog
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
        if saved is None or (may_train and is_of_wrong_kind(saved, len(self.live), approximate_from)):
            return self._made(saved, with_lists=may_train and len(self.live) >= approximate_from)
        return self._caught_up(saved, may_train=may_train)

    def in_memory(self, saved: SavedCollection | None) -> VectorIndex:
        """The index as it should be now, beside the collection as it is."""
        if saved is None:
            return held_in_memory(self.store, self._model, self.live)
        rows = self.collections.saved_rows(saved) or self.collections.listed_rows(saved.name)
        self._connection.load(saved.name)
        recent = held_in_memory(self.store, self._model, setdiff_sorted(self.live, rows.ids))
        return DeltaIndex(self.collections.opened(saved, rows.ids), self.live, recent)

    def _made(self, saved: SavedCollection | None, *, with_lists: bool) -> MilvusIndex:
        if with_lists:
            self.notify(f"sorting {len(self.live):,} vectors for fast search on Milvus; searches go on meanwhile")
        of_kind = LISTS_OF_FILE if self._connection.is_local else LISTS_OF_SERVER
        stamp = CollectionStamp(model_key(self._model), self._model.dim, lists=of_kind if with_lists else 0)
        name = self.collections.new_name()
        self._connection.create(name, self._model.dim)
        vocabulary = Vocabulary()
        rows = CollectionManifest(self.live, self._written(self._connection.insert, name, self.live, vocabulary))
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
        gone, new = setdiff_sorted(held.ids, self.live), setdiff_sorted(self.live, held.ids)
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
        rows = CollectionManifest(self.live, digests)
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
        ids, found = array("q"), array("q")  # of numbers: there may be a hundred million
        for row_id, fields in read_fields(self.store.scalars.all(self._model.id), vocabulary):
            ids.append(row_id)
            found.append(fields.digest())
        rows, digests = np.asarray(ids, np.int64), np.zeros(len(self.live), np.int64)
        known = np.isin(rows, self.live)
        digests[np.searchsorted(self.live, rows[known])] = np.asarray(found, np.int64)[known]
        return digests

    def _noted(
        self,
        made: SavedCollection,
        rows: CollectionManifest,
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


def tune(index: MilvusIndex, *, lists: int) -> tuple[ProbeSettings, ...]:
    """How many lists a collection is searched with, for as many neighbours as searches are tried for.

    Args:
        index: of a loaded collection with an inverted file.
        lists: how many lists that has.
    """

    def true_scores(queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        return np.stack([found.scores for found in index.nearest(queries, k, lists=lists)])

    return TuningSet.of(index, true_scores).tuned_lists(index.nearest, lists=lists, step=_TUNING_STEP)


def held_in_memory(store: Catalog, model: ModelRecord, ids: NDArray[np.int64]) -> FlatIndex:
    """Some vectors of the catalog, which no collection has."""
    return FlatIndex.of(store.embeddings(ids, dim=model.dim), dim=model.dim, most=len(ids))


def is_of_wrong_kind(saved: SavedCollection, count: int, approximate_from: int) -> bool:
    """Whether so many vectors call for another kind of collection."""
    return is_outgrown(saved.stamp.lists > 0, count, approximate_from)
