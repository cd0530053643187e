"""Calibrated relevance of a picture to a text query: *strong*, *possible* or *none*, with a probability.

The level of a cosine similarity depends on the model, the query and the picture. As in score normalization for speaker
verification, it is compared with the query's scores on other pictures of the library and with the picture's scores for
other captions. A logistic regression over both, fitted by `clipsearch.training.mini.calibrate`, returns a probability.
Method and results: docs/matching.md.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.logistic import CALIBRATION_FORMAT, Logistic, read_calibration
from clipsearch.system.blas import inner_products

Match: TypeAlias = Literal["strong", "possible", "none"]
MinMatch: TypeAlias = Literal["strong", "possible", "any"]
MIN_MATCHES: tuple[MinMatch, ...] = get_args(MinMatch)

BACKGROUND_SIZE = 1000
"""Maximum sample of library pictures; a larger one hardly changes mean and spread."""

MIN_BACKGROUND = 20
"""Minimum library size for background statistics; below it only the caption bank is used."""

EXCLUDED_NEAREST_SHARE = 0.05
"""Share of the bank, the captions most similar to the query, that is excluded from the comparison."""

HARDEST_SHARE = 0.02
"""Share of the bank, the captions most similar to a picture, that a match is compared with."""

BANK_FEATURES = ("level", "bank_z", "bank_margin", "commonness", "expected_maximum")
LIBRARY_FEATURES = ("query_centre", *BANK_FEATURES)

_MIN_SPREAD = 1e-6
_SEED = 20


@dataclass(frozen=True)
class Assessment:
    """The calibrated relevance of a candidate.

    Attributes:
        match: ``strong``, ``possible`` or ``none``.
        probability: that the picture shows what the query says, 0–1.
    """

    match: Match
    probability: float


@dataclass(frozen=True)
class Calibration:
    """Fitted calibration of a model.

    Attributes:
        model: spec of the model it was fitted for.
        library: over `LIBRARY_FEATURES`.
        bank: over `BANK_FEATURES`, for libraries smaller than `MIN_BACKGROUND`.
        strong: minimum probability of a *strong* match.
        possible: minimum probability of a *possible* match.
        prompt_ensemble: whether short queries are put into templates (`clipsearch.retrieval.prompts`).
    """

    model: str
    library: Logistic
    bank: Logistic
    strong: float
    possible: float
    prompt_ensemble: bool

    def match(self, probability: float) -> Match:
        """The match level of a probability."""
        if probability >= self.strong:
            return "strong"
        return "possible" if probability >= self.possible else "none"


def load_calibration(spec: str) -> Calibration:
    """The calibration of a model; the bundled model's if there is none.

    Raises:
        ModelError: the file is damaged.
    """
    return read_calibration("", spec, _calibration)


def _calibration(raw: dict[str, Any]) -> Calibration:
    return Calibration(
        model=raw["model"],
        library=Logistic.from_json(raw["library"], LIBRARY_FEATURES),
        bank=Logistic.from_json(raw["bank"], BANK_FEATURES),
        strong=float(raw["strong"]),
        possible=float(raw["possible"]),
        prompt_ensemble=bool(raw["prompt_ensemble"]),
    )


def calibration_json(calibration: Calibration, **more: Any) -> str:
    """The content of a calibration file; `more` documents it."""
    raw = {
        "format": CALIBRATION_FORMAT,
        "model": calibration.model,
        "library": calibration.library.to_json(LIBRARY_FEATURES),
        "bank": calibration.bank.to_json(BANK_FEATURES),
        "strong": round(calibration.strong, 4),
        "possible": round(calibration.possible, 4),
        "prompt_ensemble": calibration.prompt_ensemble,
    }
    return json.dumps({**raw, **more}, indent=2) + "\n"


@dataclass(frozen=True)
class Background:
    """Background statistics of a library, for `MatchAssessor.assess`.

    Attributes:
        embeddings: of `background_ids`, float32 [m, dim], unit rows.
        level: mean cosine between them and the bank.
        spread: standard deviation of these cosines.
    """

    embeddings: FloatMatrix
    level: float
    spread: float


class MatchAssessor:
    """Assesses the candidates of queries, with one model."""

    def __init__(self, calibration: Calibration, bank: FloatMatrix) -> None:
        """Bind the calibration and the caption bank, float32 [captions, dim], unit rows."""
        self._calibration = calibration
        self._bank = bank

    def background(self, embeddings: NDArray[np.floating]) -> Background:
        """Compute the background statistics of a library.

        Args:
            embeddings: of `background_ids`, floating [m, dim], m ≥ 1, unit rows.
        """
        vectors = np.asarray(embeddings, np.float32)
        # the mean of (x·y)² over all pairs is the inner product of the second moments of x and of y
        level = float(vectors.mean(axis=0, dtype=np.float64) @ self._bank.mean(axis=0, dtype=np.float64))
        square = float(np.sum((vectors.T @ vectors) * self._bank_products, dtype=np.float64))
        return Background(vectors, level, _spread(level, square / (len(vectors) * len(self._bank))))

    @cached_property
    def _bank_products(self) -> NDArray[np.float32]:
        return self._bank.T @ self._bank

    def assess(
        self,
        text: NDArray[np.float32],
        candidates: NDArray[np.floating],
        background: Background,
        *,
        searched: int,
    ) -> list[Assessment]:
        """Assess each candidate.

        Args:
            text: embedding of the query text, float32 [dim], unit length.
            candidates: embeddings of the pictures to assess, floating [k, dim], unit rows.
            background: of the library.
            searched: number of pictures searched, from 1; the maximum of many scores is high by chance.
        """
        vectors = np.asarray(candidates, np.float32)
        scores, similarities, query_scores = (
            inner_products(rows, text[None])[:, 0] for rows in (vectors, self._bank, background.embeddings)
        )
        bank_scores = inner_products(vectors, self._bank)[:, comparison_captions(similarities)]
        features = np.column_stack(
            [
                library_features(scores, query_scores, background.level, background.spread),
                bank_features(scores, bank_scores, similarities, searched),
            ]
        )
        if len(query_scores) >= MIN_BACKGROUND:
            probabilities = self._calibration.library.probabilities(features)
        else:
            probabilities = self._calibration.bank.probabilities(features[:, -len(BANK_FEATURES) :])
        return [Assessment(self._calibration.match(value), value) for value in probabilities.tolist()]


def background_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """A deterministic random sample of embedding ids, int64 [n] → int64 [up to `BACKGROUND_SIZE`], ascending."""
    if len(ids) <= BACKGROUND_SIZE:
        return ids
    # not NumPy's generator, which takes longer to import than the rest of an assessment
    places = random.Random(_SEED).sample(range(len(ids)), BACKGROUND_SIZE)
    sample: NDArray[np.int64] = ids[np.sort(places)]
    return sample


def bank_moments(bank_scores: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square of each picture's scores over the bank, floating [n, captions] → float64 [n] each."""
    values = np.asarray(bank_scores, np.float64)
    return values.mean(axis=1), (values**2).mean(axis=1)


