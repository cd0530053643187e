"""Whether two pictures show the same photo: their fingerprints laid over each other must agree with their embeddings.

A cosine says little by itself: it depends on the model how alike any two pictures are. What counts is how far a pair
is above two pictures taken at random from the same library: 0 for such a pair, 1 for a picture and itself.

Source of the thresholds: 1,500 photos of Flickr8k's training split and 1,000 ImageNet samples with the model `mini`,
variants of 250 of them as in `tests/benchmarks/duplicates.py` against the likest other photos. Of look-alikes at a
similarity of 0.6 or more the highest correlation of detail was 0.60; 7 % of crops to 85 to 90 % were below 0.65, most
of them because the alignment went astray. Flickr8k's development split is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.media.perceptual_hash import chroma_of, luma_of
from clipsearch.retrieval.duplicates.alignment import Alignment, align, best_turn

NONE, SAME, NEAR = 0, 1, 2
"""Relations of a pair: different photos; one re-encoded or resized; one cropped, turned, mirrored or edited."""

LEAST_SIMILARITY = 0.6
"""Similarity from which two pictures are the same photo if their fingerprints agree as those of a crop do."""

LEAST_COARSE = 0.95
"""Correlation at 8×8 pixels from which pairs are looked at that the embedding does not bring together."""

_LEAST_DETAIL = 0.65
"""Correlation of detail that crops and tilts keep, and look-alikes do not reach."""

_SURE_DETAIL = 0.85
"""Correlation of detail that only the same photo reaches; the embedding then has to be no more than not against it."""

_NOT_AGAINST = 0.05
"""Similarity of a photo and itself turned on its head can be this low: models know which way is up."""

_WORTH_ALIGNING = 0.5
"""Correlation at 8×8 pixels, the best of all turns, below which aligning is in vain."""

# Re-saving at a quarter of the size or as JPEG of quality 30 stays within these; fitted the same way
_RESAVED_SHIFT = 0.025
_RESAVED_BRIGHTNESS = 5.0
_RESAVED_COLOR = 2.0
_RESAVED_DETAIL = 0.85

_RANDOM_PAIRS_TRUSTED = 50
"""Pictures from which on their own mean similarity is half believed; below, random pairs are taken for orthogonal."""

_PAPER_SHARE = 0.85
_PAPER_LEVELS = 64
_LEAST_PAPER = 160
_PAPER_CHROMA = 2.0
"""A page of text: most of it is about as bright as its paper, in levels of 255, and all of it has one hue. So
are 42 of 42 receipts, and 4 of 500 photos of Flickr8k."""

_PAGE_DETAIL = 0.92
_PAGE_SHIFT = 0.03
"""What two files of one page keep to when re-saved, resized or turned (0.95 and 0.021 at worst, of receipts), beside
their aspect ratio. Text is gray at 28×28 pixels: receipts of one shop agree as a crop of one of them does (up to 0.97,
shifted by 0.055)."""

_SAME_LENGTH = 0.02
_SAME_LENGTH_MS = 500
"""Largest difference of the durations of two videos that re-encoding makes, as a share and in milliseconds."""

_ROWS = 8192
"""Pairs that are compared at once."""

_SAME_ASPECT = 0.03
"""Largest difference of two aspect ratios that rounding to whole pixels makes, at 32 pixels a side."""


class PairVerifier:
    """Judges pairs of pictures of one library; each pair is aligned once."""

    def __init__(
        self,
        embeddings: NDArray[np.float16],
        fingerprints: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        *,
        durations_ms: Sequence[int | None] | None = None,
        random_cosine: float | None = None,
    ) -> None:
        """Bind the pictures.

        Args:
            embeddings: floating [n, dim], unit length.
            fingerprints: uint8 [n, bytes].
            sizes: int64 [n, 2], width and height.
            durations_ms: of videos, whose fingerprints are of one frame; ``None`` for pictures.
            random_cosine: `mean_cosine` of the library; by default of these pictures.
        """
        self.embeddings = embeddings
        self._fingerprints = fingerprints
        self._is_page = is_page(fingerprints)
        self._aspect = np.log(np.maximum(sizes[:, 0], 1) / np.maximum(sizes[:, 1], 1))
        lengths = [duration or 0 for duration in durations_ms or [None] * len(embeddings)]
        self._durations_ms = np.array(lengths, dtype=np.int64)
        self._random_cosine = mean_cosine(embeddings) if random_cosine is None else random_cosine
        self._known: dict[tuple[int, int], int] = {}

    def to_cosine(self, similarity: float) -> float:
        """The cosine of a pair that is this share of the way from a random pair to a perfect one."""
        return to_cosine(similarity, self._random_cosine)

    def relations(self, pairs: NDArray[np.int64]) -> NDArray[np.int8]:
        """Relations of pairs, int64 [m, 2] with the smaller first: int8 [m], `NONE`, `SAME` or `NEAR`."""
        keys = [(first, second) for first, second in pairs.tolist()]
        new = np.array(sorted({key for key in keys if key not in self._known}), dtype=np.int64).reshape(-1, 2)
        for (first, second), relation in zip(new.tolist(), self._judge(new).tolist(), strict=True):
            self._known[first, second] = relation
        return np.array([self._known[key] for key in keys], dtype=np.int8)

    def similarities(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """How far pairs [m, 2] are from a random pair (0) to a perfect one (1), float32 [m]."""
        cosines = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _ROWS):
            part = pairs[start : start + _ROWS]
            first, second = (self.embeddings[part[:, side]].astype(np.float32) for side in (0, 1))
            cosines[start : start + _ROWS] = (first * second).sum(axis=1)
        result: NDArray[np.float32] = (cosines - self._random_cosine) / (1.0 - self._random_cosine)
        return result

    def _judge(self, pairs: NDArray[np.int64]) -> NDArray[np.int8]:
        relation = np.zeros(len(pairs), np.int8)
        similarity = self.similarities(pairs)
        looked_at = np.flatnonzero(self._is_worth_aligning(pairs, similarity))
        first, second = pairs[looked_at].T
        fits = align(self._fingerprints[first], self._fingerprints[second])
        aspect = np.abs(self._aspect[first] - self._aspect[second])
        is_near = is_one_photo(fits, similarity[looked_at])
        are_pages = self._is_page[first] & self._is_page[second]
        shape = np.abs(np.abs(self._aspect[first]) - np.abs(self._aspect[second]))  # turned or not
        is_near &= ~are_pages | is_one_page(fits, shape)
        relation[looked_at] = np.where(is_near, np.where(is_resaved(fits, aspect), SAME, NEAR), NONE)
        return relation

    def _is_worth_aligning(self, pairs: NDArray[np.int64], similarity: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether pairs have a chance, bool [m]: aligning takes a millisecond or two, and few pairs match."""
        worth = np.zeros(len(pairs), np.bool_)
        possible = np.flatnonzero((similarity >= _NOT_AGAINST) & self._are_as_long(pairs))
        for start in range(0, len(possible), _ROWS):
            part = possible[start : start + _ROWS]
            first, second = pairs[part].T
            _, coarse = best_turn(self._fingerprints[first], self._fingerprints[second])
            is_close = similarity[part] >= LEAST_SIMILARITY
            worth[part] = coarse >= np.where(is_close, _WORTH_ALIGNING, LEAST_COARSE)
        return worth

    def _are_as_long(self, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether pairs [m] are both pictures, or both videos of one duration, bool [m]."""
        first, second = self._durations_ms[pairs].T
        longer = np.maximum(first, second)
        is_close = np.abs(first - second) <= np.maximum(_SAME_LENGTH_MS, _SAME_LENGTH * longer)
        return np.asarray(is_close & ((first > 0) == (second > 0)), np.bool_)


def is_one_photo(fits: Alignment, similarity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether aligned pairs [m] show one photo, by how they agree and by their similarity (see the module)."""
    agree = (fits.detail >= _LEAST_DETAIL) & (similarity >= LEAST_SIMILARITY)
    sure = (fits.detail >= _SURE_DETAIL) & (similarity >= _NOT_AGAINST)
    return np.asarray(agree | sure, np.bool_)


def is_page(fingerprints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether pictures, uint8 [n, bytes], are pages of text rather than photos, bool [n]."""
    luma, chroma = luma_of(fingerprints).reshape(len(fingerprints), -1), chroma_of(fingerprints)
    paper = np.percentile(luma, 90, axis=1)
    is_plain = (np.abs(luma - paper[:, None]) < _PAPER_LEVELS).mean(axis=1) > _PAPER_SHARE
    hue = np.abs(chroma - np.median(chroma, axis=(2, 3), keepdims=True)).mean(axis=(1, 2, 3))
    return np.asarray(is_plain & (paper > _LEAST_PAPER) & (hue < _PAPER_CHROMA), np.bool_)


def is_one_page(fits: Alignment, shape: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether aligned pairs [m] of pages, whose aspect ratios differ by `shape`, are one page, whole in both."""
    one = (fits.detail >= _PAGE_DETAIL) & (fits.shift <= _PAGE_SHIFT) & (shape <= _SAME_ASPECT)
    return np.asarray(one, np.bool_)


def is_resaved(fits: Alignment, aspect: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether of aligned pairs [m] one is the other at another size or in another encoding, and nothing else."""
    resaved = (
        (fits.turn == 0)
        & (fits.shift <= _RESAVED_SHIFT)
        & (fits.brightness <= _RESAVED_BRIGHTNESS)
        & (fits.color <= _RESAVED_COLOR)
        & (fits.detail >= _RESAVED_DETAIL)
        & (aspect <= _SAME_ASPECT)
    )
    return np.asarray(resaved, np.bool_)


def to_cosine(similarity: float, random_cosine: float) -> float:
    """The cosine of a pair that is this share of the way from a random pair to a perfect one."""
    return random_cosine + similarity * (1.0 - random_cosine)


def mean_cosine(embeddings: NDArray[np.floating], *, of: int | None = None) -> float:
    """Mean cosine of two different pictures, between 0 and 0.95; drawn towards 0 where there are few.

    Without looking at the pairs: the squared length of the sum is the sum of all inner products.

    Args:
        embeddings: floating [n, dim], unit length.
        of: how many pictures there are if these are a sample of them; n by default.
    """
    count = len(embeddings)
    if count < 2:
        return 0.0
    total = embeddings.sum(axis=0, dtype=np.float64)
    mean = (float(total @ total) - count) / (count * (count - 1))
    pictures = count if of is None else of
    return min(max(mean, 0.0), 0.95) * pictures / (pictures + _RANDOM_PAIRS_TRUSTED)
