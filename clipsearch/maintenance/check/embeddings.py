"""The embeddings in the catalog: their form, and which contents they are of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.maintenance.check.findings import Checkup, Finding

UNIT_TOLERANCE = 2e-3
"""How far from 1 the length of a stored embedding may be: rounding to float16 moves it by 2⁻¹¹ at most, which
leaves room for encoders that normalise in half precision."""


def unit_vectors(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which of some embeddings, float16 [n, dim], are finite and of unit length; bool [n]."""
    exact = vectors.astype(np.float32)
    with np.errstate(invalid="ignore"):  # a norm that is not finite is not near 1 either
        lengths = np.linalg.norm(exact, axis=1)
        return np.asarray(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)


def check_embeddings(checkup: Checkup) -> Iterator[Finding]:
    """Look for embeddings that cannot be one, contents that lack one, and contents that no file holds."""
    for model in checkup.store.upkeep.models():
        ids, of_wrong_length = checkup.store.upkeep.embedding_ids(model)
        if checkup.sample is not None and checkup.sample < len(ids):
            ids = np.sort(checkup.random.choice(ids, checkup.sample, replace=False))
        for code, bad, rest in (
            ("embedding-length", of_wrong_length, "of the wrong length in bytes"),
            ("embedding-value", _not_unit(checkup, model, ids), "that cannot be a unit vector"),
        ):
            if bad:
                path = checkup.store.upkeep.path_of_embedding(bad[0])
                yield Finding(
                    code,
                    len(bad),
                    "embedding",
                    f"of {model.spec} {rest}",
                    str(path) if path is not None else None,
                    "repairing deletes them; the next run of clipsearch index embeds those pictures again",
                    is_damage=True,
                    repairable=True,
                )
    yield from _check_contents(checkup)


def _check_contents(checkup: Checkup) -> Iterator[Finding]:
    model = checkup.store.models.active()
    lacking, example = checkup.store.upkeep.without_embedding(model.id) if model is not None else (0, None)
    if lacking:
        yield Finding(
            "unembedded",
            lacking,
            "picture",
            "without an embedding",
            str(example),
            "the next run of clipsearch index makes it",
            is_damage=False,
            repairable=False,
        )
    images, embeddings = checkup.store.upkeep.count_unheld()
    if images or embeddings:
        yield Finding(
            "unheld",
            max(images, embeddings),
            "picture",
            "that no file holds any more",
            None,
            "kept so that restored files cost no time; clipsearch compact drops them",
            is_damage=False,
            repairable=False,
        )


def mend_embeddings(checkup: Checkup) -> None:
    """Delete the embeddings that cannot be one."""
    for model in checkup.store.upkeep.models():
        ids, of_wrong_length = checkup.store.upkeep.embedding_ids(model)
        bad = of_wrong_length + _not_unit(checkup, model, ids)
        if bad:
            checkup.store.upkeep.delete_embeddings(bad)


def _not_unit(checkup: Checkup, model: ModelRecord, ids: NDArray[np.int64]) -> list[int]:
    """Which of some embeddings of the right length are no unit vectors."""
    bad: list[int] = []
    for block, vectors in checkup.store.embeddings(ids, dim=model.dim):
        bad += block[~unit_vectors(vectors)].tolist()
    return bad
