"""From results to a logistic regression, its thresholds, and what they reach on results that were not in the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from clipsearch.retrieval.relevance.logistic import Logistic
from clipsearch.training.mini.calibration_set import Results

FOLDS = 5

STRONG_PRECISION = 0.9
"""*Strong* is led by precision: of the results called so, this share is right."""

POSSIBLE_RECALL = 0.9
"""*Possible* is led by recall: of the searches with a right result among the first, this share has one called so."""

SEVERAL = 3
"""Pictures that a library must hold of something for a strong result to be expected."""

Floats = NDArray[np.float64]


def fit_logistic(features: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> Logistic:
    """Fit by maximum likelihood, practically without a penalty: there are thousands of results to each coefficient.

    Args:
        features: float64 [results, features].
        right: what is to be predicted, bool [results].
        weights: of the results, float64 [results]; equal if ``None``.
    """
    model = LogisticRegression(C=1e4, max_iter=2000).fit(features, right, sample_weight=weights)
    return Logistic(float(model.intercept_[0]), tuple(float(value) for value in model.coef_[0]))


def out_of_fold(features: Floats, results: Results, weights: Floats | None = None) -> Floats:
    """The probability of each result by a fit that has seen no query of its group, float64 [results]."""
    probabilities = np.empty(len(features))
    for fit, test in GroupKFold(FOLDS).split(features, results.right, results.group):
        logistic = fit_logistic(features[fit], results.right[fit], weights[fit] if weights is not None else None)
        probabilities[test] = logistic.probabilities(features[test])
    return probabilities


def strong_threshold(probabilities: Floats, right: NDArray[np.bool_]) -> float:
    """The lowest probability from which on `STRONG_PRECISION` of the results are right.

    Raises:
        ValueError: no probability has that precision.
    """
    order = np.argsort(-probabilities, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    precise = np.flatnonzero(precision >= STRONG_PRECISION)
    if not precise.size:
        raise ValueError(f"no threshold reaches a precision of {STRONG_PRECISION}")
    return float(probabilities[order][precise[-1]])


def possible_threshold(probabilities: Floats, results: Results) -> float:
    """The highest probability that the best right result of `POSSIBLE_RECALL` of the searches reaches."""
    best: dict[int, float] = {}
    for search, probability in zip(results.search[results.right], probabilities[results.right], strict=True):
        best[int(search)] = max(best.get(int(search), 0.0), float(probability))
    return float(np.quantile(list(best.values()), 1.0 - POSSIBLE_RECALL))


def calibration_error(probabilities: Floats, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean gap between probability and share of right results over bins of equally many.

    Source: Naeini, Cooper and Hauskrecht 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning, §4.
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        len(part) * abs(float(probabilities[part].mean() - right[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(np.sum(gaps) / len(order))


def measured(probabilities: Floats, results: Results, *, strong: float, possible: float) -> dict[str, Any]:
    """What is reached on results that were not in the fit."""
    figures: dict[str, Any] = {
        "results": len(results.right),
        "right": _rounded(results.right.mean()),
        "auc": _rounded(roc_auc_score(results.right, probabilities)),
        "cosine_auc": _rounded(roc_auc_score(results.right, results.cosine)),
        "calibration_error": _rounded(calibration_error(probabilities, results.right)),
    }
    for name, threshold in (("strong", strong), ("possible", possible)):
        called = probabilities >= threshold
        figures[name] = {
            "results": int(called.sum()),
            "precision": _rounded(results.right[called].mean()) if called.any() else None,
            "recall": _rounded(called[results.right].mean()),
            "searches": _rounded(_share_of_searches(called, results)),
        }
    return figures


def _share_of_searches(called: NDArray[np.bool_], results: Results) -> float:
    """Of the searches in libraries that hold `SEVERAL`, the share with a result called so."""
    several = results.holds >= SEVERAL
    searches = np.unique(results.search[several])
    return len(np.unique(results.search[several & called])) / max(1, len(searches))


def _rounded(value: float) -> float:
    return round(float(value), 4)
