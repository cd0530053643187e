"""Building an inverted file: choose its lists, fill them, and measure how many a search has to look into.

Nothing here holds all vectors as floats: they are written to the file first and read from it as they are needed. What
is held is the 8-bit codes, half of what the float16 vectors take, and a sample of the vectors for the training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.approximate import Probing, Training, probe
from clipsearch.vectors.exact import ExactIndex, nearest
from clipsearch.vectors.files import IndexFile, IndexStamp, replacing
from clipsearch.vectors.flat import Block, write_vectors
from clipsearch.vectors.interface import Neighbors, VectorIndex

TUNED_FOR = (10, 100, 1000)
"""Numbers of neighbours that probing is measured for; searches for more are exact."""

WANTED_RECALL = 0.993
"""Recall that is tuned for on `tuning_queries`, so that what others ask has 0.99."""

_VECTORS_PER_LIST = 39
"""Below so many a list's centroid says little (FAISS's own limit)."""

_TRAINED_PER_LIST = 40
_ROUNDS = 8
_SEED = 20

_QUERIES = 128
"""Of each kind. 10 neighbours of each tell a recall of 0.993 to about 0.002; the worst of three kinds counts."""

_TIMES_AS_MANY = 10
"""Vectors for each neighbour from which on looking into some of the lists is worth it."""

_STEP = 1.25
"""From one number of lists that is tried to the next."""


def write_approximate(
    path: Path, stamp: IndexStamp, blocks: Iterable[Block], *, lists: tuple[Any, Training] | None = None
) -> None:
    """Write vectors and an inverted file over them, in place of what is at `path`.

    Args:
        path: of the file.
        stamp: what they are; the count and details are added.
        blocks: the vectors, by ascending id.
        lists: an inverted file that holds all of them already, and its training; one is made if it is not given.

    Raises:
        OSError: it cannot be written.
    """
    import faiss

    with replacing(path) as writer:
        ids = write_vectors(writer, blocks, stamp.dim)
        writer.file.flush()
        stamp = replace(stamp, count=len(ids))
        base = ExactIndex.from_file(IndexFile(Path(writer.file.name), stamp, writer.sections))
        inverted = _filled(base) if lists is None else lists[0]
        vectors, imbalance = len(ids), inverted.invlists.imbalance_factor()
        if lists is not None:
            vectors, imbalance = lists[1].vectors, lists[1].imbalance
        training = Training(vectors, imbalance, tune(inverted, base))
        with writer.section("lists") as file:
            faiss.write_index(inverted, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
        writer.seal(replace(stamp, details=training.as_json()))
        del base  # a file that is mapped cannot be renamed on every system


def _filled(base: ExactIndex) -> Any:
    """An inverted file over vectors, trained on a sample of them."""
    import faiss

    count, dim = len(base), base.dim
    lists = max(1, min(round(4 * math.sqrt(count)), count // _VECTORS_PER_LIST))
    inverted = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    inverted.cp.spherical = True
    inverted.cp.niter = _ROUNDS
    inverted.cp.seed = _SEED
    inverted.cp.min_points_per_centroid = 1  # FAISS prints a warning where there are few
    sample = _sample(base.ids(), _TRAINED_PER_LIST * lists, np.random.default_rng(_SEED))
    inverted.train(base.vectors(sample))
    for ids, vectors in base.blocks():
        inverted.add_with_ids(vectors, ids)
    return inverted


def tune(inverted: Any, base: ExactIndex) -> tuple[Probing, ...]:
    """How many lists to look into for `WANTED_RECALL`, for each of `TUNED_FOR`, compared with exact search."""
    nothing = np.empty(0, np.int64)

    def search(queries: NDArray[np.float32], k: int, lists: int) -> list[Neighbors]:
        return probe(inverted, base, queries, k, lists=lists, removed=nothing)

    def true_scores(queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        return nearest(base.blocks(), queries, k)[0]

    return tuned_lists(base, search, true_scores, lists=inverted.nlist)


def tuned_lists(
    base: VectorIndex,
    search: Callable[[NDArray[np.float32], int, int], list[Neighbors]],
    true_scores: Callable[[NDArray[np.float32], int], NDArray[np.float32]],
    *,
    lists: int,
    step: float = _STEP,
) -> tuple[Probing, ...]:
    """How many lists of any inverted file to look into for `WANTED_RECALL`, for each of `TUNED_FOR`.

    Args:
        base: the vectors that are in it.
        search: the neighbours of queries, float32 [n, dim], as many of each and found in as many lists.
        true_scores: the scores of the true neighbours, float32 [n, k].
        lists: how many there are.
        step: from one number of lists that is tried to the next.
    """
    kinds = tuning_queries(base, np.random.default_rng(_SEED + 1))
    most = [k for k in TUNED_FOR if _TIMES_AS_MANY * k <= len(base)]
    if not most:
        return ()
    truths = [true_scores(queries, most[-1]) for queries in kinds]
    found: list[Probing] = []
    tried = 1
    for k in most:
        while True:
            recall = min(
                _recall(search(queries, k, tried), truth[:, :k]) for queries, truth in zip(kinds, truths, strict=True)
            )
            if recall >= WANTED_RECALL or tried == lists:
                break
            tried = min(max(tried + 1, round(step * tried)), lists)
        found.append(Probing(k, tried, round(recall, 4)))
    return tuple(found)


def tuning_queries(base: VectorIndex, random: np.random.Generator) -> list[NDArray[np.float32]]:
    """Queries like those that will be asked, of three kinds, float32 [queries, dim] each, unit rows.

    Pictures are near other pictures: vectors of the index, moved a little. Texts lie apart from all pictures in
    models like CLIP (Liang and others 2022, "Mind the Gap"), share directions with several, and point elsewhere too:
    what is common to two vectors and not to all, with as much noise as signal. Queries with minus terms are what
    tells two vectors apart, with noise likewise.
    """
    ids = base.ids()
    first, second = (base.vectors(np.sort(random.choice(ids, min(_QUERIES, len(ids))))) for _ in range(2))
    second = random.permutation(second)
    middle = base.vectors(_sample(ids, 10_000, random)).mean(axis=0)

    def noise() -> NDArray[np.float32]:
        return _unit(random.normal(size=first.shape).astype(np.float32))

    pictures = _unit(first + np.float32(0.5) * noise())
    return [pictures, _unit(_unit(first + second - 2 * middle) + noise()), _unit(_unit(first - second) + noise())]


def _recall(found: list[Neighbors], truth: NDArray[np.float32]) -> float:
    """Share of the nearest that was found; `truth` is their scores, [queries, k]. Equal scores are as good."""
    good = [int((answer.scores >= scores[-1] - 1e-5).sum()) for answer, scores in zip(found, truth, strict=True)]
    return sum(good) / truth.size


def _sample(ids: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    return ids if count >= len(ids) else np.sort(random.choice(ids, count, replace=False))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
