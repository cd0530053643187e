"""Keeps the saved vector index in step with the catalog, which alone is true.

A process that writes to the library (an indexing run, an import) leaves the index that suits the number of vectors:
a scan of float16 vectors, or from `APPROXIMATE_FROM` on an inverted file, which takes minutes to train. A search that
finds the index behind makes up for the difference and never trains. While a new index is built, searches use the old
one and the difference: a file is replaced when the new one is whole.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.vectors.common import is_outgrown, model_key, try_writer_lock
from clipsearch.vectors.engine import VECTORS_NAME, library_engine
from clipsearch.vectors.faiss.building import write_approximate
from clipsearch.vectors.faiss.files import IndexFileError, IndexStamp
from clipsearch.vectors.faiss.flat_index import BLOCK, FlatIndex, write_exact
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.faiss.ivf_index import IvfIndex
from clipsearch.vectors.faiss.saved import delete_index, open_index, recent_path, save_recent
from clipsearch.vectors.id_sets import setdiff_sorted

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.vectors.index import VectorIndex

logger = logging.getLogger(__name__)

APPROXIMATE_FROM = 200_000
"""Vectors from which on an inverted file is worth its training: a scan of so many takes 30 ms on two cores."""


def index_path(library: Path, model: ModelRecord) -> Path:
    """Where a model's vectors are saved in a library."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.spec).strip("-.")[-80:]
    return library / VECTORS_NAME / f"{slug}-{model.fingerprint[:8]}.faiss"


def is_stamped_for(stamp: IndexStamp, model: ModelRecord) -> bool:
    """Whether a saved index is a model's."""
    return (stamp.model, stamp.dim) == (model_key(model), model.dim)


def saved_index(library: Path, model: ModelRecord, revision: int) -> FlatIndex | IvfIndex | None:
    """The saved file, memory-mapped; ``None`` unless it is sound, the model's and of that revision of the catalog."""
    if library_engine(library) is not None:
        return None
    try:
        index, stamp = open_index(index_path(library, model))
    except IndexFileError:  # missing, or `current_index` says what is wrong with it and mends that
        return None
    return index if is_stamped_for(stamp, model) and stamp.revision == revision else None


def current_index(
    store: Catalog,
    model: ModelRecord,
    *,
    notify: Callable[[str], None],
    locked: bool = False,
    approximate_from: int = APPROXIMATE_FROM,
) -> tuple[VectorIndex, int]:
    """The vector index as the catalog has it now, by whichever engine the library uses.

    Uses the saved one when it is of the catalog's revision, brings it up to date when it is behind, and makes
    it again when it is missing, damaged or of another model; then saves it, unless another process writes.

    Args:
        store: the catalog.
        model: whose vectors.
        notify: told in one line when a damaged file is replaced, and when an inverted file is trained.
        locked: the caller already holds the writer's lock, and may be kept for as long as a training takes.
        approximate_from: vectors from which on the index is an approximate one.

    Returns:
        The index, and the catalog's revision that it agrees with.

    Raises:
        ConfigError: what the engine needs is not installed.
        LibraryError: the engine cannot be reached.
    """
    engine = library_engine(store.directory)
    if engine is None:
        return current_file(store, model, notify=notify, locked=locked, approximate_from=approximate_from)
    from clipsearch.vectors.milvus.sync import current_collection

    return current_collection(store, model, engine, notify=notify, locked=locked, approximate_from=approximate_from)


def delete_saved_index(library: Path, model: ModelRecord) -> None:
    """Delete a model's saved vectors, if there are any.

    Raises:
        LibraryError: the engine that holds them cannot be reached.
    """
    engine = library_engine(library)
    if engine is None:
        delete_index(index_path(library, model))
        return
    from clipsearch.vectors.milvus.sync import delete_collections

    delete_collections(library, engine, model)


