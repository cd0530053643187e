"""Training inputs: images decoded ahead in threads and cropped differently in every epoch, and their captions.

Every random choice depends only on the seed, the epoch and the image's index, so a resumed run repeats it without saved
generator states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

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
"""Views per image if features are computed once: the whole image and three crops."""

_CHUNK = 32
_ORDER, _CAPTION, _CROP = range(3)
"""Random streams, each combined with the seed."""


def readable(pairs: Sequence[CaptionedImage], trainee: Trainee) -> tuple[list[CaptionedImage], list[tuple[Path, str]]]:
    """Split pairs into those whose image can be decoded, and the paths of the others with the reasons."""

    def problem(pair: CaptionedImage) -> str | None:
        try:
            load_image(pair.path, min_side=trainee.transform.min_side)
        except ImageReadError as error:
            return error.reason
        return None

    reasons = list(map_ahead(problem, pairs, workers=available_cores(), look_ahead=64))
    checked = list(zip(pairs, reasons, strict=True))
    return [pair for pair, reason in checked if reason is None], [(p.path, reason) for p, reason in checked if reason]


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A random order for an epoch, int64 [count]."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


class PairInputs(Protocol):
    """Images (or videos) and their captions as model inputs.

    Attributes:
        owners: index of each caption's image, int64 [captions].
    """

    owners: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of images."""
        ...

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Random order of the images in an epoch, int64 [images]; neighbors are in one batch."""
        ...

    def batches(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Images and one caption each, chunk by chunk.

        Args:
            chunks: indices of images, int64 [n] each.
            epoch: from 0; determines crops and captions.
        """
        ...

    def all_images(self) -> Iterator[Tensor]:
        """All images, uncropped, in order, in chunks."""
        ...

    def all_texts(self) -> Iterator[tuple[Tensor, ...]]:
        """All captions, in order, in chunks."""
        ...


class Inputs:
    """Pairs of image files and captions; see `PairInputs`."""

    def __init__(self, pairs: Sequence[CaptionedImage], trainee: Trainee, *, seed: int) -> None:
        """Prepare pairs without reading images.

        Raises:
            ConfigError: there are fewer than two pairs.
        """
        if len(pairs) < 2:
            raise ConfigError(f"training and validation need at least two images, not {len(pairs)}")
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
        """Number of images."""
        return len(self.pairs)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """See `PairInputs.order`."""
        return epoch_order(len(self), self.seed, epoch)

    def batches(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """See `PairInputs.batches`."""
        captions = self._first + np.random.default_rng([self.seed, _CAPTION, epoch]).integers(self._counts)
        for rows, images in zip(chunks, self._images(chunks, epoch), strict=True):
            yield images, self._texts(captions[rows])

    def all_images(self) -> Iterator[Tensor]:
        """All images, uncropped, in order, in chunks."""
        return self._images(_chunks(len(self)), 0)

    def all_texts(self) -> Iterator[tuple[Tensor, ...]]:
        """All captions, in order, in chunks."""
        return (self._texts(rows) for rows in _chunks(len(self.texts)))

    def _images(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Tensor]:
        if self.trainee.frozen:
            view = epoch % VIEWS
            if view not in self._features:  # always in the same chunks, for reproducible features
                self._features[view] = torch.cat(list(self._pixels(_chunks(len(self)), view)))
            return (self._features[view][torch.from_numpy(rows)] for rows in chunks)
        return self._pixels(chunks, epoch)

    def _pixels(self, chunks: Sequence[NDArray[np.int64]], view: int) -> Iterator[Tensor]:
        """Model inputs of decoded images; view 0 is the whole image."""
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
            blocks = [self.trainee.text_inputs([self.texts[r] for r in chunk]) for chunk in _chunks(len(self.texts))]
            self._text_features = tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))
        return tuple(part[torch.from_numpy(rows)] for part in self._text_features)


def _chunks(count: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
