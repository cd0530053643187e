"""Pictures of a library that most likely do not show a concept, for want of any that a person named."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.models.encoder import FloatMatrix

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

DRAWN = 200
"""Negatives that are drawn, at most: with more, no curve of docs/concepts.md changed."""

EXCLUDED_NEAREST_SHARE = 0.1
"""Share of what is drawn, the nearest to a positive example, that may show the concept as well and is left out."""

_SEED = 31


def draw_negatives(
    store: Catalog, model: ModelRecord, positives: FloatMatrix, *, without: Collection[str]
) -> FloatMatrix:
    """Draw pictures of the library at random, but none that are near to a positive example.

    Args:
        store: the catalog.
        model: whose space.
        positives: float32 [n, dim], unit rows, n ≥ 1.
        without: content hashes of the examples.

    Returns:
        float32 [up to `DRAWN`, dim]; the same for the same library and examples.
    """
    _, ids = store.live_embedding_ids(model.id, wholes_only=True)
    known = [store.embedding_of(content_hash, model.id) for content_hash in sorted(without)]
    ids = np.setdiff1d(ids, np.array([found[0] for found in known if found is not None], np.int64))
    wanted = round(DRAWN / (1 - EXCLUDED_NEAREST_SHARE))
    if len(ids) > wanted:
        ids = np.sort(np.random.default_rng(_SEED).choice(ids, wanted, replace=False))
    blocks = [vectors.astype(np.float32) for _, vectors in store.embeddings(ids, dim=model.dim)]
    drawn: NDArray[np.float32] = np.concatenate([np.empty((0, model.dim), np.float32), *blocks])
    return drawn[drop_nearest(drawn, positives)]


def drop_nearest(drawn: FloatMatrix, positives: FloatMatrix) -> NDArray[np.int64]:
    """Which rows are left when those nearest to a positive example are out: int64 [about 9 of 10], ascending."""
    nearness = (drawn @ positives.T).max(axis=1, initial=-1.0)
    kept = len(drawn) - int(np.ceil(EXCLUDED_NEAREST_SHARE * len(drawn)))
    return np.sort(np.argsort(nearness, kind="stable")[:kept])
