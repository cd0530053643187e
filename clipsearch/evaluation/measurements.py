"""Per-query measurements, and figures with intervals and differences computed from them.

Every figure is a mean over queries. The values per query are kept, so that every figure has an interval and figures
over the same queries can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.significance import Bootstrap, exact_mcnemar
from clipsearch.metrics import RelevantRanks, average_precision, ndcg_at_k, recall_at_k


@dataclass(frozen=True, eq=False)
class Measurement:
    """One measure of a model, by query.

    Attributes:
        name: for display and JSON.
        values: float64 [queries], 0–1.
        groups: image of each query, int64 [queries], from 0. Queries about one image are not independent, so intervals
            resample whole images.
    """

    name: str
    values: NDArray[np.float64]
    groups: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean over the queries."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval.

    Attributes:
        name: name of the measurement.
        value: mean over the queries.
        low: lower end of the interval.
        high: upper end.
        queries: number of queries.
    """

    name: str
    value: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True)
class Difference:
    """Difference of two figures over the same queries.

    Attributes:
        name: name of the comparison.
        value: the second minus the first.
        low: lower end of its 95 % interval.
        high: upper end.
        p_value: two-sided p-value of the paired bootstrap.
        mcnemar_p: two-sided p-value of McNemar's exact test; ``None`` unless all values are 0 or 1 and every query is
            about another image.
    """

    name: str
    value: float
    low: float
    high: float
    p_value: float
    mcnemar_p: float | None = None

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` if the interval excludes 0; otherwise ``no clear difference``."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "no clear difference"


def figure(measurement: Measurement, bootstrap: Bootstrap) -> Figure:
    """The mean of a measurement, with its interval."""
    low, high = bootstrap.interval(measurement.values, measurement.groups)
    return Figure(measurement.name, measurement.mean, low, high, len(measurement.values))


def median_figure(measurement: Measurement, bootstrap: Bootstrap) -> Figure:
    """The (lower) median of a measurement, with its interval."""
    low, high = bootstrap.median_interval(measurement.values, measurement.groups)
    median = float(np.quantile(measurement.values, 0.5, method="lower"))
    return Figure(measurement.name, median, low, high, len(measurement.values))


def difference(name: str, first: Measurement, second: Measurement, bootstrap: Bootstrap) -> Difference:
    """Compare two measurements of the same queries.

    Raises:
        ValueError: the queries are not the same.
    """
    if not np.array_equal(first.groups, second.groups):
        raise ValueError(f"{first.name} and {second.name} have different queries")
    gains = second.values - first.values
    low, high = bootstrap.interval(gains, first.groups)
    return Difference(
        name=name,
        value=float(gains.mean()),
        low=low,
        high=high,
        p_value=bootstrap.p_value(gains, first.groups),
        mcnemar_p=_mcnemar(first, second),
    )


def retrieval_measurements(
    ranks: RelevantRanks, groups: NDArray[np.int64], *, prefix: str = "", cutoffs: Sequence[int] = (1, 5, 10)
) -> tuple[Measurement, ...]:
    """Hit rates, recall, MRR, nDCG@10 and mAP.

    Args:
        ranks: ranks of the relevant items of each query.
        groups: int64 [queries], as in `Measurement`.
        prefix: prefix of each name.
        cutoffs: k of hit rates and recall.
    """
    named: list[tuple[str, NDArray[np.float64]]] = []
    named += [(f"hit rate @{k}", (ranks.first <= k).astype(np.float64)) for k in cutoffs]
    named += [(f"recall @{k}", recall_at_k(ranks, k)) for k in cutoffs]
    named += [("MRR", 1.0 / ranks.first), ("nDCG @10", ndcg_at_k(ranks, 10)), ("mAP", average_precision(ranks))]
    return tuple(Measurement(prefix + name, values, groups) for name, values in named)


def _mcnemar(first: Measurement, second: Measurement) -> float | None:
    both = np.stack([first.values, second.values])
    if not np.isin(both, (0.0, 1.0)).all() or len(np.unique(first.groups)) < len(first.groups):
        return None
    only_first, only_second = int((both[0] > both[1]).sum()), int((both[1] > both[0]).sum())
    return exact_mcnemar(only_first, only_second)