def current_file(
    store: Catalog, model: ModelRecord, *, notify: Callable[[str], None], locked: bool, approximate_from: int
) -> tuple[FlatIndex | IvfIndex, int]:
    """`current_index` where the vectors are in a file, or are to be."""
    path = index_path(store.directory, model)
    revision = store.revision()
    index: FlatIndex | IvfIndex | None = None
    try:
        if path.exists():
            index, stamp = open_index(path)
            if not is_stamped_for(stamp, model):
                raise IndexFileError("it belongs to another model")
            if stamp.revision == revision and not (locked and _is_of_wrong_kind(index, len(index), approximate_from)):
                return index, revision
    except IndexFileError as error:
        notify(f"the vector cache {path.name} cannot be used ({error}); rebuilding it from the catalog")
        index = None
    revision, live = store.live_embedding_ids(model.id)
    renewal = _Renewal(store, model, path, revision, live, notify)
    with try_writer_lock(store, path.name, locked=locked) as may_write:
        if may_write:
            try:
                return renewal.on_disk(index, approximate_from=approximate_from, may_train=locked), revision
            except OSError as error:  # a cache that cannot be saved costs time, not results
                logger.warning("the vector cache %s was not saved: %s", path.name, error)
    return renewal.in_memory(index), revision


@dataclass(frozen=True)
class _Renewal:
    """Brings an index to a state of the catalog: to the ids that are live in it."""

    store: Catalog
    model: ModelRecord
    path: Path
    revision: int
    live: NDArray[np.int64]
    notify: Callable[[str], None]

    def on_disk(
        self, index: FlatIndex | IvfIndex | None, *, approximate_from: int, may_train: bool
    ) -> FlatIndex | IvfIndex:
        """Save the index as it should be now and open it.

        Args:
            index: as it was saved.
            approximate_from: vectors from which on it is an approximate one.
            may_train: somebody may wait for that; otherwise it stays of the kind it is.

        Raises:
            OSError: it cannot be written.
        """
        stamp = IndexStamp(model_key(self.model), self.model.dim, self.revision, count=0)
        outgrown = may_train and (index is None or _is_of_wrong_kind(index, len(self.live), approximate_from))
        if isinstance(index, IvfIndex) and not outgrown:
            self._catch_up(index)
            if not (may_train and index.is_to_be_merged()):
                save_recent(self.path, index, stamp)
                return index
            if index.has_drifted():
                self._train(stamp, index.blocks())
            else:
                write_approximate(self.path, stamp, index.blocks(), inverted=index.merged(), training=index.training)
        elif may_train and len(self.live) >= approximate_from:
            self._train(stamp, self._blocks(index))
        else:
            write_exact(self.path, stamp, self._blocks(index))
        recent_path(self.path).unlink(missing_ok=True)  # the new file has what was in it
        return open_index(self.path)[0]

    def in_memory(self, index: FlatIndex | IvfIndex | None) -> FlatIndex | IvfIndex:
        """The index as it should be now, not saved; vectors that no file can be mapped for take 2 bytes a component."""
        if isinstance(index, IvfIndex):
            self._catch_up(index)
            return index
        return FlatIndex.of(self._blocks(index), dim=self.model.dim, most=len(self.live))

    def _train(self, stamp: IndexStamp, blocks: Iterator[Block]) -> None:
        self.notify(f"sorting {len(self.live):,} vectors for fast search; searches go on meanwhile")
        write_approximate(self.path, stamp, blocks)

    def _catch_up(self, index: IvfIndex) -> None:
        """Add and remove the difference, in memory."""
        held = index.ids()
        index.remove(setdiff_sorted(held, self.live))
        for ids, vectors in self.store.embeddings(setdiff_sorted(self.live, held), dim=self.model.dim):
            index.add(ids, vectors)

    def _blocks(self, index: FlatIndex | IvfIndex | None) -> Iterator[Block]:
        """The live vectors by ascending id: those that the index holds from there, the others from the catalog."""
        held = index.ids() if index is not None else np.empty(0, np.int64)
        for start in range(0, len(self.live), BLOCK):
            wanted = self.live[start : start + BLOCK]
            new = setdiff_sorted(wanted, held)
            known = setdiff_sorted(wanted, new)
            parts: list[Block] = [(known, index.vectors(known))] if index is not None and len(known) else []
            parts += self.store.embeddings(new, dim=self.model.dim)
            if parts:
                ids, vectors = (np.concatenate(column) for column in zip(*parts, strict=True))
                order = np.argsort(ids)
                yield ids[order], vectors[order]


def _is_of_wrong_kind(index: FlatIndex | IvfIndex, count: int, approximate_from: int) -> bool:
    return is_outgrown(isinstance(index, IvfIndex), count, approximate_from)
