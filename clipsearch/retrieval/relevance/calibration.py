"""Whether a picture answers a query: *strong*, *possible* or *none*, with a probability, from cosine similarities.

A cosine means nothing by itself: its level depends on the model, on the query and on the picture. What it is worth
shows in two comparisons, as in the score normalisation of speaker verification: with how the query scores on other
pictures of the library, and with how the picture scores for other captions. A logistic regression over both, fitted
by `clipsearch.training.mini.calibrate`, makes a probability of them. docs/matching.md has the method and what it
reaches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.logistic import CALIBRATION_FORMAT, Logistic, read_calibration
from clipsearch.system.blas import inner_products

Match: TypeAlias = Literal["strong", "possible", "none"]
MinMatch: TypeAlias = Literal["strong", "possible", "any"]
MATCHES: tuple[Match, ...] = get_args(Match)
MIN_MATCHES: tuple[MinMatch, ...] = get_args(MinMatch)

BACKGROUND_SIZE = 1000
"""Pictures of a library that a query is compared with, at most: beyond it mean and spread hardly change."""

FEWEST_IN_BACKGROUND = 20
"""Pictures below which a library has no background worth the name; then the bank alone tells."""

EXCLUDED_NEAREST_SHARE = 0.05
"""Share of the bank that says nearly what the query says, and so is no comparison for it."""

HARDEST = 0.02
"""Share of the bank that fits a picture best, which a match has to beat."""

BANK_FEATURES = ("level", "bank_z", "bank_margin", "commonness", "expected_maximum")
LIBRARY_FEATURES = ("query_centre", *BANK_FEATURES)

_SMALLEST_SPREAD = 1e-6
_SEED = 20


@dataclass(frozen=True)
class Assessment:
    """What a candidate is worth.

    Attributes:
        match: ``strong``, ``possible`` or ``none``.
        probability: that the library holds a match if this is its best candidate, 0–1, at even odds beforehand.
    """

    match: Match
    probability: float


@dataclass(frozen=True)
class Calibration:
    """What was fitted for a model.

    Attributes:
        model: spec of the model it was fitted for.
        library: over `LIBRARY_FEATURES`.
        bank: over `BANK_FEATURES`, for libraries too small to be a background.
        strong: probability from which on a match is *strong*.
        possible: probability from which on it is *possible*.
        prompt_ensemble: whether short queries are better put into templates (`clipsearch.retrieval.prompts`).
    """

    model: str
    library: Logistic
    bank: Logistic
    strong: float
    possible: float
    prompt_ensemble: bool

    def match(self, probability: float) -> Match:
        """What to call a probability."""
        if probability >= self.strong:
            return "strong"
        return "possible" if probability >= self.possible else "none"


def load_calibration(spec: str) -> Calibration:
    """What was fitted for a model, or, for one that nothing was fitted for, what was fitted for the bundled one.

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
    """The content of a calibration file; `more` is for people."""
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
    """What a library's pictures are like, for `MatchAssessor.assess`.

    Attributes:
        embeddings: of `background_ids`, float32 [m, dim], unit rows.
        level: mean cosine between them and the bank.
        spread: standard deviation of these cosines.
    """

    embeddings: FloatMatrix
    level: float
    spread: float


class MatchAssessor:
    """Assesses the candidates of a query; of one model."""

    def __init__(self, calibration: Calibration, bank: FloatMatrix) -> None:
        """Bind what was fitted and the bank, float32 [captions, dim] of unit rows (`caption_bank`)."""
        self._calibration = calibration
        self._bank = bank

    def background(self, embeddings: NDArray[np.floating]) -> Background:
        """What a library is compared by; the same until it changes.

        Args:
            embeddings: of `background_ids`, floating [m, dim], m ≥ 1, unit rows.
        """
        vectors = np.asarray(embeddings, np.float32)
        return Background(vectors, *usual_level(*bank_moments(vectors @ self._bank.T)))

    def assess(
        self,
        direction: NDArray[np.float32],
        candidates: NDArray[np.floating],
        background: Background,
        *,
        searched: int,
    ) -> list[Assessment]:
        """Say of each candidate whether it answers a query.

        Args:
            direction: the query's words, float32 [dim], unit length.
            candidates: embeddings of the pictures to assess, floating [k, dim], unit rows.
            background: of the library.
            searched: pictures among which the candidates were found, from 1: the best of many scores high by chance.
        """
        vectors = np.asarray(candidates, np.float32)
        scores, similarities, query_scores = (
            inner_products(some, direction[None])[:, 0] for some in (vectors, self._bank, background.embeddings)
        )
        bank_scores = inner_products(vectors, self._bank)[:, other_captions(similarities)]
        features = np.column_stack(
            [
                library_features(scores, query_scores, background.level, background.spread),
                bank_features(scores, bank_scores, similarities, searched),
            ]
        )
        if len(query_scores) >= FEWEST_IN_BACKGROUND:
            found = self._calibration.library.probabilities(features)
        else:
            found = self._calibration.bank.probabilities(features[:, -len(BANK_FEATURES) :])
        return [Assessment(self._calibration.match(value), value) for value in found.tolist()]


