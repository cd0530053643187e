"""Image corruptions: blur, noise, JPEG, low resolution, grayscale, rotation.

An image is first scaled to the model's input size, so that the severity does not depend on its resolution. Noise
depends only on the image's name and the seed.

Source: Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and
perturbations" (ImageNet-C), whose ``gaussian_blur``, ``gaussian_noise``, ``jpeg_compression`` and ``pixelate`` at 224
pixels have the severities of blur, noise, JPEG and resize. Rotation, not in ImageNet-C, fills corners with the mean
color.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter

from clipsearch.evaluation.embedding import Alteration

SEVERITIES = range(1, 6)

_BLUR_SIGMA = (1.0, 2.0, 3.0, 4.0, 6.0)
_NOISE_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
_JPEG_QUALITY = (25, 18, 15, 10, 7)
_RESIZE_FACTOR = (0.6, 0.5, 0.4, 0.3, 0.25)
_ROTATION_DEGREES = (10, 20, 30, 45, 90)

_USUAL_SIDE = 224
"""Side in pixels to which the blur radii refer."""

_Corruption = Callable[[Image.Image, int, np.random.Generator], Image.Image]


def corruption(name: str, severity: int, *, side: int, seed: int = 0) -> Alteration:
    """A corruption as an image alteration.

    Args:
        name: one of `CORRUPTIONS`.
        severity: 1 to 5; without effect for ``grey``.
        side: short side of the model's input in pixels.
        seed: seed of the noise.

    Raises:
        ValueError: the corruption or severity is unknown.
    """
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        raise ValueError(f"unknown corruption {name} or severity {severity}")

    def alter(image: Image.Image, image_name: str) -> Image.Image:
        rng = np.random.default_rng([seed, zlib.crc32(image_name.encode("utf-8", "surrogatepass"))])
        return CORRUPTIONS[name](_scaled(image, side), severity - 1, rng)

    return alter


def _scaled(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    if scale >= 1:
        return image
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BICUBIC
    )


def _blur(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(_BLUR_SIGMA[level] * min(image.size) / _USUAL_SIDE))


def _noise(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noisy = pixels + rng.normal(0.0, 255.0 * _NOISE_DEVIATION[level], pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY[level])
    with Image.open(file, formats=["JPEG"]) as saved:
        return saved.convert("RGB")


def _resize(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    factor = _RESIZE_FACTOR[level]
    small = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)


def _grey(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


def _rotation(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(axis=0).round().astype(int).tolist()
    degrees = _ROTATION_DEGREES[level]
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(red, green, blue))


CORRUPTIONS: Mapping[str, _Corruption] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "resize": _resize,
    "grey": _grey,
    "rotation": _rotation,
}
