"""What is measured query by query, and what follows from it: figures with intervals, and differences.

Every figure of an evaluation is a mean over queries, kept as one value a query until it is reported, so that any
figure has an interval and any two over the same queries can be compared.
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
    """One measure of a model, query by query.

    Attributes:
        name: what it is, for people and for JSON.
        values: float64 [queries], 0–1.
        groups: int64 [queries], from 0 on: which picture each query is about. Queries about one picture are not
            independent, so that intervals are made of whole pictures.
    """

    name: str
    values: NDArray[np.float64]
    groups: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """The figure."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval.

    Attributes:
        name: of the measurement.
        value: mean over the queries.
        low: lower end of the interval.
        high: upper end.
        queries: over how many queries.
    """

    name: str
    value: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True)
class Difference:
    """How much higher the second of two figures over the same queries is.

    Attributes:
        name: what is compared.
        value: the second less the first.
        low: lower end of its 95 % interval.
        high: upper end.
        p_value: two-sided, of the paired bootstrap: how often chance alone makes such a difference.
        mcnemar_p: two-sided, of McNemar's exact test; ``None`` unless every value is 0 or 1 and no picture has
            two queries.
    """

    name: str
    value: float
    low: float
    high: float
    p_value: float
    mcnemar_p: float | None = None

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` where the interval has no 0 in it, else ``no clear difference``."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "no clear difference"


def figure(measurement: Measurement, bootstrap: Bootstrap) -> Figure:
    """The mean of a measurement, with its interval."""
    low, high = bootstrap.interval(measurement.values, measurement.groups)
    return Figure(measurement.name, measurement.mean, low, high, len(measurement.values))


def difference(name: str, first: Measurement, second: Measurement, bootstrap: Bootstrap) -> Difference:
    """Compare two measurements of the same queries.

    Raises:
        ValueError: the queries are not the same.
    """
    if not np.array_equal(first.groups, second.groups):
        raise ValueError(f"{first.name} and {second.name} are not about the same queries")
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
    """Everything that ranks tell: hit rates, recall, MRR, nDCG@10 and mAP.

    Args:
        ranks: of what is relevant to each query.
        groups: int64 [queries], as in `Measurement`.
        prefix: put before each name.
        cutoffs: of the hit rates and of recall.
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