def background_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fixed random sample of a library's embeddings: int64 [n], ascending, to int64 [up to `BACKGROUND_SIZE`]."""
    if len(ids) <= BACKGROUND_SIZE:
        return ids
    return np.sort(np.random.default_rng(_SEED).choice(ids, BACKGROUND_SIZE, replace=False))


def bank_moments(bank_scores: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square over the bank of each picture's scores, floating [n, captions]; float64 [n] each."""
    values = np.asarray(bank_scores, np.float64)
    return values.mean(axis=1), (values**2).mean(axis=1)


def usual_level(means: NDArray[np.float64], squares: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of all cosines between a library's pictures and the bank, from `bank_moments`.

    This is the unit that makes cosines of different models comparable: some lie around 0.1, some around 0.3.
    """
    level = float(means.mean())
    return level, max(float(np.sqrt(max(squares.mean() - level**2, 0.0))), _SMALLEST_SPREAD)


def library_features(
    scores: NDArray[np.floating], background: NDArray[np.floating], level: float, spread: float
) -> NDArray[np.float64]:
    """The features of candidates that need a library: ``query_centre`` and ``level``.

    Args:
        scores: of the candidates for the query, floating [k].
        background: of the library's sample for the same query, floating [m], m ≥ 1.
        level: `usual_level`.
        spread: likewise.

    Returns:
        float64 [k, 2], in standard deviations of the library's cosines with the bank: how high the query scores on
        the library's middle picture, by the median, which a few matches do not move; and on the candidate.

    Source: zero normalisation, as in Auckenthaler, Carey and Lloyd-Thomas 2000, "Score Normalization for
    Text-Independent Speaker Verification Systems", its two parts kept apart for the regression to weigh.
    """
    wanted = (np.asarray(scores, np.float64) - level) / spread
    return np.column_stack([np.full(len(wanted), (_median(background) - level) / spread), wanted])


def _median(values: NDArray[np.floating]) -> float:
    """As `numpy.median`, which loads masked arrays first: that takes longer than all the rest of an assessment."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def other_captions(similarities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which captions of the bank say something else than the query.

    Args:
        similarities: of the captions' embeddings to the query's, floating [captions].

    Returns:
        int64 [captions that are left], ascending; the nearest `EXCLUDED_NEAREST_SHARE` are not in it.
    """
    keep = len(similarities) - round(EXCLUDED_NEAREST_SHARE * len(similarities))
    return np.sort(np.argpartition(similarities, keep - 1)[:keep])


def bank_features(
    scores: NDArray[np.floating],
    bank_scores: NDArray[np.floating],
    similarities: NDArray[np.floating],
    searched: int,
) -> NDArray[np.float64]:
    """`BANK_FEATURES` of candidates, but for ``level``.

    Args:
        scores: of the candidates for the query, floating [k].
        bank_scores: of the candidates for the other captions, floating [k, other captions].
        similarities: of the query to all captions, floating [captions].
        searched: pictures among which the candidates were found.

    Returns:
        float64 [k, 4]: standard deviations above the mean of the captions; the same above the mean of the captions
        that fit the picture best; how near the nearest captions are to the query, in standard deviations above
        their mean; and the level that the best of so many reaches by chance.

    Source: test normalisation, Auckenthaler, Carey and Lloyd-Thomas 2000, "Score Normalization for Text-Independent
    Speaker Verification Systems". The largest of n normal values grows as √(2 ln n): Leadbetter, Lindgren and
    Rootzén 1983, "Extremes and Related Properties of Random Sequences and Processes", §1.5.
    """
    values, wanted = np.asarray(bank_scores, np.float64), np.asarray(scores, np.float64)
    mean, spread = values.mean(axis=1), np.maximum(values.std(axis=1), _SMALLEST_SPREAD)
    common = np.asarray(similarities, np.float64)[None]
    commonness = (_highest(common) - common.mean(axis=1)) / np.maximum(common.std(axis=1), _SMALLEST_SPREAD)
    chance = np.sqrt(2 * np.log(max(searched, 1)))
    return np.column_stack(
        [
            (wanted - mean) / spread,
            (wanted - _highest(values)) / spread,
            np.full(len(wanted), commonness),
            np.full(len(wanted), chance),
        ]
    )


def _highest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the highest `HARDEST` of each row, float64 [rows]."""
    count = max(1, round(HARDEST * values.shape[1]))
    highest: NDArray[np.float64] = np.partition(values, values.shape[1] - count, axis=1)[:, -count:].mean(axis=1)
    return highest
