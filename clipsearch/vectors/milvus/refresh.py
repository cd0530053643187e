"""Updates or creates a Milvus collection for a revision of the catalog."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.text import Notify
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
"""nlist of each segment: up to 1 GB of vectors on a server, 100,000 vectors in a local file."""

_RETUNE_GROWTH = 4.0
"""Growth of a collection at which it is tuned again."""

_TUNING_STEP = 1.5
"""Factor between successive numbers of lists tried; each trial is at least one request."""

_FLUSH_FROM = 10_000
"""Changed rows from which they are flushed and thus indexed at once; Milvus indexes fewer later."""


@dataclass(frozen=True)
class Renewal:
    """Updates a collection to a revision of the catalog and its live ids."""

    store: Catalog
    collections: ModelCollections
    revision: int
    live: NDArray[np.int64]
    notify: Notify

    @property
    def _model(self) -> ModelRecord:
        return self.collections.model

    @property
    def _connection(self) -> MilvusConnection:
        return self.collections.connection

    def on_milvus(self, saved: SavedCollection | None, *, approximate_from: int, may_train: bool) -> VectorIndex:
        """Update the collection or create another.

        Args:
            saved: the current collection.
            approximate_from: number of vectors from which it has an inverted file.
            may_train: the caller can wait for training; otherwise the kind of index stays.
        """
        if saved is None or (may_train and is_of_wrong_kind(saved, len(self.live), approximate_from)):
            return self._create(saved, with_lists=may_train and len(self.live) >= approximate_from)
        return self._update(saved, may_train=may_train)

    def in_memory(self, saved: SavedCollection | None) -> VectorIndex:
        """The updated index in memory; the collection stays unchanged."""
        if saved is None:
            return memory_index(self.store, self._model, self.live)
        rows = self.collections.saved_rows(saved) or self.collections.listed_rows(saved.name)
        self._connection.load(saved.name)
        recent = memory_index(self.store, self._model, setdiff_sorted(self.live, rows.ids))
        return DeltaIndex(self.collections.opened(saved, rows.ids), self.live, recent)

    def _create(self, saved: SavedCollection | None, *, with_lists: bool) -> MilvusIndex:
        if with_lists:
            self.notify(f"sorting {len(self.live):,} vectors for fast search on Milvus; searches continue meanwhile")
        nlist = LISTS_OF_FILE if self._connection.is_local else LISTS_OF_SERVER
        stamp = CollectionStamp(model_key(self._model), self._model.dim, lists=nlist if with_lists else 0)
        name = self.collections.new_name()
        self._connection.create(name, self._model.dim)
        vocabulary = Vocabulary()
        rows = CollectionManifest(self.live, self._write(self._connection.insert, name, self.live, vocabulary))
        self._connection.index(name, "IVF_FLAT" if with_lists else "FLAT", lists=stamp.lists)
        stamp = replace(stamp, fields=self.revision)
        return self._finish(SavedCollection(name, stamp), rows, vocabulary, predecessor=saved, tuning=with_lists)

    def _update(self, saved: SavedCollection, *, may_train: bool) -> MilvusIndex:
        """Add and remove the difference; with `may_train`, update changed scalar fields of the other rows as well."""
        self._connection.load(saved.name)
        manifest = self.collections.saved_rows(saved) if saved.stamp.whole else None
        manifest = manifest or self.collections.listed_rows(saved.name)
        self.collections.note(saved.name, replace(saved.stamp, whole=False))
        removed, new = setdiff_sorted(manifest.ids, self.live), setdiff_sorted(self.live, manifest.ids)
        self._connection.delete(saved.name, removed)
        digests = np.zeros(len(self.live), np.int64)
        kept = np.isin(self.live, manifest.ids)
        digests[kept] = manifest.digests[np.searchsorted(manifest.ids, self.live[kept])]
        vocabulary, written = Vocabulary(), new
        if may_train:
            current = self._digests(vocabulary)
            written = self.live[~kept | (current != digests)]
        digests[np.searchsorted(self.live, written)] = self._write(
            self._connection.upsert, saved.name, written, vocabulary
        )
        if len(removed) + len(written) >= _FLUSH_FROM:
            self._connection.flush(saved.name)
        has_grown = saved.stamp.lists > 0 and len(self.live) > _RETUNE_GROWTH * saved.stamp.tuned
        changed = replace(saved, stamp=replace(saved.stamp, fields=self.revision if may_train else -1))
        rows = CollectionManifest(self.live, digests)
        return self._finish(changed, rows, vocabulary, predecessor=None, tuning=may_train and has_grown)

    def _write(
        self, write: _Write, collection: str, ids: NDArray[np.int64], vocabulary: Vocabulary
    ) -> NDArray[np.int64]:
        """Write rows, add their texts to the vocabulary, and return the digests of their fields, int64 [n]."""
        digests = np.zeros(len(ids), np.int64)
        for block, vectors in self.store.embeddings(ids, dim=self._model.dim):
            fields = dict(read_fields(self.store.scalars.of(self._model.id, block), vocabulary))
            write(collection, [(block, vectors)], fields)
            known = [fields.get(row_id, ScalarFields()).digest() for row_id in block.tolist()]
            digests[np.searchsorted(ids, block)] = known
        return digests

    def _digests(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """Digests of the fields of all live ids in the catalog, int64 [n]; adds their texts to the vocabulary."""
        ids, values = array("q"), array("q")  # compact, because there may be a hundred million
        for row_id, fields in read_fields(self.store.scalars.all(self._model.id), vocabulary):
            ids.append(row_id)
            values.append(fields.digest())
        rows, digests = np.asarray(ids, np.int64), np.zeros(len(self.live), np.int64)
        known = np.isin(rows, self.live)
        digests[np.searchsorted(self.live, rows[known])] = np.asarray(values, np.int64)[known]
        return digests

    def _finish(
        self,
        made: SavedCollection,
        rows: CollectionManifest,
        vocabulary: Vocabulary,
        *,
        predecessor: SavedCollection | None,
        tuning: bool,
    ) -> MilvusIndex:
        """Tune the collection if asked, stamp it as whole, so that searches use it, and drop older ones."""
        stamp = made.stamp
        if tuning:
            probing = tune(self.collections.opened(made, rows.ids), lists=stamp.lists)
            stamp = replace(stamp, tuned=len(rows.ids), probing=probing)
        state = self.collections.save_rows(made.name, rows, vocabulary)
        stamp = replace(stamp, revision=self.revision, state=state, whole=True)
        self.collections.note(made.name, stamp)
        # other machines may still search the predecessor; a local file has no other users
        kept = {made.name} if predecessor is None or self._connection.is_local else {made.name, predecessor.name}
        self.collections.drop(but=kept)
        return self.collections.opened(SavedCollection(made.name, stamp), rows.ids)


def tune(index: MilvusIndex, *, lists: int) -> tuple[ProbeSettings, ...]:
    """Tune the number of lists to probe.

    Args:
        index: a loaded collection with an inverted file.
        lists: its nlist.
    """

    def true_scores(queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        return np.stack([results.scores for results in index.nearest(queries, k, lists=lists)])

    return TuningSet.of(index, true_scores).tuned_lists(index.nearest, lists=lists, step=_TUNING_STEP)


def memory_index(store: Catalog, model: ModelRecord, ids: NDArray[np.int64]) -> FlatIndex:
    """Embeddings of the catalog as an index in memory."""
    return FlatIndex.of(store.embeddings(ids, dim=model.dim), dim=model.dim, max_count=len(ids))


def is_of_wrong_kind(saved: SavedCollection, count: int, approximate_from: int) -> bool:
    """Whether a collection of `count` vectors should change between flat and inverted file."""
    return is_outgrown(saved.stamp.lists > 0, count, approximate_from)