def score_level(means: NDArray[np.float64], squares: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of all cosines between a library's pictures and the bank, from `bank_moments`.

    They normalize the cosines of different models, whose level ranges from about 0.1 to 0.3.
    """
    level = float(means.mean())
    return level, _spread(level, float(squares.mean()))


def _spread(mean: float, mean_square: float) -> float:
    return max(float(np.sqrt(max(mean_square - mean**2, 0.0))), _MIN_SPREAD)


def library_features(
    scores: NDArray[np.floating], background: NDArray[np.floating], level: float, spread: float
) -> NDArray[np.float64]:
    """The features of candidates that need a library: ``query_centre`` and ``level``.

    Args:
        scores: of the candidates for the query, floating [k].
        background: of the library's sample for the same query, floating [m], m ≥ 1.
        level: mean of `score_level`.
        spread: standard deviation of `score_level`.

    Returns:
        float64 [k, 2], in standard deviations of the library's cosines with the bank: the median score of the query
        over the library, which a few matches do not change; and the score of the candidate.

    Source: zero normalization (Z-norm), Auckenthaler, Carey and Lloyd-Thomas 2000, "Score Normalization for
    Text-Independent Speaker Verification Systems"; its two parts are separate features of the regression.
    """
    normalized = (np.asarray(scores, np.float64) - level) / spread
    return np.column_stack([np.full(len(normalized), (_median(background) - level) / spread), normalized])


def _median(values: NDArray[np.floating]) -> float:
    """`numpy.median` without its import of masked arrays, which takes longer than the rest of an assessment."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def comparison_captions(similarities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows of the captions without the nearest `EXCLUDED_NEAREST_SHARE`, int64, ascending.

    Args:
        similarities: cosines of the captions with the query, floating [captions].
    """
    keep = len(similarities) - round(EXCLUDED_NEAREST_SHARE * len(similarities))
    return np.sort(np.argpartition(similarities, keep - 1)[:keep])


def bank_features(
    scores: NDArray[np.floating],
    bank_scores: NDArray[np.floating],
    similarities: NDArray[np.floating],
    searched: int,
) -> NDArray[np.float64]:
    """`BANK_FEATURES` of candidates, without ``level``.

    Args:
        scores: of the candidates for the query, floating [k].
        bank_scores: of the candidates for the other captions, floating [k, other captions].
        similarities: of the query to all captions, floating [captions].
        searched: number of pictures searched.

    Returns:
        float64 [k, 4]: the score in standard deviations above the mean of the captions; above the mean of the
        captions most similar to the picture; the similarity of the nearest captions to the query, in standard
        deviations above their mean; and the expected maximum of `searched` normal scores.

    Source: test normalization (T-norm), Auckenthaler, Carey and Lloyd-Thomas 2000, "Score Normalization for
    Text-Independent Speaker Verification Systems". The maximum of n normal values grows as
    √(2 ln n): Leadbetter, Lindgren and Rootzén 1983, "Extremes and Related Properties of Random
    Sequences and Processes", §1.5.
    """
    values, candidates = np.asarray(bank_scores, np.float64), np.asarray(scores, np.float64)
    mean, spread = values.mean(axis=1), np.maximum(values.std(axis=1), _MIN_SPREAD)
    common = np.asarray(similarities, np.float64)[None]
    commonness = (_highest(common) - common.mean(axis=1)) / np.maximum(common.std(axis=1), _MIN_SPREAD)
    chance = np.sqrt(2 * np.log(max(searched, 1)))
    return np.column_stack(
        [
            (candidates - mean) / spread,
            (candidates - _highest(values)) / spread,
            np.full(len(candidates), commonness),
            np.full(len(candidates), chance),
        ]
    )


def _highest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the highest `HARDEST_SHARE` of each row, float64 [rows]."""
    count = max(1, round(HARDEST_SHARE * values.shape[1]))
    highest: NDArray[np.float64] = np.partition(values, values.shape[1] - count, axis=1)[:, -count:].mean(axis=1)
    return highest
