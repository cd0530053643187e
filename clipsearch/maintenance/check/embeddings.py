"""Check the embeddings in the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.maintenance.check.findings import Checkup, Finding, finding

UNIT_TOLERANCE = 2e-3
"""Tolerance of the norm of a stored embedding: rounding to float16 changes it by at most 2⁻¹¹; the rest is for encoders
that normalize in half precision."""


def unit_vectors(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which embeddings, float16 [n, dim], are finite and of unit length; bool [n]."""
    exact = vectors.astype(np.float32)
    with np.errstate(invalid="ignore"):  # non-finite norms fail the comparison
        lengths = np.linalg.norm(exact, axis=1)
        return np.asarray(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)


def check_embeddings(checkup: Checkup) -> Iterator[Finding]:
    """Look for invalid embeddings, contents without embeddings, and contents without files."""
    for model in checkup.store.upkeep.models():
        ids, of_wrong_length = checkup.store.upkeep.embedding_ids(model)
        for code, bad in (
            ("embedding-length", of_wrong_length),
            ("embedding-value", _not_unit(checkup, model, checkup.sampled(ids))),
        ):
            if bad:
                path = checkup.store.upkeep.path_of_embedding(bad[0])
                yield finding(code, len(bad), str(path) if path is not None else None, model=model.spec)
    yield from _check_contents(checkup)


def _check_contents(checkup: Checkup) -> Iterator[Finding]:
    model = checkup.store.models.active()
    lacking, example = checkup.store.upkeep.without_embedding(model.id) if model is not None else (0, None)
    if lacking:
        yield finding("unembedded", lacking, str(example))
    images, embeddings = checkup.store.upkeep.count_unreferenced()
    if images or embeddings:
        yield finding("unheld", max(images, embeddings), None)


def repair_embeddings(checkup: Checkup) -> None:
    """Delete invalid embeddings."""
    for model in checkup.store.upkeep.models():
        ids, of_wrong_length = checkup.store.upkeep.embedding_ids(model)
        bad = of_wrong_length + _not_unit(checkup, model, ids)
        if bad:
            checkup.store.upkeep.delete_embeddings(bad)


def _not_unit(checkup: Checkup, model: ModelRecord, ids: NDArray[np.int64]) -> list[int]:
    """Ids of embeddings that are no unit vectors."""
    bad: list[int] = []
    for block, vectors in checkup.store.embeddings(ids, dim=model.dim):
        bad += block[~unit_vectors(vectors)].tolist()
    return bad
