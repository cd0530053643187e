"""The views of a picture that training sees: whole, mirrored, and randomly cropped and colored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from clipsearch.errors import ConfigError
from clipsearch.training.augmentation import random_box

CROP_AREA = (0.4, 1.0)
GREYSCALE_CHANCE = 0.15


def read_rgb(path: Path) -> Image.Image:
    """Open a training picture as RGB.

    Raises:
        ConfigError: it is missing or no picture.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ConfigError(f"the training data lacks a readable {path}: {error}") from error


def whole_view(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The whole picture squashed to a square: uint8 [size, size, 3]."""
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def mirrored_view(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The whole picture, squashed and mirrored: uint8 [size, size, 3]."""
    return whole_view(ImageOps.mirror(image), size)


def random_view(image: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random crop, half of them mirrored, half with other colors, some grey: uint8 [size, size, 3].

    Source: Szegedy et al. 2015, Going Deeper with Convolutions, §6 (crops by area and aspect ratio).
    """
    left, top, width, height = random_box(image.size, rng, area=CROP_AREA)
    box = (left, top, left + width, top + height)
    view = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        view = ImageOps.mirror(view)
    if rng.random() < 0.5:
        view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.7, 1.3))
        view = ImageEnhance.Contrast(view).enhance(rng.uniform(0.7, 1.3))
        view = ImageEnhance.Color(view).enhance(rng.uniform(0.6, 1.4))
    if rng.random() < GREYSCALE_CHANCE:
        view = view.convert("L").convert("RGB")
    return np.asarray(view)
