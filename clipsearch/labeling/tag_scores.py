"""How well words fit pictures, as probabilities: what the tags of a library are chosen by.

A cosine between a picture and a word means nothing by itself. What it is worth shows in comparisons, as in
`clipsearch.retrieval.relevance.calibration`: with how the word scores on other pictures of the library, and with how
the picture scores for all other words. A logistic regression over these, fitted by `clipsearch.training.mini.tags`,
makes a probability of them. docs/tags.md has the method and what it reaches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.logistic import CALIBRATION_FORMAT, Logistic, read_calibration

WORD_FEATURES = ("word_z", "word_margin")
TAG_FEATURES = ("centre", "level", *WORD_FEATURES)

FEWEST_IN_BACKGROUND = 12
"""Pictures below which a library is no comparison for a word: then its other words alone tell (docs/tags.md)."""

BEST_WORDS = 10
"""Words that fit a picture best, whose mean a tag is compared with."""

_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class TagCalibration:
    """What was fitted for a model.

    Attributes:
        model: spec of the model it was fitted for.
        library: over `TAG_FEATURES`.
        words: over `WORD_FEATURES`, for libraries too small to be compared with.
        threshold: probability by `library` from which on a picture gets a tag.
        words_threshold: the same by `words`.
        most: tags that a picture gets at most.
        templates: what a word is put into.
    """

    model: str
    library: Logistic
    words: Logistic
    threshold: float
    words_threshold: float
    most: int
    templates: tuple[str, ...]


def load_tag_calibration(spec: str) -> TagCalibration:
    """What was fitted for a model, or, for one that nothing was fitted for, what was fitted for the bundled one.

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
    """The content of a calibration file; `more` is for people."""
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
    """Scores words on pictures, in one library and one model's space."""

    def __init__(
        self,
        calibration: TagCalibration,
        words: FloatMatrix,
        background: NDArray[np.floating],
        *,
        others: FloatMatrix | None = None,
        more_general: Sequence[Sequence[int]] = (),
    ) -> None:
        """Compare every word with the library once.

        Args:
            calibration: what was fitted for the model.
            words: embeddings of the vocabulary, float32 [words, dim], unit rows.
            background: embeddings of a sample of the library, floating [m, dim], unit rows; may be empty.
            others: embeddings of the words that these are compared with, likewise: of the shipped vocabulary, for
                which this was fitted; the words themselves by default.
            more_general: for each word, the rows of those that are true of whatever it is true of
                (`clipsearch.catalog.vocabulary.more_general`).
        """
        self._calibration = calibration
        self._words = words
        self._others = others
        self._more_general = [(row, list(above)) for row, above in enumerate(more_general) if above]
        self._library: LibraryLevels | None = None
        if len(background) >= FEWEST_IN_BACKGROUND:
            self._library = LibraryLevels.of(*self._scores(background))

    def probabilities(self, pictures: NDArray[np.floating]) -> NDArray[np.float64]:
        """That each word fits each picture; no word is less probable than those that are a kind of it.

        Args:
            pictures: floating [n, dim], unit rows.

        Returns:
            float64 [n, words], 0–1.
        """
        scores, others = self._scores(pictures)
        features = word_features(scores, others)
        fitted = self._calibration.words
        if self._library is not None:
            features = (*self._library.features(scores), *features)
            fitted = self._calibration.library
        logits = np.full(scores.shape, fitted.intercept)
        for coefficient, feature in zip(fitted.coefficients, features, strict=True):
            logits += coefficient * feature
        probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
        own = probabilities.copy()
        for row, above in self._more_general:
            probabilities[:, above] = np.maximum(probabilities[:, above], own[:, [row]])
        return probabilities

    def _scores(self, pictures: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosines of pictures with the words, and with those that they are compared with."""
        embeddings = np.asarray(pictures, np.float32)
        scores = embeddings @ self._words.T
        return scores, scores if self._others is None else embeddings @ self._others.T

    def tags(self, pictures: NDArray[np.floating]) -> list[list[tuple[int, float]]]:
        """The words that fit each picture and their probabilities, best first, as many as it may have at most."""
        probabilities = self.probabilities(pictures)
        fitted = self._calibration
        threshold = fitted.threshold if self._library is not None else fitted.words_threshold
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : fitted.most]
        return [
            [(word, float(row[word])) for word in order.tolist() if row[word] >= threshold]
            for row, order in zip(probabilities, best, strict=True)
        ]


@dataclass(frozen=True)
class LibraryLevels:
    """What cosines between a library's pictures and the vocabulary are like.

    Attributes:
        level: mean of all cosines with the words that are compared with.
        spread: their standard deviation.
        centres: of each word, its median over the pictures in standard deviations from the mean, float64 [words].
    """

    level: float
    spread: float
    centres: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], others: NDArray[np.float32]) -> LibraryLevels:
        """Of the words, float32 [pictures, words], and those that they are compared with; one picture at least."""
        level = float(others.mean(dtype=np.float64))
        spread = max(float(others.std(dtype=np.float64)), _SMALLEST_SPREAD)
        return cls(level, spread, (np.median(scores, axis=0).astype(np.float64) - level) / spread)

    def features(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``centre`` and ``level`` of scores, float32 [n, words]; float64 [n, words] each.

        Source: zero normalisation, as for `clipsearch.retrieval.relevance.calibration.library_features`.
        """
        level = (scores.astype(np.float64) - self.level) / self.spread
        return np.broadcast_to(self.centres, level.shape), level


def word_features(scores: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """``word_z`` and ``word_margin``: float64 [n, words] each.

    How far a word is above the picture's mean over all words, and above its mean over the best ones, in the picture's
    standard deviations.

    Args:
        scores: of the words, float32 [n, words].
        others: of those that they are compared with, float32 [n, others].

    Source: test normalisation, as for `clipsearch.retrieval.relevance.calibration.bank_features`.
    """
    values, compared = scores.astype(np.float64), others.astype(np.float64)
    mean = compared.mean(axis=1, keepdims=True)
    spread = np.maximum(compared.std(axis=1, keepdims=True), _SMALLEST_SPREAD)
    best = min(BEST_WORDS, compared.shape[1])
    highest = np.partition(compared, compared.shape[1] - best, axis=1)[:, -best:].mean(axis=1, keepdims=True)
    return (values - mean) / spread, (values - highest) / spread
