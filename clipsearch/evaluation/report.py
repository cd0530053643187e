"""Evaluation reports: measurements of a model and the figures computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from clipsearch.errors import ConfigError
from clipsearch.evaluation.embedding import SkippedImage
from clipsearch.evaluation.measurements import Difference, Figure, Measurement, difference, figure
from clipsearch.evaluation.significance import Bootstrap


@dataclass(frozen=True)
class Contrast:
    """A comparison of two measurements of one report.

    Attributes:
        name: for display.
        first: name of the baseline measurement.
        second: name of the other measurement.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Results of a model in one task.

    Attributes:
        task: name of the task.
        resampled: unit of resampling for intervals, for display.
        candidates: name of a candidate, for display.
        model: spec of the encoder.
        queries: number of queries.
        images: number of candidates or classified images.
        measurements: all measurements.
        contrasts: the comparisons to report.
        seconds: time for reading, embedding and ranking.
        skipped: unreadable images.
    """

    task: ClassVar[str]
    resampled: ClassVar[str] = "pictures"
    candidates: ClassVar[str] = "picture"
    model: str
    queries: int
    images: int
    measurements: tuple[Measurement, ...]
    contrasts: tuple[Contrast, ...] = ()
    seconds: float
    skipped: tuple[SkippedImage, ...] = ()

    def measurement(self, name: str) -> Measurement:
        """The measurement of a name.

        Raises:
            KeyError: the name is unknown.
        """
        return {measurement.name: measurement for measurement in self.measurements}[name]

    def value(self, name: str) -> float:
        """Mean of the measurement of a name."""
        return self.measurement(name).mean

    def figures(self, bootstrap: Bootstrap) -> tuple[Figure, ...]:
        """All figures with intervals."""
        return tuple(figure(measurement, bootstrap) for measurement in self.measurements)

    def differences(self, bootstrap: Bootstrap) -> tuple[Difference, ...]:
        """The contrasts with intervals and tests."""
        return tuple(
            difference(contrast.name, self.measurement(contrast.first), self.measurement(contrast.second), bootstrap)
            for contrast in self.contrasts
        )

    def details(self) -> Mapping[str, Any]:
        """Further results of the task, as JSON values."""
        return {}


def compare(first: EvaluationReport, second: EvaluationReport, bootstrap: Bootstrap) -> tuple[Difference, ...]:
    """Compare two models by each measurement of both; returns the differences of the second from the first.

    Raises:
        ConfigError: their queries differ.
    """
    others = {measurement.name: measurement for measurement in second.measurements}
    names = [measurement.name for measurement in first.measurements if measurement.name in others]
    is_same = all(np.array_equal(first.measurement(name).groups, others[name].groups) for name in names)
    if not names or not is_same or first.skipped != second.skipped:
        raise ConfigError(f"{first.model} and {second.model} were evaluated on different queries")
    return tuple(difference(name, first.measurement(name), second.measurement(name), bootstrap) for name in names)
