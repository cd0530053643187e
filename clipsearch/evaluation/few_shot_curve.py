"""What a few labelled pictures are worth: zero-shot, a linear probe, and both blended, at 1, 2, 4, 8, 16 shots.

The blend is the one that named concepts use (`clipsearch.labeling.concepts.fitting`); docs/concepts.md has what it
reaches.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", §3.1.5, Figure 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.labeling.concepts.fitting import REGULARISATION, blend, probe_weights, scores_spread, text_share
from clipsearch.metrics import average_precision, relevant_ranks
from clipsearch.models.encoder import FloatMatrix

SHOTS = (1, 2, 4, 8, 16)
FEWEST_TESTED = 5
"""Pictures of a class that have to be left for testing."""


@dataclass(frozen=True)
class Classifier:
    """What one way of classifying reached.

    Attributes:
        accuracy: share of each class's test pictures that were given their class, averaged over classes, 0–1.
        mean_average_precision: of ranking all test pictures by each class as a concept of its own, 0–1.
    """

    accuracy: float
    mean_average_precision: float


@dataclass(frozen=True)
class FewShotPoint:
    """What a number of labelled pictures of each class is worth; means over the repetitions.

    Attributes:
        shots: how many of each class.
        zero_shot: by the classes' names alone; the same at every number of shots.
        probe: by a logistic regression of the labelled pictures alone.
        blended: by both.
    """

    shots: int
    zero_shot: Classifier
    probe: Classifier
    blended: Classifier


@dataclass(frozen=True)
class FewShotCurve:
    """A few-shot curve.

    Attributes:
        points: by number of shots.
        classes: which classes had pictures enough, rows of the names' embeddings.
        tested: pictures tested with, in each repetition.
        repeats: how often the labelled pictures were drawn.
    """

    points: tuple[FewShotPoint, ...]
    classes: tuple[int, ...]
    tested: int
    repeats: int


def few_shot_curve(
    embeddings: FloatMatrix,
    labels: NDArray[np.integer],
    names: FloatMatrix,
    *,
    shots: Sequence[int] = SHOTS,
    repeats: int = 5,
    seed: int = 0,
) -> FewShotCurve:
    """Measure zero-shot, probe and blend on labelled pictures.

    In each repetition the pictures that may be learned from are drawn once, and each number of shots takes the first
    of them; all are tested with the same other pictures.

    Args:
        embeddings: of the pictures, float32 [n, dim], unit rows.
        labels: the class of each, integer [n], a row of `names`.
        names: embeddings of the classes' names or prompts, float32 [classes, dim], unit rows.
        shots: numbers of labelled pictures of each class, each from 1.
        repeats: how often they are drawn, from 1.
        seed: of the draws; the same seed gives the same curve.

    Raises:
        ConfigError: there are not two classes with pictures enough: the most shots and `FEWEST_TESTED` more.
    """
    from threadpoolctl import threadpool_limits

    wanted = sorted(set(shots))
    if not wanted or wanted[0] < 1 or repeats < 1:
        raise ConfigError("shots and repetitions are numbers from 1")
    needed = wanted[-1] + FEWEST_TESTED
    classes = np.flatnonzero(np.bincount(labels, minlength=len(names)) >= needed)
    if len(classes) < 2:
        raise ConfigError(
            f"a few-shot curve up to {wanted[-1]} shots needs two classes of {needed} pictures at least; "
            f"there {'is 1' if len(classes) else 'are 0'}: add pictures or take fewer shots"
        )
    chosen = np.isin(labels, classes)
    rows, own = np.ascontiguousarray(embeddings[chosen], np.float32), np.searchsorted(classes, labels[chosen])
    runs = [_Run(rows, own, names[classes], np.random.default_rng([seed, run]), wanted[-1]) for run in range(repeats)]
    with threadpool_limits(1):  # threads cost more than such small problems give them to do
        points = tuple(_point(runs, count) for count in wanted)
    return FewShotCurve(
        points=points,
        classes=tuple(int(number) for number in classes),
        tested=len(runs[0].tested),
        repeats=repeats,
    )


def _point(runs: Sequence[_Run], shots: int) -> FewShotPoint:
    found = np.array([run.measure(shots) for run in runs]).mean(axis=0)  # [zero-shot, probe, blend] × [accuracy, mAP]
    zero_shot, probe, blended = (Classifier(float(accuracy), float(precision)) for accuracy, precision in found)
    return FewShotPoint(shots, zero_shot, probe, blended)


class _Run:
    """One draw of labelled pictures."""

    def __init__(
        self,
        embeddings: FloatMatrix,
        labels: NDArray[np.intp],
        names: FloatMatrix,
        random: np.random.Generator,
        most_shots: int,
    ) -> None:
        self._embeddings = embeddings
        self._labels = labels
        self._names = names
        order = random.permutation(len(labels))
        of_class = [order[labels[order] == number] for number in range(len(names))]
        self._learned = np.stack([rows[:most_shots] for rows in of_class])  # [classes, most shots]
        self.tested = np.sort(np.concatenate([rows[most_shots:] for rows in of_class]))

    def measure(self, shots: int) -> list[list[float]]:
        """Accuracy and mAP by zero-shot, probe and blend."""
        learned = self._learned[:, :shots]
        by_name = self._embeddings[self.tested] @ self._names.T  # [tested, classes]
        probe, blended = self._classified(learned, by_name)
        ranked_by_probe, ranked_by_blend = self._ranked(learned)
        return [
            [self._accuracy(by_name), self._precision(by_name)],
            [self._accuracy(probe), self._precision(ranked_by_probe)],
            [self._accuracy(blended), self._precision(ranked_by_blend)],
        ]

    def _classified(
        self, learned: NDArray[np.intp], by_name: FloatMatrix
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of the tested for each class, by the probe of all classes and by the blend, each [tested, classes]."""
        from sklearn.linear_model import LogisticRegression

        rows, labels = self._embeddings[learned.ravel()], np.repeat(np.arange(len(learned)), learned.shape[1])
        model = LogisticRegression(C=REGULARISATION, solver="lbfgs", max_iter=1000)
        model.fit(rows.astype(np.float64), labels)
        weights, intercepts = model.coef_, model.intercept_
        if len(weights) == 1:  # of two classes, scikit-learn gives the second's against the first
            weights, intercepts = np.concatenate([-weights, weights]) / 2, np.r_[-intercepts, intercepts] / 2
        others = labels[:, None] != np.arange(len(learned))
        probe = self._embeddings[self.tested] @ weights.T + intercepts
        share = text_share(learned.shape[1])
        probe_spread = scores_spread((rows @ weights.T)[others])
        name_spread = scores_spread((rows @ self._names.T)[others])
        return probe, share * by_name / name_spread + (1.0 - share) * probe / probe_spread

    def _ranked(self, learned: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same with each class as a concept, the other classes' pictures being its negatives."""
        tested, share = self._embeddings[self.tested], text_share(learned.shape[1])
        found = []
        for number, name in enumerate(self._names):
            others = self._embeddings[np.delete(learned, number, axis=0).ravel()]
            weights = probe_weights(self._embeddings[learned[number]], others, np.ones(len(others)), REGULARISATION)
            found += [tested @ weights, tested @ blend(weights, name, others, share=share)]
        columns = np.column_stack(found)
        return columns[:, ::2], columns[:, 1::2]

    def _accuracy(self, scores: NDArray[np.floating]) -> float:
        labels = self._labels[self.tested]
        right = scores.argmax(axis=1) == labels
        return float(np.mean([right[labels == number].mean() for number in range(len(self._names))]))

    def _precision(self, scores: NDArray[np.floating]) -> float:
        labels = self._labels[self.tested]
        relevant = np.argsort(labels, kind="stable")  # column of each, class by class
        starts = np.r_[0, np.cumsum(np.bincount(labels, minlength=len(self._names)))].astype(np.int64)
        return float(average_precision(relevant_ranks(scores.T, relevant, starts)).mean())
