"""A concept's direction from its examples: a linear probe, blended with what the model makes of its text.

Below about four examples of a class a linear probe alone is worse than the zero-shot classifier (Radford et al. 2021,
"Learning Transferable Visual Models From Natural Language Supervision", §3.1.5 and Figure 6). So the two are blended,
and the text's share falls as examples come in; docs/concepts.md has the rule and how it was measured.
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
"""Positive examples that a text is worth: the probe's share is one half when there are so many."""

REGULARISATION = 1.0
"""The usual C."""

OTHER_REGULARISATIONS = (0.1, 10.0)
"""Values of C that cross-validation compares with it."""

OTHER_SHARES = (0.5, 0.25, 0.0)
"""Shares of the text that cross-validation compares with `text_share`, where they are smaller."""

ENOUGH_TO_VALIDATE = 8
"""Examples of each class from which on it does."""

STANDARD_ERRORS = 2.0
"""By how many of them something has to be better than what is usual."""

_FOLDS = 5
_SMALLEST_SPREAD = 1e-6
_SMALLEST_ERROR = 0.01
"""Of a mean average precision: fewer than a handful of folds may agree by chance."""
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
        negatives: of pictures that a person said do not, float32 [m, dim], unit rows.
        drawn: of pictures that most likely do not, float32 [d, dim], unit rows.
        text: embedding of what it is in words, float32 [dim], unit length.

    Returns:
        The same for the same examples in the same order.
    """
    from threadpoolctl import threadpool_limits

    probe = _Probe(positives, negatives, drawn, text)
    with threadpool_limits(1):  # threads cost more than such small problems give them to do
        blending = probe.chosen_blending()
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
    """How much of a direction is the text's, by the number of positive examples.

    >>> text_share(8), text_share(32)
    (0.8, 0.5)
    """
    return TEXT_WORTH / (TEXT_WORTH + positives)


def blend(
    probe: NDArray[np.float64], text: NDArray[np.float32], others: FloatMatrix, *, share: float
) -> NDArray[np.float64]:
    """Add a probe's weights and a text's direction, each by the spread of its scores over other pictures.

    Args:
        probe: weights, float64 [dim].
        text: float32 [dim], unit length.
        others: embeddings of pictures that do not show the concept, float32 [n, dim]; without any, lengths count.
        share: the text's, 0–1.

    Returns:
        float64 [dim], of no particular length.
    """
    if len(others) > 1:
        units = scores_spread(others @ text), scores_spread(others @ probe)
    else:
        units = float(np.linalg.norm(text)), float(np.linalg.norm(probe))
    return share * text / units[0] + (1.0 - share) * probe / units[1]


def scores_spread(scores: NDArray[np.floating]) -> float:
    """The unit in which scores are added up: their standard deviation over pictures that do not show a class."""
    return max(float(scores.std()), _SMALLEST_SPREAD)


@dataclass(frozen=True)
class _Blending:
    """How a direction is made: the probe's C, and the share of the text."""

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

    def chosen_blending(self) -> _Blending:
        """The usual one, unless another ranks held-out examples better by more than chance.

        Source: after the one-standard-error rule, Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical
        Learning", section 7.10.1; here about the differences from the usual one, fold by fold.
        """
        positives = int(self._shows.sum())
        usual = _Blending(REGULARISATION, text_share(positives) if self._text is not None else 0.0)
        if min(positives, len(self._shows) - positives) < ENOUGH_TO_VALIDATE:
            return usual
        others = [_Blending(REGULARISATION, share) for share in OTHER_SHARES if share < usual.share]
        others += [_Blending(value, usual.share) for value in OTHER_REGULARISATIONS]
        chosen, best, before = usual, 0.0, self._held_out_precision(usual)
        for blending in others:
            gains = self._held_out_precision(blending) - before
            error = float(gains.std(ddof=1)) / len(gains) ** 0.5
            if gains.mean() > max(best, STANDARD_ERRORS * max(error, _SMALLEST_ERROR)):
                chosen, best = blending, float(gains.mean())
        return chosen

    def direction(self, rows: NDArray[np.int64], blending: _Blending) -> NDArray[np.float32]:
        """The blended direction of some of the examples, float32 [dim], unit length.

        Args:
            rows: which of `_examples`, int64 [n]; at least one positive.
            blending: how.
        """
        weights = self._probe_weights(rows, blending.regularisation)
        if self._text is not None:
            others = self._examples[rows[~self._shows[rows]]]
            weights = blend(weights, self._text, others, share=blending.share)
        found: NDArray[np.float32] = l2_normalize(weights[None])[0]
        return found

    def _probe_weights(self, rows: NDArray[np.int64], regularisation: float) -> NDArray[np.float64]:
        """The probe's weights, float64 [dim]; fitted once, however they are blended."""
        key = rows.tobytes(), regularisation
        if key not in self._probes:
            shows = self._shows[rows]
            positives, others = self._examples[rows[shows]], self._examples[rows[~shows]]
            if len(others):
                weights = probe_weights(positives, others, self._weights[rows[~shows]], regularisation)
            else:
                weights = np.zeros(positives.shape[1])
            # examples that are the same on both sides tell nothing apart: then what the positives are alone
            self._probes[key] = weights if weights.any() else positives.mean(axis=0).astype(np.float64)
        return self._probes[key]

    def calibration(self, direction: NDArray[np.float32], blending: _Blending) -> tuple[float, float]:
        """Scale and intercept of the probability, from scores that no example had a part in, where there are enough.

        Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
        Likelihood Methods", §2.2: held-out scores, and targets drawn in from 0 and 1.
        """
        if self._shows.all():
            return 1.0, 0.0
        scores: NDArray[np.float32] = self._examples @ direction
        for kept, held_out in self._folds:
            scores[held_out] = self._examples[held_out] @ self.direction(kept, blending)
        return _platt(scores, self._shows, self._weights)

    def _held_out_precision(self, blending: _Blending) -> NDArray[np.float64]:
        """Average precision of each fold, float64 [folds]."""
        found = []
        for kept, held_out in self._folds:
            scores, shows = self._examples[held_out] @ self.direction(kept, blending), self._shows[held_out]
            starts = np.array([0, shows.sum()], np.int64)
            found.append(average_precision(relevant_ranks(scores[None], np.flatnonzero(shows), starts))[0])
        return np.array(found)

    @cached_property
    def _folds(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows kept and held out, positives and others in equal shares; none if a class is too small to split."""
        count = min(_FOLDS, int(self._shows.sum()), int((~self._shows).sum()))
        if count < 2:
            return []
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(count, shuffle=True, random_state=_SEED)
        return list(folds.split(self._examples, self._shows))


def probe_weights(
    positives: FloatMatrix, others: FloatMatrix, other_weights: NDArray[np.float64], regularisation: float
) -> NDArray[np.float64]:
    """The weights of a logistic regression, float64 [dim], both classes counting the same.

    Args:
        positives: float32 [n, dim], n ≥ 1.
        others: float32 [m, dim], m ≥ 1.
        other_weights: how much each of them counts, float64 [m].
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
    found: NDArray[np.float64] = model.coef_[0]
    return found


def _platt(scores: NDArray[np.floating], shows: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and intercept of a sigmoid over scores, both classes counting the same."""
    from sklearn.linear_model import LogisticRegression

    positives, others = int(shows.sum()), int((~shows).sum())
    targets = np.where(shows, (positives + 1) / (positives + 2), 1 / (others + 2))
    shares = np.where(shows, 1 / positives, weights / weights[~shows].sum())
    middle, spread = float(scores.mean()), max(float(scores.std()), _SMALLEST_SPREAD)
    standardised = ((scores - middle) / spread).astype(np.float64)[:, None]
    model = LogisticRegression(C=1e6, solver="lbfgs", max_iter=1000)
    # each example is both, as much as its target says
    model.fit(
        np.concatenate([standardised, standardised]),
        np.repeat([1, 0], len(scores)),
        sample_weight=np.concatenate([shares * targets, shares * (1 - targets)]) * len(scores),
    )
    scale = float(model.coef_[0, 0]) / spread
    return scale, float(model.intercept_[0]) - scale * middle


def _shared_weights(negatives: int, drawn: int) -> NDArray[np.float64]:
    """Weights of what a person named and of what was drawn: each half of all, where there are both; float64 [n]."""
    parts = [np.full(count, 1.0 / count) for count in (negatives, drawn) if count]
    return np.concatenate([np.empty(0), *parts])
