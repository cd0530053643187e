"""Queries asked of libraries that hold an answer and of libraries that hold none: what the calibration is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.calibration import (
    bank_features,
    bank_moments,
    library_features,
    other_captions,
    usual_level,
)

SIZES = (30, 100, 300, 1000)
"""Pictures of the libraries."""


@dataclass(frozen=True)
class Queries:
    """Queries of one kind over a set of pictures.

    Attributes:
        kind: for people.
        texts: what is asked.
        embeddings: float32 [queries, dim], unit rows, as a search would embed them.
        answers: bool [queries, pictures], which pictures answer which query.
        groups: int64 [queries]; queries of one group are never in two folds.
    """

    kind: str
    texts: tuple[str, ...]
    embeddings: FloatMatrix
    answers: NDArray[np.bool_]
    groups: NDArray[np.int64]


@dataclass(frozen=True)
class Trials:
    """One row for each query and library: what is known of the best candidate, and whether there is an answer.

    Attributes:
        features: float64 [trials, `LIBRARY_FEATURES`].
        best_cosine: float64 [trials], of the best candidate.
        present: bool [trials], whether the library holds an answer.
        found: bool [trials], whether the best candidate is one.
        size: int64 [trials], pictures asked for; the library has fewer where fewer are no answer.
        group: int64 [trials], of the query.
    """

    features: NDArray[np.float64]
    best_cosine: NDArray[np.float64]
    present: NDArray[np.bool_]
    found: NDArray[np.bool_]
    size: NDArray[np.int64]
    group: NDArray[np.int64]

    def where(self, rows: NDArray[np.bool_]) -> Trials:
        """Some of the trials."""
        return Trials(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def draw_trials(
    queries: Queries,
    images: FloatMatrix,
    bank: FloatMatrix,
    *,
    rng: np.random.Generator,
    sizes: Sequence[int] = SIZES,
    repeats: int = 1,
) -> Trials:
    """Ask each query of random libraries of each size, once with an answer and once with every answer removed.

    Args:
        queries: what is asked.
        images: float32 [pictures, dim], unit rows; the pictures that libraries are drawn from.
        bank: float32 [captions, dim], unit rows.
        rng: draws the libraries.
        sizes: pictures of a library; fewer where there are not so many.
        repeats: libraries of each size for each query.
    """
    scores = queries.embeddings @ images.T
    bank_scores = images @ bank.T
    means, squares = bank_moments(bank_scores)
    closeness = queries.embeddings @ bank.T
    rows: list[tuple[object, ...]] = []
    for number, own in enumerate(scores):
        others = other_captions(closeness[number])
        answers, rest = np.flatnonzero(queries.answers[number]), np.flatnonzero(~queries.answers[number])
        for size in [size for size in sizes for _ in range(repeats)]:
            count = min(size, len(rest))  # with and without an answer alike, lest the size gives it away
            for present in (True, False):
                library = _draw_library(answers, rest, count, present=present, rng=rng)
                best = library[np.argmax(own[library])]
                score = own[best : best + 1]
                features = (
                    *library_features(score, own[library], *usual_level(means[library], squares[library]))[0],
                    *bank_features(score, bank_scores[best : best + 1, others], closeness[number], len(library))[0],
                )
                found = present and bool(queries.answers[number, best])
                rows.append((features, float(score[0]), present, found, size, queries.groups[number]))
    return Trials(*(np.array(column) for column in zip(*rows, strict=True)))


def _draw_library(
    answers: NDArray[np.int64], rest: NDArray[np.int64], count: int, *, present: bool, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Random pictures: as many answers as there would be by chance, but one at least, or none."""
    wanted = 0
    if present:
        by_chance = rng.binomial(count, len(answers) / (len(answers) + len(rest)))
        wanted = int(np.clip(by_chance, 1, len(answers)))
    return np.concatenate([rng.choice(answers, wanted, replace=False), rng.choice(rest, count - wanted, replace=False)])
