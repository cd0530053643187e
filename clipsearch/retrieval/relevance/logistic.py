"""Logistic regressions in the calibration files under ``data/calibration``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.metrics import sigmoid

CALIBRATION_FORMAT = 1

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Logistic:
    """A logistic regression: the probability is 1 / (1 + exp(−(intercept + coefficients · features)))."""

    intercept: float
    coefficients: tuple[float, ...]

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [n, features] → float64 [n], 0–1."""
        logits = self.intercept + features @ np.array(self.coefficients)
        return sigmoid(logits)

    @classmethod
    def from_json(cls, raw: dict[str, Any], names: tuple[str, ...]) -> Logistic:
        """The inverse of `to_json`.

        Raises:
            ValueError: the features are not `names`.
        """
        coefficients = raw["coefficients"]
        if set(coefficients) != set(names):
            raise ValueError(f"it has coefficients of {', '.join(coefficients)}, not of {', '.join(names)}")
        return cls(float(raw["intercept"]), tuple(float(coefficients[name]) for name in names))

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The JSON object, with the coefficients by feature name."""
        coefficients = {name: round(value, 5) for name, value in zip(names, self.coefficients, strict=True)}
        return {"intercept": round(self.intercept, 5), "coefficients": coefficients}


def read_calibration(prefix: str, spec: str, read: Callable[[dict[str, Any]], _Read]) -> _Read:
    """Read the calibration file of a model, or the default one if there is none.

    Args:
        prefix: of the file name.
        spec: of the model.
        read: parses the JSON; `ValueError`, `TypeError` and `KeyError` mean that the file is damaged.

    Raises:
        ModelError: the file is damaged.
    """
    folder = data_dir() / "calibration"
    path = folder / f"{prefix}{spec}.json"
    if not re.fullmatch(r"\w[\w.-]*", spec) or not path.is_file():
        path = folder / f"{prefix}default.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != CALIBRATION_FORMAT:
            raise ModelError(f"{path} has format {raw['format']!r}; this clipsearch reads format {CALIBRATION_FORMAT}")
        return read(raw)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read ({error!r}); install clipsearch again") from error
