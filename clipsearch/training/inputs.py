"""Pictures and texts as a model in training takes them: decoded ahead in threads, cropped anew in every epoch.

All that is drawn follows from the seed, the epoch and the picture's number alone. So a run that goes on after an
interruption draws what it would have drawn, and there is no generator whose state would have to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.media.decoding import load_image
from clipsearch.system.cpu import available_cores
from clipsearch.system.prefetch import map_ahead
from clipsearch.training.augmentation import augment
from clipsearch.training.pairs import CaptionedImage
from clipsearch.training.trainee import Trainee

VIEWS = 4
"""Views of each picture where features are calculated once: the whole one and three crops."""

_CHUNK = 32
_ORDER, _CAPTION, _CROP = range(3)
"""What a number is drawn for, besides the seed: each has a stream of its own."""


def readable(pairs: Sequence[CaptionedImage], trainee: Trainee) -> tuple[list[CaptionedImage], list[tuple[Path, str]]]:
    """The pictures that can be decoded, and the others with their reasons."""

    def problem(pair: CaptionedImage) -> str | None:
        try:
            load_image(pair.path, min_side=trainee.transform.min_side)
        except ImageReadError as error:
            return error.reason
        return None

    reasons = list(map_ahead(problem, pairs, workers=available_cores(), look_ahead=64))
    found = list(zip(pairs, reasons, strict=True))
    return [pair for pair, reason in found if reason is None], [(p.path, reason) for p, reason in found if reason]


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of the pictures in an epoch, int64 [count]."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


class Inputs:
    """Pairs as inputs of a model."""

    def __init__(self, pairs: Sequence[CaptionedImage], trainee: Trainee, *, seed: int) -> None:
        """Nothing is read yet.

        Raises:
            ConfigError: there are fewer than two, and so nothing to tell apart.
        """
        if len(pairs) < 2:
            raise ConfigError(f"training and measuring need two pictures at least; there are {len(pairs)}")
        self.pairs = pairs
        self.trainee = trainee
        self.seed = seed
        self.texts = [caption for pair in pairs for caption in pair.captions]
        counts = np.array([len(pair.captions) for pair in pairs])
        self.owners = np.repeat(np.arange(len(pairs)), counts)
        self._first = np.concatenate([[0], counts.cumsum()[:-1]])
        self._counts = counts
        self._features: dict[int, Tensor] = {}
        self._text_features: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.pairs)

    def batches(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Pictures and one caption of each, for one chunk of rows after the other.

        Args:
            chunks: numbers of pictures, int64 [n] each.
            epoch: from 0; draws the crops and the captions.
        """
        captions = self._first + np.random.default_rng([self.seed, _CAPTION, epoch]).integers(self._counts)
        for rows, images in zip(chunks, self._images(chunks, epoch), strict=True):
            yield images, self._texts(captions[rows])

    def all_images(self) -> Iterator[Tensor]:
        """Every picture as a whole, in order, some at a time."""
        return self._images(_chunks(len(self)), 0)

    def all_texts(self) -> Iterator[tuple[Tensor, ...]]:
        """Every caption of every picture, in order, some at a time."""
        return (self._texts(rows) for rows in _chunks(len(self.texts)))

    def _images(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Tensor]:
        if self.trainee.frozen:
            view = epoch % VIEWS
            if view not in self._features:  # always in the same chunks, so that they are the same numbers every time
                self._features[view] = torch.cat(list(self._pixels(_chunks(len(self)), view)))
            return (self._features[view][torch.from_numpy(rows)] for rows in chunks)
        return self._pixels(chunks, epoch)

    def _pixels(self, chunks: Sequence[NDArray[np.int64]], view: int) -> Iterator[Tensor]:
        """What the model takes of pictures as they are decoded; view 0 is the whole picture."""
        rows = [int(row) for chunk in chunks for row in chunk]
        decoded = map_ahead(lambda row: self._decode(row, view), rows, workers=available_cores(), look_ahead=4 * _CHUNK)
        for chunk in chunks:
            yield self.trainee.image_inputs(np.stack([next(decoded) for _ in chunk]))

    def _decode(self, row: int, view: int) -> NDArray[np.uint8]:
        transform = self.trainee.transform
        image = load_image(self.pairs[row].path, min_side=transform.min_side).image
        if view:
            image = augment(image, np.random.default_rng([self.seed, _CROP, view, row]))
        return transform(image)

    def _texts(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        if not self.trainee.frozen:
            return self.trainee.text_inputs([self.texts[row] for row in rows])
        if self._text_features is None:
            blocks = [self.trainee.text_inputs([self.texts[r] for r in own]) for own in _chunks(len(self.texts))]
            self._text_features = tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))
        return tuple(part[torch.from_numpy(rows)] for part in self._text_features)


def _chunks(count: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
