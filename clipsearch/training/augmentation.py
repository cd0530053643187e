"""Augmentation of training images."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance

CROP_ASPECT = (3 / 4, 4 / 3)


def random_box(
    size: tuple[int, int], rng: np.random.Generator, *, area: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Left, top, width and height of a random crop; the whole image if ten tries do not fit.

    Args:
        size: width and height of the image in pixels.
        rng: random generator.
        area: minimum and maximum share of the image's area.

    Source: Szegedy et al. 2015, Going Deeper with Convolutions, §6 (crops by area and aspect ratio).
    """
    width, height = size
    for _ in range(10):
        pixels = width * height * rng.uniform(*area)
        aspect = math.exp(rng.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
        wide, high = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < wide <= width and 0 < high <= height:
            return int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1)), wide, high
    return 0, 0, width, height


def augment(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A random crop of at least half the image, half of them with other brightness and contrast.

    No mirroring or color changes, because captions mention left and right, text and colors.
    """
    left, top, width, height = random_box(image.size, rng, area=(0.5, 1.0))
    view = image.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.8, 1.2))
        view = ImageEnhance.Contrast(view).enhance(rng.uniform(0.8, 1.2))
    return view
