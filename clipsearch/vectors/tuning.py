"""Queries to try a search with, and how much of what is true it finds: what indexes are tuned by as they are built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.index import Neighbors, VectorIndex

TARGET_RECALL = 0.993
"""Recall that is tuned for on `tuning_queries`, so that what others ask has 0.99."""

_TUNED_FOR = (10, 100, 500, 1000)
"""Numbers of neighbours that searches are tried for; searches for more are exact."""

_SEED = 21

_KINDS = 3

_QUERIES = 128
"""Of each kind. 10 neighbours of each tell a recall of 0.993 to about 0.002; the worst of three kinds counts."""

_TIMES_AS_MANY = 10
"""Vectors for each neighbour from which on looking into some of the lists is worth it."""

_STEP = 1.25
"""From one number of lists that is tried to the next."""

_SAME = np.float32(1e-5)
"""Scores that differ by less are equal."""


@dataclass(frozen=True)
class ProbeSettings:
    """How many lists have to be looked into, as measured when the index was built.

    Attributes:
        k: for up to so many neighbours.
        lists: how many lists.
        recall: the share of the true k nearest that was found so.
        candidates: how many that the lists give are ranked by the vectors; all where it is 0.
    """

    k: int
    lists: int
    recall: float
    candidates: int = 0


class SearchOfLists(Protocol):
    """A search of an inverted file."""

    def __call__(self, queries: NDArray[np.float32], k: int, *, lists: int) -> list[Neighbors]:
        """The neighbours of queries, float32 [n, dim], as many of each and found in as many lists."""
        ...


@dataclass(frozen=True)
class TuningSet:
    """What is asked, and the scores of what is true.

    Attributes:
        queries: as many of each kind, one kind after the other, float32 [n, dim], unit rows.
        truth: the scores of their true neighbours, float32 [n, the largest of `tuned_for`], best first.
        tuned_for: numbers of neighbours, ascending; none where there are too few vectors.
    """

    queries: NDArray[np.float32]
    truth: NDArray[np.float32]
    tuned_for: Sequence[int]

    @classmethod
    def of(cls, base: VectorIndex, true_scores: Callable[[NDArray[np.float32], int], NDArray[np.float32]]) -> TuningSet:
        """Trials of searches among vectors.

        Args:
            base: the vectors.
            true_scores: the scores of the true neighbours of queries, float32 [n, k], by exact search.
        """
        tuned_for = [k for k in _TUNED_FOR if _TIMES_AS_MANY * k <= len(base)]
        if not tuned_for:
            nothing = np.empty((0, base.dim), np.float32)
            return cls(nothing, nothing, ())
        queries = tuning_queries(base, np.random.default_rng(_SEED))
        return cls(queries, true_scores(queries, tuned_for[-1]), tuned_for)

    def recall(self, answers: Sequence[Neighbors], k: int) -> float:
        """Share of the k nearest that answers to `queries` hold, of the kind of queries for which it is least."""
        least = self._least(k)
        good = [int((found.scores >= score).sum()) for found, score in zip(answers, least, strict=True)]
        return float(np.reshape(good, (_KINDS, -1)).mean(axis=1).min()) / k

    def fewest(self, scores: NDArray[np.float32], k: int, *, recall: float) -> int | None:
        """How many candidates of each query hold so large a share of its k nearest, in every kind of queries.

        Args:
            scores: of the candidates of each, float32 [n, candidates], the likeliest first.
            k: of `tuned_for`.
            recall: the share that is wanted.

        Returns:
            Their number; ``None`` if all of them do not.
        """
        held = np.cumsum(scores >= self._least(k)[:, None], axis=1).reshape(_KINDS, -1, scores.shape[1])
        enough = np.flatnonzero(held.mean(axis=1).min(axis=0) >= recall * k)
        return int(enough[0]) + 1 if len(enough) else None

    def _least(self, k: int) -> NDArray[np.float32]:
        """The score of the k-th nearest to each query, float32 [n]; equal ones are as good."""
        return self.truth[:, k - 1] - _SAME

    def tuned_lists(self, search: SearchOfLists, *, lists: int, step: float = _STEP) -> tuple[ProbeSettings, ...]:
        """How many lists of an inverted file to look into for `TARGET_RECALL`, for each of `tuned_for`.

        Args:
            search: of it.
            lists: how many there are.
            step: from one number of lists that is tried to the next.
        """
        found: list[ProbeSettings] = []
        tried = 1
        for k in self.tuned_for:
            too_few = tried - 1
            while True:
                recall = self.recall(search(self.queries, k, lists=tried), k)
                if recall >= TARGET_RECALL or tried == lists:
                    break
                too_few, tried = tried, min(max(tried + 1, round(step * tried)), lists)
            between = (too_few + tried) // 2
            if recall >= TARGET_RECALL and too_few < between < tried:
                fewer = self.recall(search(self.queries, k, lists=between), k)
                if fewer >= TARGET_RECALL:
                    tried, recall = between, fewer
            found.append(ProbeSettings(k, tried, round(recall, 4)))
        return tuple(found)


def tuning_queries(base: VectorIndex, random: np.random.Generator) -> NDArray[np.float32]:
    """Queries like those that will be asked, of three kinds, float32 [kinds · queries of each, dim], unit rows.

    Pictures are near other pictures: vectors of the index, moved a little. Texts lie apart from all pictures in
    models like CLIP (Liang and others 2022, "Mind the Gap"), share directions with several, and point elsewhere too:
    what is common to two vectors and not to all, with as much noise as signal. Queries with minus terms are what
    tells two vectors apart, with noise likewise.
    """
    ids = base.ids()
    first, second = (base.vectors(np.sort(random.choice(ids, min(_QUERIES, len(ids))))) for _ in range(2))
    second = random.permutation(second)
    middle = base.vectors(sample_of(ids, 10_000, random)).mean(axis=0)

    def noise() -> NDArray[np.float32]:
        return _unit(random.normal(size=first.shape).astype(np.float32))

    pictures = _unit(first + np.float32(0.5) * noise())
    texts, without = (_unit(_unit(mixed) + noise()) for mixed in (first + second - 2 * middle, first - second))
    return np.concatenate([pictures, texts, without])


def sample_of(ids: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Some of the ids, ascending; all where there are no more."""
    return ids if count >= len(ids) else np.sort(random.choice(ids, count, replace=False))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
