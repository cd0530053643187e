"""What an evaluation gives: measurements of one model, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from clipsearch.errors import ConfigError
from clipsearch.evaluation.embedding import SkippedImage
from clipsearch.evaluation.measurements import Difference, Figure, Measurement, difference, figure
from clipsearch.evaluation.significance import Bootstrap


@dataclass(frozen=True)
class Contrast:
    """Two measurements of one report that are to be compared.

    Attributes:
        name: what is compared.
        first: name of the measurement that the difference starts from.
        second: name of the other one.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """What a model reached in one task.

    Attributes:
        task: name of the task; each has a class of its own.
        resampled: what intervals are made of, for people.
        model: spec of the encoder.
        queries: how many were asked.
        images: candidates among which each was searched, or pictures that were classified.
        measurements: everything that was measured, query by query.
        contrasts: which of them are to be compared.
        seconds: for reading, embedding and ranking.
        skipped: pictures that could not be read.
    """

    task: ClassVar[str]
    resampled: ClassVar[str] = "pictures"
    model: str
    queries: int
    images: int
    measurements: tuple[Measurement, ...]
    contrasts: tuple[Contrast, ...] = ()
    seconds: float
    skipped: tuple[SkippedImage, ...] = ()

    def measurement(self, name: str) -> Measurement:
        """The one of that name.

        Raises:
            KeyError: there is none.
        """
        for found in self.measurements:
            if found.name == name:
                return found
        raise KeyError(name)

    def value(self, name: str) -> float:
        """The figure of that name, without its interval."""
        return self.measurement(name).mean

    def figures(self, bootstrap: Bootstrap) -> tuple[Figure, ...]:
        """All figures, with intervals."""
        return tuple(figure(found, bootstrap) for found in self.measurements)

    def differences(self, bootstrap: Bootstrap) -> tuple[Difference, ...]:
        """The contrasts, with intervals and tests."""
        return tuple(
            difference(wanted.name, self.measurement(wanted.first), self.measurement(wanted.second), bootstrap)
            for wanted in self.contrasts
        )

    def details(self) -> Mapping[str, Any]:
        """What a task has besides figures, ready for JSON."""
        return {}


def compare(first: EvaluationReport, second: EvaluationReport, bootstrap: Bootstrap) -> tuple[Difference, ...]:
    """Compare two models, measure by measure.

    Returns:
        How much higher the second is in each.

    Raises:
        ConfigError: they were not asked the same queries.
    """
    names = [found.name for found in first.measurements]
    if names != [found.name for found in second.measurements] or first.skipped != second.skipped:
        raise ConfigError(f"{first.model} and {second.model} were not asked the same queries")
    return tuple(difference(name, first.measurement(name), second.measurement(name), bootstrap) for name in names)
