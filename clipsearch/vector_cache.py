"""Keeps the saved vector index in step with the catalog, which alone is true."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import LibraryError
from clipsearch.lock import writer_lock
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import ModelRecord
from clipsearch.vector_index import FaissVectorIndex, IndexFileError, IndexStamp

logger = logging.getLogger(__name__)

VECTORS_NAME = "vectors"


def index_path(library: Path, model: ModelRecord) -> Path:
    """Where a model's vectors are saved in a library."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.spec).strip("-.")[-80:]
    return library / VECTORS_NAME / f"{slug}-{model.fingerprint[:8]}.faiss"


def current_index(
    store: ImageStore, model: ModelRecord, *, notify: Callable[[str], None], locked: bool = False
) -> tuple[FaissVectorIndex, int]:
    """The vector index as the catalog has it now.

    Uses the saved one when it is of the catalog's revision, brings it up to date when it is behind, and makes
    it again when it is missing, damaged or of another model; then saves it, unless another process writes.

    Args:
        store: the catalog.
        model: whose vectors.
        notify: told in one line when a damaged file is replaced.
        locked: the caller already holds the writer's lock.

    Returns:
        The index, and the catalog's revision that it agrees with.
    """
    path = index_path(store.directory, model)
    revision, live = store.live_embedding_ids(model.id) if not path.exists() else (store.revision(), None)
    index: FaissVectorIndex | None = None
    try:
        if path.exists():
            index, stamp = FaissVectorIndex.load(path)
            if not is_stamped_for(stamp, model):
                raise IndexFileError("it belongs to another model")
            if stamp.revision == revision:
                return index, revision
            index, _ = FaissVectorIndex.load(path, writable=True)
    except IndexFileError as error:
        notify(f"the vector cache {path.name} is damaged ({error}); rebuilding it from the catalog")
        index = None
    if live is None:
        revision, live = store.live_embedding_ids(model.id)
    index = _catch_up(store, model, index or FaissVectorIndex(model.dim), live)
    _save(store, model, index, revision, locked=locked)
    return index, revision


def is_stamped_for(stamp: IndexStamp, model: ModelRecord) -> bool:
    """Whether a saved index is a model's."""
    return (stamp.model, stamp.dim) == (_identity(model), model.dim)


def _catch_up(
    store: ImageStore, model: ModelRecord, index: FaissVectorIndex, live: NDArray[np.int64]
) -> FaissVectorIndex:
    held = index.ids()
    index.remove(np.setdiff1d(held, live, assume_unique=True))
    for ids, vectors in store.embeddings(np.setdiff1d(live, held, assume_unique=True), dim=model.dim):
        index.add(ids, vectors)
    return index


def _save(store: ImageStore, model: ModelRecord, index: FaissVectorIndex, revision: int, *, locked: bool) -> None:
    """Save the index if that is possible; a cache that cannot be saved costs time, not results."""
    path = index_path(store.directory, model)
    stamp = IndexStamp(model=_identity(model), dim=model.dim, revision=revision, count=len(index))
    try:
        if locked:
            index.save(path, stamp)
        else:
            with writer_lock(store.directory):
                index.save(path, stamp)
    except LibraryError as error:  # another process writes, or the library is read-only: both are normal
        logger.info("the vector cache %s was not saved: %s", path.name, error)
    except OSError as error:
        logger.warning("the vector cache %s was not saved: %s", path.name, error)


def _identity(model: ModelRecord) -> str:
    return f"{model.spec}@{model.fingerprint}"
