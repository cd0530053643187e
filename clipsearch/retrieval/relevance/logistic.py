"""Logistic regressions as they are kept in the calibration files under ``data/calibration``."""

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

CALIBRATION_FORMAT = 1

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Logistic:
    """A logistic regression: the probability is 1 / (1 + exp(−(intercept + coefficients · features)))."""

    intercept: float
    coefficients: tuple[float, ...]

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each row of float64 [n, features]; float64 [n], 0–1."""
        logits = self.intercept + features @ np.array(self.coefficients)
        found: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
        return found

    @classmethod
    def from_json(cls, raw: dict[str, Any], names: tuple[str, ...]) -> Logistic:
        """What `to_json` made; `names` are its features, in order.

        Raises:
            ValueError: it is of other features.
        """
        coefficients = raw["coefficients"]
        if set(coefficients) != set(names):
            raise ValueError(f"it has coefficients of {', '.join(coefficients)}, not of {', '.join(names)}")
        return cls(float(raw["intercept"]), tuple(float(coefficients[name]) for name in names))

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """With each coefficient under the name of its feature."""
        coefficients = {name: round(value, 5) for name, value in zip(names, self.coefficients, strict=True)}
        return {"intercept": round(self.intercept, 5), "coefficients": coefficients}


def read_calibration(prefix: str, spec: str, read: Callable[[dict[str, Any]], _Read]) -> _Read:
    """Read what was fitted for a model, or, for one that nothing was fitted for, what was fitted for the bundled one.

    Args:
        prefix: that the files' names begin with.
        spec: of the model.
        read: makes something of the file's JSON; a `ValueError`, `TypeError` or `KeyError` of it means damage.

    Raises:
        ModelError: the file is damaged.
    """
    folder = data_dir() / "calibration"
    own = folder / f"{prefix}{spec}.json"
    path = own if re.fullmatch(r"\w[\w.-]*", spec) and own.is_file() else folder / f"{prefix}default.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != CALIBRATION_FORMAT:
            raise ModelError(f"{path} is of format {raw['format']!r}; this clipsearch reads {CALIBRATION_FORMAT}")
        return read(raw)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read ({error!r}); install clipsearch again") from error
