"""Vectors in files that FAISS searches, one for each model.

A library's writer leaves the index that suits the number of vectors: a scan of float16 vectors, or from
`APPROXIMATE_FROM` on an inverted file, which takes minutes to train. While a new index is built, searches use the old
one and the difference: a file is replaced when the new one is whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ConfigError
from clipsearch.text import Notify
from clipsearch.vectors.common import (
    APPROXIMATE_FROM,
    VECTORS_NAME,
    is_outgrown,
    model_key,
    model_slug,
    try_writer_lock,
)
from clipsearch.vectors.faiss.files import IndexFileError, IndexStamp
from clipsearch.vectors.faiss.flat_index import BLOCK, FlatIndex, write_exact
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.faiss.saved import delete_index, open_index, recent_path, save_recent
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import VectorIndex

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.vectors.engine import VectorEngine
    from clipsearch.vectors.faiss.ivf_index import IvfIndex

logger = logging.getLogger(__name__)


def index_path(library: Path, model: ModelRecord) -> Path:
    """Where a model's vectors are saved in a library."""
    return library / VECTORS_NAME / f"{model_slug(model)}.faiss"


@dataclass(frozen=True)
class FaissEngine:
    """See `clipsearch.vectors.engine.VectorEngine`."""

    name: ClassVar[str] = "faiss"

    @classmethod
    def of_target(cls, address: str, shared_name: str | None) -> Self:
        """See `VectorEngine.of_target`."""
        if address:
            raise ConfigError(f"faiss takes no address, and {address!r} is one")
        return cls()

    @classmethod
    def of_settings(cls, settings: Mapping[str, str]) -> Self:
        """See `VectorEngine.of_settings`."""
        return cls()

    def settings(self) -> dict[str, str]:
        """See `VectorEngine.settings`."""
        return {}

    def describe(self, library: Path) -> str:
        """See `VectorEngine.describe`."""
        return self.name

    def saved(self, library: Path, model: ModelRecord, revision: int) -> VectorIndex | None:
        """See `VectorEngine.saved`; memory-mapped."""
        try:
            index, stamp = open_index(index_path(library, model))
        except IndexFileError:  # missing, or `current` says what is wrong with it and mends that
            return None
        return index if _is_stamped_for(stamp, model) and stamp.revision == revision else None

    def current(
        self,
        store: Catalog,
        model: ModelRecord,
        *,
        notify: Notify,
        locked: bool = False,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> tuple[FlatIndex | IvfIndex, int]:
        """See `VectorEngine.current`."""
        path = index_path(store.directory, model)
        revision = store.revision()
        index: FlatIndex | IvfIndex | None = None
        try:
            if path.exists():
                index, stamp = open_index(path)
                if not _is_stamped_for(stamp, model):
                    raise IndexFileError("it belongs to another model")
                wrong_kind = locked and _is_of_wrong_kind(index, len(index), approximate_from)
                if stamp.revision == revision and not wrong_kind:
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

    def build(self, store: Catalog, model: ModelRecord, *, notify: Notify, approximate_from: int) -> VectorIndex:
        """See `VectorEngine.build`."""
        return self.current(store, model, notify=notify, locked=True, approximate_from=approximate_from)[0]

    def delete(self, library: Path, model: ModelRecord) -> None:
        """See `VectorEngine.delete`."""
        delete_index(index_path(library, model))

    def retire(self, store: Catalog, successor: VectorEngine, notify: Notify) -> None:
        """See `VectorEngine.retire`."""
        for model in store.upkeep.models():
            self.delete(store.directory, model)

    def fault(
        self, store: Catalog, model: ModelRecord, compare: Callable[[VectorIndex, NDArray[np.int64]], str | None]
    ) -> tuple[str, str] | None:
        """See `VectorEngine.fault`."""
        path = index_path(store.directory, model)
        reason = self._reason(store, model, path, compare) if path.exists() else None
        return (reason, f"{VECTORS_NAME}/{path.name}") if reason is not None else None

    def strays(self, store: Catalog) -> list[str]:
        """See `VectorEngine.strays`."""
        return [f"{VECTORS_NAME}/{path.name}" for path in self._stray_paths(store)]

    def delete_strays(self, store: Catalog) -> None:
        """See `VectorEngine.delete_strays`."""
        for path in self._stray_paths(store):
            path.unlink(missing_ok=True)

    def _reason(
        self,
        store: Catalog,
        model: ModelRecord,
        path: Path,
        compare: Callable[[VectorIndex, NDArray[np.int64]], str | None],
    ) -> str | None:
        revision, live = store.live_embedding_ids(model.id)
        try:
            index, stamp = open_index(path, verify=True)
        except IndexFileError as error:
            return str(error)
        if not _is_stamped_for(stamp, model):
            return "it belongs to another model"
        if stamp.revision != revision:
            return None  # the next search brings it up to date
        return compare(index, live)

    def _stray_paths(self, store: Catalog) -> list[Path]:
        paths = [index_path(store.directory, model) for model in store.upkeep.models()]
        used = {*paths, *(recent_path(path) for path in paths)}
        return sorted(path for path in (store.directory / VECTORS_NAME).glob("*.faiss") if path not in used)


@dataclass(frozen=True)
class _Renewal:
    """Brings an index to a state of the catalog: to the ids that are live in it."""

    store: Catalog
    model: ModelRecord
    path: Path
    revision: int
    live: NDArray[np.int64]
    notify: Notify

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
        if index is not None and not isinstance(index, FlatIndex) and not outgrown:
            self._catch_up(index)
            if not (may_train and index.is_to_be_merged()):
                save_recent(self.path, index, stamp)
                return index
            if index.has_drifted():
                self._train(stamp, index.blocks())
            else:
                from clipsearch.vectors.faiss.building import write_approximate

                write_approximate(self.path, stamp, index.blocks(), inverted=index.merged(), training=index.training)
        elif may_train and len(self.live) >= approximate_from:
            self._train(stamp, self._blocks(index))
        else:
            write_exact(self.path, stamp, self._blocks(index))
        recent_path(self.path).unlink(missing_ok=True)  # the new file has what was in it
        return open_index(self.path)[0]

    def in_memory(self, index: FlatIndex | IvfIndex | None) -> FlatIndex | IvfIndex:
        """The index as it should be now, not saved; vectors that no file can be mapped for take 2 bytes a component."""
        if index is not None and not isinstance(index, FlatIndex):
            self._catch_up(index)
            return index
        return FlatIndex.of(self._blocks(index), dim=self.model.dim, max_count=len(self.live))

    def _train(self, stamp: IndexStamp, blocks: Iterator[Block]) -> None:
        from clipsearch.vectors.faiss.building import write_approximate

        self.notify(f"sorting {len(self.live):,} vectors for fast search; searches continue meanwhile")
        write_approximate(self.path, stamp, blocks)

    def _catch_up(self, index: IvfIndex) -> None:
        """Add and remove the difference, in memory."""
        known_ids = index.ids()
        index.remove(setdiff_sorted(known_ids, self.live))
        for ids, vectors in self.store.embeddings(setdiff_sorted(self.live, known_ids), dim=self.model.dim):
            index.add(ids, vectors)

    def _blocks(self, index: FlatIndex | IvfIndex | None) -> Iterator[Block]:
        """The live vectors by ascending id: those that the index holds from there, the others from the catalog."""
        known_ids = index.ids() if index is not None else np.empty(0, np.int64)
        for start in range(0, len(self.live), BLOCK):
            block_ids = self.live[start : start + BLOCK]
            new = setdiff_sorted(block_ids, known_ids)
            known = setdiff_sorted(block_ids, new)
            parts: list[Block] = [(known, index.vectors(known))] if index is not None and len(known) else []
            parts += self.store.embeddings(new, dim=self.model.dim)
            if parts:
                ids, vectors = (np.concatenate(column) for column in zip(*parts, strict=True))
                order = np.argsort(ids)
                yield ids[order], vectors[order]


def _is_of_wrong_kind(index: FlatIndex | IvfIndex, count: int, approximate_from: int) -> bool:
    return is_outgrown(not isinstance(index, FlatIndex), count, approximate_from)


def _is_stamped_for(stamp: IndexStamp, model: ModelRecord) -> bool:
    return (stamp.model, stamp.dim) == (model_key(model), model.dim)
