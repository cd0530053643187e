"""A vector index against the catalog, whichever engine holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.maintenance.check.findings import Checkup, Finding
from clipsearch.vectors.index import VectorIndex


def differing_vectors(checkup: Checkup, model: ModelRecord, index: VectorIndex, live: NDArray[np.int64]) -> str | None:
    """Where the vectors of a sample are not the catalog's, in words; ids are compared before.

    Args:
        checkup: the catalog, and how much is looked into.
        model: whose vectors.
        index: holds these ids.
        live: int64 [n], ascending.
    """
    ids = live
    if checkup.sample is not None and checkup.sample < len(ids):
        ids = np.sort(checkup.random.choice(ids, checkup.sample, replace=False))
    well_formed, _ = checkup.store.upkeep.embedding_ids(model)
    for block, vectors in checkup.store.embeddings(np.intersect1d(ids, well_formed), dim=model.dim):
        if not np.array_equal(index.vectors(block).astype(np.float16), vectors, equal_nan=True):
            return "its vectors are not the catalog's"
    return None


def damaged_cache(fault: str, shown: str, *, remedy: str) -> Finding:
    """An index that disagrees with the catalog."""
    return Finding("cache-damaged", 1, "vector cache", f"({fault})", shown, remedy, is_damage=True, repairable=True)


def stray_caches(count: int, shown: str) -> Finding:
    """Indexes of no model."""
    rest, remedy = "of no model of this library", "repairing deletes it"
    return Finding("cache-stray", count, "vector cache", rest, shown, remedy, is_damage=False, repairable=True)
