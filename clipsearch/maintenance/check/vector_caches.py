"""Check the saved vector indexes of any engine against the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import LibraryError
from clipsearch.maintenance.check.findings import Checkup, Finding, finding
from clipsearch.vectors.engine import VectorEngine, library_engine
from clipsearch.vectors.index import VectorIndex


def check_vector_caches(checkup: Checkup) -> Iterator[Finding]:
    """Compare each model's saved vectors with the catalog's; outdated or missing ones are fine."""
    engine = library_engine(checkup.store.directory)
    try:
        faults = [fault for model in checkup.store.upkeep.models() if (fault := _fault(checkup, engine, model))]
        strays = engine.strays(checkup.store)
    except LibraryError as error:
        yield finding("cache-unreachable", 1, str(error))
        return
    for reason, name in faults:
        yield finding("cache-damaged", 1, name, fault=reason)
    if strays:
        yield finding("cache-stray", len(strays), strays[0])


def repair_vector_caches(checkup: Checkup) -> None:
    """Delete the caches that differ from the catalog or belong to no model, and rebuild the active model's."""
    engine = library_engine(checkup.store.directory)
    engine.delete_strays(checkup.store)
    for model in checkup.store.upkeep.models():
        if _fault(checkup, engine, model) is not None:
            engine.delete(checkup.store.directory, model)
    active = checkup.store.models.active()
    if active is not None:
        engine.current(checkup.store, active, notify=checkup.notify, locked=True)


def _fault(checkup: Checkup, engine: VectorEngine, model: ModelRecord) -> tuple[str, str] | None:
    def compare(index: VectorIndex, live: NDArray[np.int64]) -> str | None:
        if not np.array_equal(index.ids(), live):
            return "its ids differ from the catalog's"
        well_formed, _ = checkup.store.upkeep.embedding_ids(model)
        ids = np.intersect1d(checkup.sampled(live), well_formed)
        for block, vectors in checkup.store.embeddings(ids, dim=model.dim):
            if not np.array_equal(index.vectors(block).astype(np.float16), vectors, equal_nan=True):
                return "its vectors differ from the catalog's"
        return None

    return engine.fault(checkup.store, model, compare)
