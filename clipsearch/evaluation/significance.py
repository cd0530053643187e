"""Bootstrap intervals, paired bootstrap tests and McNemar's exact test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_RESAMPLES = 2000
"""With this number, the ends of a 95 % interval vary by a few percent of its width between seeds."""

_WEIGHTS_AT_ONCE = 2**23
"""Drawn groups per block: 64 MiB."""


@dataclass(frozen=True)
class Bootstrap:
    """Seeded resampling of groups of queries with replacement.

    Whole groups are drawn, because queries about one image are not independent. Measurements over the same groups have
    the same draws.

    Attributes:
        resamples: number of draws, at least 100.
        seed: seed of the draws.
        level: confidence level of intervals.

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
        """Mean over the queries, by draw.

        Args:
            values: float64 [queries], at least one.
            groups: int64 [queries], from 0.

        Returns:
            float64 [resamples].
        """
        _, groups = np.unique(groups, return_inverse=True)
        sizes = np.bincount(groups).astype(np.float64)
        totals = np.bincount(groups, weights=values)
        rng = np.random.default_rng(self.seed)
        means: list[NDArray[np.float64]] = []
        rows = max(1, _WEIGHTS_AT_ONCE // len(sizes))
        for start in range(0, self.resamples, rows):
            count = min(rows, self.resamples - start)
            drawn = rng.integers(0, len(sizes), (count, len(sizes)))
            means.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
        return np.concatenate(means)

    def interval(self, values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
        """Percentile interval of the mean; arguments as for `means`."""
        tail = (1.0 - self.level) / 2
        low, high = np.quantile(self.means(values, groups), (tail, 1.0 - tail))
        return float(low), float(high)

    def median_interval(self, values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
        """Percentile interval of the (lower) median; arguments as for `means`."""
        order = np.argsort(values, kind="stable")
        _, groups = np.unique(groups, return_inverse=True)
        count = int(groups.max()) + 1
        rng = np.random.default_rng(self.seed)
        medians: list[NDArray[np.float64]] = []
        rows = max(1, _WEIGHTS_AT_ONCE // max(count, len(values)))
        for start in range(0, self.resamples, rows):
            block = min(rows, self.resamples - start)
            drawn = rng.integers(0, count, (block, count)) + count * np.arange(block)[:, None]
            times = np.bincount(drawn.ravel(), minlength=block * count).reshape(block, count)
            below = times[:, groups[order]].cumsum(axis=1)  # queries up to each value
            medians.append(values[order][(2 * below >= below[:, -1:]).argmax(axis=1)])
        tail = (1.0 - self.level) / 2
        low, high = np.quantile(np.concatenate(medians), (tail, 1.0 - tail))
        return float(low), float(high)

    def p_value(self, gains: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
        """Two-sided p-value of a paired difference: the share of draws as far from the mean as the mean is from 0.

        Args:
            gains: differences of the second from the first, float64 [queries].
            groups: int64 [queries].

        Returns:
            Between 1 / (resamples + 1) and 1.
        """
        observed = float(gains.mean())
        # with a tolerance for the order of summation
        is_extreme = np.abs(self.means(gains, groups) - observed) >= abs(observed) * (1 - 1e-9)
        return float((1 + is_extreme.sum()) / (1 + self.resamples))


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test: two-sided p-value for two models' hits on the same independent queries.

    Args:
        only_first: queries with a hit by the first model only.
        only_second: queries with a hit by the second model only.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions", in the exact
    binomial form; recommended for classifiers by Dietterich 1998, "Approximate statistical tests".
    """
    from scipy.stats import binomtest

    total = only_first + only_second
    return float(binomtest(only_first, total).pvalue) if total else 1.0
