"""From trials to a logistic regression, its thresholds, and what they reach on queries that were not in the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import GroupKFold

from clipsearch.retrieval.relevance.logistic import Logistic
from clipsearch.training.mini.calibration_set import Trials

FOLDS = 5
RESAMPLES = 200
STRONG_PRECISION = 0.9
"""*Strong* is led by precision: so many of the libraries with a strong best candidate hold an answer, at even odds."""

POSSIBLE_RECALL = 0.9
"""*Possible* is led by recall: so many of the libraries that hold an answer have a best candidate that is possible."""

FALSE_POSITIVE_RATES = (0.01, 0.05, 0.1, 0.2, 0.5)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval (bootstrap over the queries' groups)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def fit_logistic(features: Floats, present: NDArray[np.bool_]) -> Logistic:
    """Fit by maximum likelihood, practically without a penalty: there are thousands of trials to each coefficient.

    Args:
        features: float64 [trials, features].
        present: what is to be told, bool [trials].
    """
    model = LogisticRegression(C=1e4, max_iter=1000).fit(features, present)
    return Logistic(float(model.intercept_[0]), tuple(float(value) for value in model.coef_[0]))


def out_of_fold(features: Floats, trials: Trials) -> Floats:
    """The probability of each trial by a fit that has seen no query of its group, float64 [trials]."""
    found = np.empty(len(features))
    for fit, test in GroupKFold(FOLDS).split(features, trials.present, trials.group):
        found[test] = fit_logistic(features[fit], trials.present[fit]).probabilities(features[test])
    return found


def thresholds(probabilities: Floats, present: NDArray[np.bool_]) -> tuple[float, float]:
    """The lowest probability with `STRONG_PRECISION` and the highest with `POSSIBLE_RECALL`.

    Raises:
        ValueError: no probability has that precision.
    """
    order = np.argsort(-probabilities, kind="stable")
    true = np.cumsum(present[order])
    precision, recall = true / np.arange(1, len(order) + 1), true / true[-1]
    precise = np.flatnonzero(precision >= STRONG_PRECISION)
    if not precise.size:
        raise ValueError(f"no threshold reaches a precision of {STRONG_PRECISION}")
    sorted_probabilities = probabilities[order]
    return float(sorted_probabilities[precise[-1]]), float(sorted_probabilities[np.argmax(recall >= POSSIBLE_RECALL)])


def auc(scores: Floats, trials: Trials) -> float:
    """Area under the ROC curve for "is there an answer in this library at all"."""
    return float(roc_auc_score(trials.present, scores))


def auc_figures(fitted: Floats, cosine: Floats, trials: Trials, *, seed: int = 0) -> tuple[Figure, Figure, Figure]:
    """Area under the ROC curve of two scores and its gain from the second to the first.

    The interval is the bootstrap's over groups of queries: trials of one query are not independent.
    """
    rng = np.random.default_rng(seed)
    names, group = np.unique(trials.group, return_inverse=True)
    drawn = []
    for _ in range(RESAMPLES):
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[group].astype(np.float64)
        drawn.append([roc_auc_score(trials.present, score, sample_weight=weights) for score in (fitted, cosine)])
    both = np.array(drawn)
    whole = np.array([auc(fitted, trials), auc(cosine, trials)])
    values = [*whole, whole[0] - whole[1]]
    samples = [both[:, 0], both[:, 1], both[:, 0] - both[:, 1]]
    fitted_figure, cosine_figure, gain = (
        Figure(float(value), *(float(q) for q in np.quantile(sample, (0.025, 0.975))))
        for value, sample in zip(values, samples, strict=True)
    )
    return fitted_figure, cosine_figure, gain


def recalls(scores: Floats, trials: Trials) -> list[float]:
    """Share of libraries with an answer that are recognised at each of `FALSE_POSITIVE_RATES`."""
    false_rates, true_rates, _ = roc_curve(trials.present, scores)
    return [float(true_rates[np.searchsorted(false_rates, rate, side="right") - 1]) for rate in FALSE_POSITIVE_RATES]


def best_accuracy(scores: Floats, trials: Trials) -> float:
    """Share that the best cutoff tells right, libraries with and without an answer counting the same."""
    false_rates, true_rates, _ = roc_curve(trials.present, scores)
    return float(np.max((true_rates + 1 - false_rates) / 2))


def calibration_error(probabilities: Floats, present: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean gap between probability and share of answers over bins of equally many trials.

    Source: expected calibration error, Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", with bins of equal count.
    """
    parts = np.array_split(np.argsort(probabilities), bins)
    gaps = [abs(probabilities[part].mean() - present[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(probabilities))
