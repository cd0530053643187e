"""Few-shot curves: zero-shot, a linear probe, and a blend of both at 1, 2, 4, 8 and 16 shots.

The blend is that of named concepts (`clipsearch.labeling.concepts.fitting`, docs/concepts.md).

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
"""Minimum number of test images per class."""


@dataclass(frozen=True)
class Classifier:
    """Figures of a classifier.

    Attributes:
        accuracy: top-1 accuracy averaged over classes, 0–1.
        mean_average_precision: mAP of ranking all test images by each class as a concept, 0–1.
    """

    accuracy: float
    mean_average_precision: float


@dataclass(frozen=True)
class FewShotPoint:
    """Figures at a number of shots, averaged over the repetitions.

    Attributes:
        shots: labeled images per class.
        zero_shot: by the class names; the same at every number of shots.
        probe: by a logistic regression of the labeled images.
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
        classes: classes with enough images, as rows of the names' embeddings.
        tested: test images per repetition.
        repeats: number of repetitions.
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
    """Measure zero-shot, probe and blend on labeled images.

    Each repetition draws training images once; each number of shots uses the first of them, and all are tested on the
    same other images.

    Args:
        embeddings: of the images, float32 [n, dim], unit rows.
        labels: class of each image, integer [n], a row of `names`.
        names: embeddings of the class names or prompts, float32 [classes, dim], unit rows.
        shots: numbers of labeled images per class, at least 1.
        repeats: number of repetitions, at least 1.
        seed: seed of the draws.

    Raises:
        ConfigError: fewer than two classes have enough images (the most shots plus `FEWEST_TESTED`).
    """
    from threadpoolctl import threadpool_limits

    shots = sorted(set(shots))
    if not shots or shots[0] < 1 or repeats < 1:
        raise ConfigError("shots and repetitions must be at least 1")
    needed = shots[-1] + FEWEST_TESTED
    classes = np.flatnonzero(np.bincount(labels, minlength=len(names)) >= needed)
    if len(classes) < 2:
        raise ConfigError(
            f"a few-shot curve up to {shots[-1]} shots needs at least two classes of {needed} images; "
            f"there {'is 1' if len(classes) else 'are 0'}: add images or use fewer shots"
        )
    chosen = np.isin(labels, classes)
    rows, truth = np.ascontiguousarray(embeddings[chosen], np.float32), np.searchsorted(classes, labels[chosen])
    runs = [_Run(rows, truth, names[classes], np.random.default_rng([seed, run]), shots[-1]) for run in range(repeats)]
    with threadpool_limits(1):  # faster for small matrices
        points = tuple(_point(runs, count) for count in shots)
    return FewShotCurve(
        points=points,
        classes=tuple(int(number) for number in classes),
        tested=len(runs[0].tested),
        repeats=repeats,
    )


def _point(runs: Sequence[_Run], shots: int) -> FewShotPoint:
    figures = np.array([run.measure(shots) for run in runs]).mean(axis=0)  # [zero-shot, probe, blend] × [accuracy, mAP]
    zero_shot, probe, blended = (Classifier(float(accuracy), float(precision)) for accuracy, precision in figures)
    return FewShotPoint(shots, zero_shot, probe, blended)


class _Run:
    """One draw of labeled images."""

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
        """Scores of the test images by a multi-class probe and by the blend, each [tested, classes]."""
        from sklearn.linear_model import LogisticRegression

        rows, labels = self._embeddings[learned.ravel()], np.repeat(np.arange(len(learned)), learned.shape[1])
        model = LogisticRegression(C=REGULARISATION, solver="lbfgs", max_iter=1000)
        model.fit(rows.astype(np.float64), labels)
        weights, intercepts = model.coef_, model.intercept_
        if len(weights) == 1:  # for two classes, scikit-learn has only the second against the first
            weights, intercepts = np.concatenate([-weights, weights]) / 2, np.r_[-intercepts, intercepts] / 2
        others = labels[:, None] != np.arange(len(learned))
        probe = self._embeddings[self.tested] @ weights.T + intercepts
        share = text_share(learned.shape[1])
        probe_spread = scores_spread((rows @ weights.T)[others])
        name_spread = scores_spread((rows @ self._names.T)[others])
        return probe, share * by_name / name_spread + (1.0 - share) * probe / probe_spread

    def _ranked(self, learned: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores by one probe per class, with the other classes' images as negatives, each [tested, classes]."""
        tested, share = self._embeddings[self.tested], text_share(learned.shape[1])
        scores = []
        for number, name in enumerate(self._names):
            others = self._embeddings[np.delete(learned, number, axis=0).ravel()]
            weights = probe_weights(self._embeddings[learned[number]], others, np.ones(len(others)), REGULARISATION)
            scores += [tested @ weights, tested @ blend(weights, name, others, share=share)]
        columns = np.column_stack(scores)
        return columns[:, ::2], columns[:, 1::2]

    def _accuracy(self, scores: NDArray[np.floating]) -> float:
        labels = self._labels[self.tested]
        is_right = scores.argmax(axis=1) == labels
        return float(np.mean([is_right[labels == number].mean() for number in range(len(self._names))]))

    def _precision(self, scores: NDArray[np.floating]) -> float:
        labels = self._labels[self.tested]
        relevant = np.argsort(labels, kind="stable")  # columns by class
        starts = np.r_[0, np.cumsum(np.bincount(labels, minlength=len(self._names)))].astype(np.int64)
        return float(average_precision(relevant_ranks(scores.T, relevant, starts)).mean())
