"""Calibrated probabilities that words fit pictures, from which tags are chosen.

As in `clipsearch.retrieval.relevance.calibration`, the cosine of a picture and a word is compared with the word's
scores on other pictures of the library and with the picture's scores for other words. A logistic regression over both,
fitted by `clipsearch.training.mini.tags`, returns a probability. Method and results: docs/tags.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.metrics import sigmoid
from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.logistic import CALIBRATION_FORMAT, Logistic, read_calibration

WORD_FEATURES = ("word_z", "word_margin")
TAG_FEATURES = ("centre", "level", *WORD_FEATURES)

MIN_BACKGROUND = 12
"""Minimum library size for background statistics; below it only the other words are used (docs/tags.md)."""

BEST_WORDS = 10
"""Number of a picture's best words, with whose mean a tag is compared."""

_MIN_SPREAD = 1e-6


@dataclass(frozen=True)
class TagCalibration:
    """Fitted calibration of a model.

    Attributes:
        model: spec of the model it was fitted for.
        library: over `TAG_FEATURES`.
        words: over `WORD_FEATURES`, for libraries smaller than `MIN_BACKGROUND`.
        threshold: minimum probability of a tag by `library`.
        words_threshold: minimum probability of a tag by `words`.
        most: maximum number of tags of a picture.
        templates: prompt templates of words.
    """

    model: str
    library: Logistic
    words: Logistic
    threshold: float
    words_threshold: float
    most: int
    templates: tuple[str, ...]


def load_tag_calibration(spec: str) -> TagCalibration:
    """The tag calibration of a model; the bundled model's if there is none.

    Raises:
        ModelError: the file is damaged.
    """
    return read_calibration("tags-", spec, _tag_calibration)


def _tag_calibration(raw: dict[str, Any]) -> TagCalibration:
    return TagCalibration(
        model=raw["model"],
        library=Logistic.from_json(raw["library"], TAG_FEATURES),
        words=Logistic.from_json(raw["words"], WORD_FEATURES),
        threshold=float(raw["threshold"]),
        words_threshold=float(raw["words_threshold"]),
        most=int(raw["most"]),
        templates=tuple(raw["templates"]),
    )


def tag_calibration_json(calibration: TagCalibration, **more: Any) -> str:
    """The content of a calibration file; `more` documents it."""
    raw = {
        "format": CALIBRATION_FORMAT,
        "model": calibration.model,
        "library": calibration.library.to_json(TAG_FEATURES),
        "words": calibration.words.to_json(WORD_FEATURES),
        "threshold": round(calibration.threshold, 4),
        "words_threshold": round(calibration.words_threshold, 4),
        "most": calibration.most,
        "templates": list(calibration.templates),
    }
    return json.dumps({**raw, **more}, indent=2) + "\n"


class TagScorer:
    """Scores words on the pictures of one library with one model."""

    def __init__(
        self,
        calibration: TagCalibration,
        words: FloatMatrix,
        background: NDArray[np.floating],
        *,
        others: FloatMatrix | None = None,
        more_general: Sequence[Sequence[int]] = (),
    ) -> None:
        """Compute the background statistics of the library.

        Args:
            calibration: of the model.
            words: embeddings of the vocabulary, float32 [words, dim], unit rows.
            background: embeddings of a sample of the library, floating [m, dim], unit rows; may be empty.
            others: embeddings of the words to compare with, float32 [others, dim], unit rows: the shipped vocabulary
                of the calibration; by default `words`.
            more_general: for each word, the rows of its hypernyms (`clipsearch.catalog.vocabulary.more_general`).
        """
        self._calibration = calibration
        self._words = words
        self._others = others
        self._more_general = [(row, list(above)) for row, above in enumerate(more_general) if above]
        self._library: LibraryLevels | None = None
        if len(background) >= MIN_BACKGROUND:
            self._library = LibraryLevels.of(*self._scores(background))

    def probabilities(self, pictures: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability that each word fits each picture; a hypernym is at least as probable as its hyponyms.

        Args:
            pictures: floating [n, dim], unit rows.

        Returns:
            float64 [n, words], 0–1.
        """
        scores, others = self._scores(pictures)
        features = word_features(scores, others)
        regression = self._calibration.words
        if self._library is not None:
            features = (*self._library.features(scores), *features)
            regression = self._calibration.library
        logits = np.full(scores.shape, regression.intercept)
        for coefficient, feature in zip(regression.coefficients, features, strict=True):
            logits += coefficient * feature
        probabilities = sigmoid(logits)
        direct = probabilities.copy()
        for row, above in self._more_general:
            probabilities[:, above] = np.maximum(probabilities[:, above], direct[:, [row]])
        return probabilities

    def _scores(self, pictures: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosines of pictures with the words, and with the words to compare with."""
        embeddings = np.asarray(pictures, np.float32)
        scores = embeddings @ self._words.T
        return scores, scores if self._others is None else embeddings @ self._others.T

    def tags(self, pictures: NDArray[np.floating]) -> list[list[tuple[int, float]]]:
        """The tags of each picture, as rows of words with probabilities, best first."""
        probabilities = self.probabilities(pictures)
        calibration = self._calibration
        threshold = calibration.threshold if self._library is not None else calibration.words_threshold
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : calibration.most]
        return [
            [(word, float(row[word])) for word in order.tolist() if row[word] >= threshold]
            for row, order in zip(probabilities, best, strict=True)
        ]


@dataclass(frozen=True)
class LibraryLevels:
    """Statistics of the cosines between a library's pictures and the vocabulary.

    Attributes:
        level: mean of all cosines with the words to compare with.
        spread: their standard deviation.
        medians: of each word over the pictures, in standard deviations from the mean, float64 [words].
    """

    level: float
    spread: float
    medians: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], others: NDArray[np.float32]) -> LibraryLevels:
        """From cosines with the words and the words to compare with, float32 [pictures, words]; n ≥ 1 pictures."""
        level = float(others.mean(dtype=np.float64))
        spread = max(float(others.std(dtype=np.float64)), _MIN_SPREAD)
        return cls(level, spread, (np.median(scores, axis=0).astype(np.float64) - level) / spread)

    def features(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``centre`` and ``level`` of scores, float32 [n, words]; float64 [n, words] each.

        Source: zero normalization, see `clipsearch.retrieval.relevance.calibration.library_features`.
        """
        level = (scores.astype(np.float64) - self.level) / self.spread
        return np.broadcast_to(self.medians, level.shape), level


def word_features(scores: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """``word_z`` and ``word_margin``: float64 [n, words] each.

    Distance of a word's score from the picture's mean over all words and over the best ones, in standard deviations.

    Args:
        scores: of the words, float32 [n, words].
        others: of the words to compare with, float32 [n, others].

    Source: test normalization, see `clipsearch.retrieval.relevance.calibration.bank_features`.
    """
    values, compared = scores.astype(np.float64), others.astype(np.float64)
    mean = compared.mean(axis=1, keepdims=True)
    spread = np.maximum(compared.std(axis=1, keepdims=True), _MIN_SPREAD)
    best = min(BEST_WORDS, compared.shape[1])
    highest = np.partition(compared, compared.shape[1] - best, axis=1)[:, -best:].mean(axis=1, keepdims=True)
    return (values - mean) / spread, (values - highest) / spread
