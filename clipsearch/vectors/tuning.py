"""Tuning of inverted files: synthetic queries, their true neighbors, and the smallest nprobe for a recall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.index import Neighbors, VectorIndex

TARGET_RECALL = 0.993
"""Recall to reach on `tuning_queries`, for a recall of 0.99 on other queries."""

_TUNED_FOR = (20, 100, 500, 1000)
"""Values of k to tune for; searches for more neighbors are exact. A search for ten results asks for 16 neighbors."""

_SEED = 21

_KINDS = 3

_QUERIES = 128
"""Per kind; with 20 neighbors each, a recall of 0.993 is measured to about 0.0015. The worst kind counts."""

_VECTORS_PER_NEIGHBOR = 10
"""Minimum number of vectors per neighbor for which probing a part of the lists pays off."""

_STEP = 1.25
"""Factor between successive numbers of lists tried."""

_SAME = np.float32(1e-5)
"""Tolerance for equal scores."""


@dataclass(frozen=True)
class ProbeSettings:
    """Search parameters measured when the index was built.

    Attributes:
        k: largest number of neighbors they are valid for.
        lists: number of lists to probe (nprobe).
        recall: measured recall.
        candidates: number of candidates to rerank by the stored vectors; 0 for all.
    """

    k: int
    lists: int
    recall: float
    candidates: int = 0


class SearchOfLists(Protocol):
    """A search of an inverted file with a given number of lists."""

    def __call__(self, queries: NDArray[np.float32], k: int, *, lists: int) -> list[Neighbors]:
        """The k neighbors of each query, float32 [n, dim], found in `lists` lists."""
        ...


@dataclass(frozen=True)
class TuningSet:
    """Queries and the scores of their true neighbors.

    Attributes:
        queries: the same number of each kind, kind after kind, float32 [n, dim], unit rows.
        truth: scores of their true neighbors, best first, float32 [n, max(tuned_for)].
        tuned_for: values of k, ascending; empty for small indexes.
    """

    queries: NDArray[np.float32]
    truth: NDArray[np.float32]
    tuned_for: Sequence[int]

    @classmethod
    def of(cls, base: VectorIndex, true_scores: Callable[[NDArray[np.float32], int], NDArray[np.float32]]) -> TuningSet:
        """Make the tuning set of an index.

        Args:
            base: the vectors.
            true_scores: exact search: the scores of the k nearest of queries, float32 [n, k].
        """
        tuned_for = [k for k in _TUNED_FOR if _VECTORS_PER_NEIGHBOR * k <= len(base)]
        if not tuned_for:
            nothing = np.empty((0, base.dim), np.float32)
            return cls(nothing, nothing, ())
        queries = tuning_queries(base, np.random.default_rng(_SEED))
        return cls(queries, true_scores(queries, tuned_for[-1]), tuned_for)

    def recall(self, answers: Sequence[Neighbors], k: int) -> float:
        """Recall@k of the answers to `queries`, of the worst kind of queries."""
        least = self._least(k)
        hits = [int((answer.scores >= score).sum()) for answer, score in zip(answers, least, strict=True)]
        return float(np.reshape(hits, (_KINDS, -1)).mean(axis=1).min()) / k

    def fewest(self, scores: NDArray[np.float32], k: int, *, recall: float) -> int | None:
        """The smallest number of candidates per query that reaches a recall for every kind of queries.

        Args:
            scores: of each query's candidates, the likeliest first, float32 [n, candidates].
            k: one of `tuned_for`.
            recall: target recall@k.

        Returns:
            The number; ``None`` if all candidates together do not reach it.
        """
        hits = np.cumsum(scores >= self._least(k)[:, None], axis=1).reshape(_KINDS, -1, scores.shape[1])
        enough = np.flatnonzero(hits.mean(axis=1).min(axis=0) >= recall * k)
        return int(enough[0]) + 1 if len(enough) else None

    def _least(self, k: int) -> NDArray[np.float32]:
        """Score of the k-th nearest neighbor of each query, less the tolerance, float32 [n]."""
        return self.truth[:, k - 1] - _SAME

    def tuned_lists(self, search: SearchOfLists, *, lists: int, step: float = _STEP) -> tuple[ProbeSettings, ...]:
        """The smallest number of lists to probe for `TARGET_RECALL`, for each of `tuned_for`.

        Args:
            search: search of the inverted file.
            lists: its number of lists (nlist).
            step: factor between successive numbers of lists tried.
        """
        settings: list[ProbeSettings] = []
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
            settings.append(ProbeSettings(k, tried, round(recall, 4)))
        return tuple(settings)


def tuning_queries(base: VectorIndex, random: np.random.Generator) -> NDArray[np.float32]:
    """Synthetic queries of three kinds, float32 [kinds · queries per kind, dim], unit rows.

    Image queries: vectors of the index with noise. Text queries: the sum of two vectors without the mean of all, with
    as much noise as signal, because texts lie apart from images. Queries with minus terms: the difference of two
    vectors, with as much noise as signal.

    Source: Liang et al. 2022, "Mind the Gap" (the distance of text from image embeddings).
    """
    ids = base.ids()
    first, second = (base.vectors(np.sort(random.choice(ids, min(_QUERIES, len(ids))))) for _ in range(2))
    second = random.permutation(second)
    mean = base.vectors(sample_of(ids, 10_000, random)).mean(axis=0)

    def noise() -> NDArray[np.float32]:
        return _unit(random.normal(size=first.shape).astype(np.float32))

    images = _unit(first + np.float32(0.5) * noise())
    texts, differences = (_unit(_unit(mixed) + noise()) for mixed in (first + second - 2 * mean, first - second))
    return np.concatenate([images, texts, differences])


def sample_of(ids: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """A random sample of ids, ascending; all if there are no more than `count`."""
    return ids if count >= len(ids) else np.sort(random.choice(ids, count, replace=False))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
