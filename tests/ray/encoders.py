"""Encoders that workers import: deadly ones."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.media.transform import ImageTransform
from clipsearch.models.encoder import FloatMatrix
from tests.conftest import ColourEncoder

CRASHES = (250, 10, 10)
"""The colour of a picture that takes down the process that decodes it."""

HANGS = (10, 250, 10)
"""That of one that keeps it busy for ever."""

KILLS_WORKER = (10, 10, 250)
"""That of one that takes down the worker that embeds it."""


def _shows(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(axis=0) - np.array(colour)).max() < 12)


class DeadlyTransform(ImageTransform):
    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        pixels = super().__call__(image)
        if _shows(pixels, CRASHES):
            os.kill(os.getpid(), signal.SIGTERM)
        while _shows(pixels, HANGS):
            time.sleep(0.1)
        return pixels


class DeadlyEncoder(ColourEncoder):
    """Pictures of three colours do harm."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = DeadlyTransform(self.transform.spec)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        if any(_shows(picture, KILLS_WORKER) for picture in pixels):
            os._exit(1)
        return super().encode_pixels(pixels)


class SlowEncoder(ColourEncoder):
    """Leaves time to interrupt it, and says where it was at work."""

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        time.sleep(0.01 * len(pixels))
        return super().encode_pixels(pixels)
