"""Results of queries in random libraries, each right or wrong: what the calibration is fitted and measured on.

The truth is of each picture by itself, not of a library: a picture shows an object if its label says so or several of
its captions agree on it, it does not if the label denies it or none of them mentions it, and otherwise it is
no example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.calibration import (
    bank_features,
    bank_moments,
    comparison_captions,
    library_features,
    score_level,
)

SIZES = (20, 50, 150, 500, 1500, 8000)
"""Pictures of the libraries; fewer where there are not so many."""

FIRST = 20
"""Results of each query that are examples."""

YES, NO, UNCLEAR = 1, 0, -1


@dataclass(frozen=True)
class Queries:
    """Queries of one kind.

    Attributes:
        kind: for people.
        texts: what is asked.
        embeddings: float32 [queries, dim], unit rows, as a search would embed them.
        truth: int8 [queries, judged pictures]: `YES`, `NO` or `UNCLEAR`.
        groups: int64 [queries]; queries of one group are never in two folds.
    """

    kind: str
    texts: tuple[str, ...]
    embeddings: FloatMatrix
    truth: NDArray[np.int8]
    groups: NDArray[np.int64]


@dataclass(frozen=True)
class Results:
    """One row for each result whose truth is known.

    Attributes:
        features: float64 [results, `LIBRARY_FEATURES`].
        cosine: float64 [results].
        right: bool [results], whether the picture shows what was asked for.
        search: int64 [results]; results of one query in one library have the same number.
        holds: int64 [results], how many pictures of the library show it.
        size: int64 [results], pictures of the library.
        query: int64 [results], which query it was.
        group: int64 [results], of the query.
    """

    features: NDArray[np.float64]
    cosine: NDArray[np.float64]
    right: NDArray[np.bool_]
    search: NDArray[np.int64]
    holds: NDArray[np.int64]
    size: NDArray[np.int64]
    query: NDArray[np.int64]
    group: NDArray[np.int64]

    def where(self, rows: NDArray[np.bool_]) -> Results:
        """Some of the results."""
        return Results(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def joined(parts: Sequence[Results]) -> Results:
    """Several sets of results as one; searches and groups stay apart."""
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Results.__dataclass_fields__}
    for number, part in enumerate(parts):
        for name, values in columns.items():
            offset = 10**6 * number if name in ("search", "group", "query") else 0
            values.append(getattr(part, name) + offset if offset else getattr(part, name))
    return Results(*(np.concatenate(values) for values in columns.values()))


def draw_results(
    queries: Queries,
    judged: FloatMatrix,
    others: FloatMatrix,
    bank: FloatMatrix,
    *,
    rng: np.random.Generator,
    sizes: Sequence[int] = SIZES,
    repeats: int = 1,
) -> Results:
    """Ask each query of random libraries of each size.

    Args:
        queries: what is asked.
        judged: float32 [judged pictures, dim], unit rows: the examples are of these.
        others: float32 [pictures, dim], unit rows, that fill large libraries.
        bank: float32 [captions, dim], unit rows.
        rng: draws the libraries.
        sizes: pictures of a library.
        repeats: libraries of each size for each query.
    """
    pictures = np.concatenate([judged, others])
    scores = queries.embeddings @ pictures.T
    bank_scores = pictures @ bank.T
    means, squares = bank_moments(bank_scores)
    closeness = queries.embeddings @ bank.T
    blocks = []
    searches = 0
    for number, own in enumerate(scores):
        captions = comparison_captions(closeness[number])
        for size in [size for size in sizes for _ in range(repeats)]:
            library = _draw_library(len(judged), len(others), size, rng)
            sample = library if len(library) <= 1000 else rng.choice(library, 1000, replace=False)
            first = library[np.argsort(-own[library], kind="stable")[:FIRST]]
            truth = np.array([queries.truth[number, row] if row < len(judged) else UNCLEAR for row in first])
            level = score_level(means[sample], squares[sample])
            features = np.column_stack(
                [
                    library_features(own[first], own[sample], *level),
                    bank_features(own[first], bank_scores[np.ix_(first, captions)], closeness[number], len(library)),
                ]
            )
            known = truth != UNCLEAR
            holds = int((queries.truth[number, library[library < len(judged)]] == YES).sum())
            count = int(known.sum())
            constants = (searches, holds, size, number, queries.groups[number])
            columns = [np.full(count, value, np.int64) for value in constants]
            blocks.append((features[known], own[first][known].astype(np.float64), truth[known] == YES, *columns))
            searches += 1
    return Results(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def _draw_library(judged: int, others: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of random pictures: judged ones while there are any, others beyond."""
    drawn = rng.choice(judged, min(size, judged), replace=False)
    rest = judged + rng.choice(others, min(max(size - judged, 0), others), replace=False) if others else drawn[:0]
    return np.concatenate([drawn, rest]).astype(np.int64)
