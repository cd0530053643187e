"""How sure figures and differences are: bootstrap intervals, paired bootstrap, McNemar's exact test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_RESAMPLES = 2000
"""The ends of a 95 % interval then wander by a few hundredths of its width between seeds."""

_WEIGHTS_AT_ONCE = 2**23
"""Weights of resampled groups held at once: 64 MiB of float64."""


@dataclass(frozen=True)
class Bootstrap:
    """Resampling of groups of queries with replacement, seeded.

    Whole groups are drawn, because queries about one picture are not independent: the five captions of a photo are
    right or wrong together. Two sets of values over the same groups see the same draws.

    Attributes:
        resamples: draws, at least 100.
        seed: of the draws.
        level: share of the draws' means that an interval spans.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", sections 13.3 (percentile interval) and
    16.4 (testing); for retrieval Sakai 2006, "Evaluating evaluation metrics based on the bootstrap"; for groups
    Field and Welsh 2007, "Bootstrapping clustered data".
    """

    resamples: int = DEFAULT_RESAMPLES
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ValueError(f"at least 100 resamples are needed, not {self.resamples}")

    def means(self, values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean over the queries of each draw.

        Args:
            values: float64 [queries], at least one.
            groups: int64 [queries], from 0 on.

        Returns:
            float64 [resamples].
        """
        _, groups = np.unique(groups, return_inverse=True)
        sizes = np.bincount(groups).astype(np.float64)
        totals = np.bincount(groups, weights=values)
        rng = np.random.default_rng(self.seed)
        found: list[NDArray[np.float64]] = []
        rows = max(1, _WEIGHTS_AT_ONCE // len(sizes))
        for start in range(0, self.resamples, rows):
            count = min(rows, self.resamples - start)
            drawn = rng.integers(0, len(sizes), (count, len(sizes)))
            found.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
        return np.concatenate(found)

    def interval(self, values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
        """Percentile interval of the mean; arguments as `means`."""
        tail = (1.0 - self.level) / 2
        low, high = np.quantile(self.means(values, groups), (tail, 1.0 - tail))
        return float(low), float(high)

    def p_value(self, gains: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
        """Two-sided p-value of a paired difference: the share of draws as far from the mean as the mean is from 0.

        Args:
            gains: float64 [queries], what the second has more than the first.
            groups: int64 [queries].

        Returns:
            Between 1 / (resamples + 1) and 1.
        """
        observed = float(gains.mean())
        # sums of the same numbers in another order may differ in the last digits
        away = np.abs(self.means(gains, groups) - observed) >= abs(observed) * (1 - 1e-9)
        return float((1 + away.sum()) / (1 + self.resamples))


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value for two models' hits on the same independent queries.

    Of the queries that only one of them gets right, each is as likely to be the first's as the second's if both
    models are equally good.

    Args:
        only_first: queries that only the first gets right.
        only_second: queries that only the second gets right.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions", in the exact
    binomial form; recommended for classifiers by Dietterich 1998, "Approximate statistical tests".
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    log_half = total * math.log(2)
    ways = (
        math.exp(math.lgamma(total + 1) - math.lgamma(hits + 1) - math.lgamma(total - hits + 1) - log_half)
        for hits in range(fewer + 1)
    )
    return min(1.0, 2.0 * math.fsum(ways))
