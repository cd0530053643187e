"""Fit a concept's direction: a linear probe on its examples, blended with the embedding of its text.

Below about four examples of a class a linear probe is worse than the zero-shot classifier (Radford et al. 2021,
"Learning Transferable Visual Models From Natural Language Supervision", §3.1.5 and Figure 6). So the two are blended,
and the weight of the text decreases with the number of examples. Rule and measurements: docs/concepts.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.concept_records import ConceptFit
from clipsearch.metrics import average_precision, relevant_ranks
from clipsearch.models.encoder import FloatMatrix, l2_normalize

TEXT_WORTH = 32
"""Number of positive examples at which probe and text have equal weight."""

REGULARISATION = 1.0
"""Default C of the logistic regression."""

OTHER_REGULARISATIONS = (0.1, 10.0)
"""Values of C that cross-validation compares with the default."""

OTHER_SHARES = (0.5, 0.25, 0.0)
"""Weights of the text that cross-validation compares with `text_share` if they are smaller."""

MIN_FOR_VALIDATION = 8
"""Minimum examples of each class for cross-validation."""

STANDARD_ERRORS = 2.0
"""By how many of them an alternative must be better than the default."""

_FOLDS = 5
_MIN_SPREAD = 1e-6
_MIN_ERROR = 0.01
"""Minimum standard error of the mean average precision: a few folds may agree by chance."""
_SEED = 5


def fit_concept(
    positives: FloatMatrix,
    *,
    negatives: FloatMatrix,
    drawn: FloatMatrix,
    text: NDArray[np.float32] | None = None,
) -> ConceptFit:
    """Fit a concept to its examples.

    Args:
        positives: embeddings of pictures that show it, float32 [n, dim], n ≥ 1, unit rows.
        negatives: embeddings of rejected pictures, float32 [m, dim], unit rows.
        drawn: embeddings of drawn negatives, float32 [d, dim], unit rows.
        text: embedding of its description, float32 [dim], unit length.

    Returns:
        A deterministic fit.
    """
    from threadpoolctl import threadpool_limits

    probe = _Probe(positives, negatives, drawn, text)
    with threadpool_limits(1):  # for such small problems threads cost more than they save
        blending = probe.select_blending()
        direction = probe.direction(np.arange(len(positives) + len(negatives) + len(drawn)), blending)
        scale, intercept = probe.calibration(direction, blending)
    return ConceptFit(
        direction,
        scale,
        intercept,
        text_share=blending.share,
        regularisation=blending.regularisation,
        positives=len(positives),
        negatives=len(negatives),
        drawn=len(drawn),
    )


def text_share(positives: int) -> float:
    """Default weight of the text, by the number of positive examples.

    >>> text_share(8), text_share(32)
    (0.8, 0.5)
    """
    return TEXT_WORTH / (TEXT_WORTH + positives)


def blend(
    probe: NDArray[np.float64], text: NDArray[np.float32], others: FloatMatrix, *, share: float
) -> NDArray[np.float64]:
    """Weighted sum of a probe's weights and a text's embedding, each divided by the spread of its scores.

    Args:
        probe: weights, float64 [dim].
        text: float32 [dim], unit length.
        others: embeddings of pictures that do not show the concept, float32 [n, dim]; without any, the vectors are
            divided by their lengths.
        share: weight of the text, 0–1.

    Returns:
        float64 [dim], not normalized.
    """
    if len(others) > 1:
        units = scores_spread(others @ text), scores_spread(others @ probe)
    else:
        units = float(np.linalg.norm(text)), float(np.linalg.norm(probe))
    return share * text / units[0] + (1.0 - share) * probe / units[1]


def scores_spread(scores: NDArray[np.floating]) -> float:
    """Standard deviation of scores over pictures that do not show a class."""
    return max(float(scores.std()), _MIN_SPREAD)


@dataclass(frozen=True)
class _Blending:
    """Hyperparameters: C of the probe, and the weight of the text."""

    regularisation: float
    share: float


class _Probe:
    """A logistic regression of one concept's examples, blended with its text."""

    def __init__(
        self,
        positives: FloatMatrix,
        negatives: FloatMatrix,
        drawn: FloatMatrix,
        text: NDArray[np.float32] | None,
    ) -> None:
        self._examples: FloatMatrix = np.concatenate([positives, negatives, drawn])
        self._shows = np.arange(len(self._examples)) < len(positives)
        self._weights = np.concatenate([np.ones(len(positives)), _shared_weights(len(negatives), len(drawn))])
        self._text = text
        self._probes: dict[tuple[bytes, float], NDArray[np.float64]] = {}

    def select_blending(self) -> _Blending:
        """The default, unless another ranks held-out examples significantly better.

        Source: one-standard-error rule, Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical
        Learning", §7.10.1; here on the paired differences from the default, fold by fold.
        """
        positives = int(self._shows.sum())
        default = _Blending(REGULARISATION, text_share(positives) if self._text is not None else 0.0)
        if min(positives, len(self._shows) - positives) < MIN_FOR_VALIDATION:
            return default
        others = [_Blending(REGULARISATION, share) for share in OTHER_SHARES if share < default.share]
        others += [_Blending(value, default.share) for value in OTHER_REGULARISATIONS]
        chosen, best, baseline = default, 0.0, self._held_out_precision(default)
        for blending in others:
            gains = self._held_out_precision(blending) - baseline
            error = float(gains.std(ddof=1)) / len(gains) ** 0.5
            if gains.mean() > max(best, STANDARD_ERRORS * max(error, _MIN_ERROR)):
                chosen, best = blending, float(gains.mean())
        return chosen

    def direction(self, rows: NDArray[np.int64], blending: _Blending) -> NDArray[np.float32]:
        """The blended direction fitted to rows of `_examples`, float32 [dim], unit length; at least one is positive."""
        weights = self._probe_weights(rows, blending.regularisation)
        if self._text is not None:
            others = self._examples[rows[~self._shows[rows]]]
            weights = blend(weights, self._text, others, share=blending.share)
        direction: NDArray[np.float32] = l2_normalize(weights[None])[0]
        return direction

    def _probe_weights(self, rows: NDArray[np.int64], regularisation: float) -> NDArray[np.float64]:
        """The probe's weights, float64 [dim], cached."""
        key = rows.tobytes(), regularisation
        if key not in self._probes:
            shows = self._shows[rows]
            positives, others = self._examples[rows[shows]], self._examples[rows[~shows]]
            if len(others):
                weights = probe_weights(positives, others, self._weights[rows[~shows]], regularisation)
            else:
                weights = np.zeros(positives.shape[1])
            # identical examples on both sides yield zero weights: fall back to the mean of the positives
            self._probes[key] = weights if weights.any() else positives.mean(axis=0).astype(np.float64)
        return self._probes[key]

    def calibration(self, direction: NDArray[np.float32], blending: _Blending) -> tuple[float, float]:
        """Scale and intercept of the probability, from cross-validated scores if there are enough examples.

        Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
        Likelihood Methods", §2.2: held-out scores and smoothed targets.
        """
        if self._shows.all():
            return 1.0, 0.0
        scores: NDArray[np.float32] = self._examples @ direction
        for train, held_out in self._folds:
            scores[held_out] = self._examples[held_out] @ self.direction(train, blending)
        return _platt(scores, self._shows, self._weights)

    def _held_out_precision(self, blending: _Blending) -> NDArray[np.float64]:
        """Average precision of each fold, float64 [folds]."""
        precisions = []
        for train, held_out in self._folds:
            scores, shows = self._examples[held_out] @ self.direction(train, blending), self._shows[held_out]
            starts = np.array([0, shows.sum()], np.int64)
            precisions.append(average_precision(relevant_ranks(scores[None], np.flatnonzero(shows), starts))[0])
        return np.array(precisions)

    @cached_property
    def _folds(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Stratified folds as rows to train on and held-out rows; none if a class is too small."""
        count = min(_FOLDS, int(self._shows.sum()), int((~self._shows).sum()))
        if count < 2:
            return []
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(count, shuffle=True, random_state=_SEED)
        return list(folds.split(self._examples, self._shows))


def probe_weights(
    positives: FloatMatrix, others: FloatMatrix, other_weights: NDArray[np.float64], regularisation: float
) -> NDArray[np.float64]:
    """The weights of a class-balanced logistic regression, float64 [dim].

    Args:
        positives: float32 [n, dim], n ≥ 1.
        others: float32 [m, dim], m ≥ 1.
        other_weights: relative sample weights of `others`, float64 [m].
        regularisation: C, the inverse of the strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    total = len(positives) + len(others)
    weights = np.concatenate(
        [
            np.full(len(positives), total / (2 * len(positives))),
            other_weights * (total / 2 / other_weights.sum()),
        ]
    )
    labels = np.repeat([1, 0], [len(positives), len(others)])
    model = LogisticRegression(C=regularisation, solver="lbfgs", max_iter=1000)
    model.fit(np.concatenate([positives, others]).astype(np.float64), labels, sample_weight=weights)
    coefficients: NDArray[np.float64] = model.coef_[0]
    return coefficients


def _platt(scores: NDArray[np.floating], shows: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and intercept of a class-balanced sigmoid over scores."""
    from sklearn.linear_model import LogisticRegression

    positives, others = int(shows.sum()), int((~shows).sum())
    targets = np.where(shows, (positives + 1) / (positives + 2), 1 / (others + 2))
    shares = np.where(shows, 1 / positives, weights / weights[~shows].sum())
    mean, spread = float(scores.mean()), max(float(scores.std()), _MIN_SPREAD)
    standardized = ((scores - mean) / spread).astype(np.float64)[:, None]
    model = LogisticRegression(C=1e6, solver="lbfgs", max_iter=1000)
    # soft targets: each example counts for both classes, by its target
    model.fit(
        np.concatenate([standardized, standardized]),
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([shares * targets, shares * (1 - targets)]) * len(scores),
    )
    scale = float(model.coef_[0, 0]) / spread
    return scale, float(model.intercept_[0]) - scale * mean


def _shared_weights(negatives: int, drawn: int) -> NDArray[np.float64]:
    """Sample weights, float64 [n]: rejected and drawn negatives count the same in total."""
    parts = [np.full(count, 1.0 / count) for count in (negatives, drawn) if count]
    return np.concatenate([np.empty(0), *parts])
