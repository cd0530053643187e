"""What becomes of a photo on its way through phones, messengers and editors."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageEnhance

from clipsearch.media.decoding import decode_image

Variant = Callable[[Image.Image, Random], Image.Image]


def resaved(photo: Image.Image, form: str, **options: object) -> Image.Image:
    """A photo written in a format and decoded as the indexer does."""
    written = io.BytesIO()
    photo.save(written, form, **options)
    return decode_image(written.getvalue()).image


def scaled(photo: Image.Image, factor: float) -> Image.Image:
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    return resaved(photo.resize(size, Image.Resampling.LANCZOS), "JPEG", quality=90)


def cropped(photo: Image.Image, across: float, down: float, random: Random) -> Image.Image:
    """A part of a photo, anywhere in it, of this share of its width and height."""
    width, height = round(photo.width * across), round(photo.height * down)
    left, top = random.randint(0, photo.width - width), random.randint(0, photo.height - height)
    return photo.crop((left, top, left + width, top + height))


def tilted(photo: Image.Image, degrees: float, random: Random, *, straightened: bool = True) -> Image.Image:
    """A photo tilted to either side; its black corners cropped away, as editors do, unless it is not straightened."""
    tilt = photo.rotate(degrees * random.choice((-1, 1)), Image.Resampling.BICUBIC)
    if not straightened:
        return tilt
    angle, ratio = math.radians(degrees), max(photo.size) / min(photo.size)
    kept = 1.0 / (math.cos(angle) + math.sin(angle) * ratio)
    left, top = photo.width * (1 - kept) / 2, photo.height * (1 - kept) / 2
    return tilt.crop((math.ceil(left), math.ceil(top), int(photo.width - left), int(photo.height - top)))


def _turned(turn: Image.Transpose) -> Variant:
    return lambda photo, random: photo.transpose(turn)


VARIANTS: dict[str, dict[str, Variant]] = {
    "resized": {
        "to 50 %": lambda photo, random: scaled(photo, 0.5),
        "to 25 %": lambda photo, random: scaled(photo, 0.25),
    },
    "re-encoded": {
        "JPEG 30": lambda photo, random: resaved(photo, "JPEG", quality=30),
        "JPEG 60": lambda photo, random: resaved(photo, "JPEG", quality=60),
        "JPEG 95": lambda photo, random: resaved(photo, "JPEG", quality=95),
        "PNG": lambda photo, random: resaved(photo, "PNG"),
        "WebP 60": lambda photo, random: resaved(photo, "WEBP", quality=60),
        "HEIC 50": lambda photo, random: resaved(photo, "HEIF", quality=50),
    },
    "cropped": {
        "to 95 %": lambda photo, random: cropped(photo, 0.95, 0.95, random),
        "to 90 %": lambda photo, random: cropped(photo, 0.90, 0.90, random),
        "to 85 %": lambda photo, random: cropped(photo, 0.85, 0.85, random),
        "to 85 % of the width": lambda photo, random: cropped(photo, 0.85, 1.0, random),
    },
    "turned": {
        "90°": _turned(Image.Transpose.ROTATE_90),
        "180°": _turned(Image.Transpose.ROTATE_180),
        "270°": _turned(Image.Transpose.ROTATE_270),
        "mirrored": _turned(Image.Transpose.FLIP_LEFT_RIGHT),
    },
    "tilted": {
        "2°": lambda photo, random: tilted(photo, 2, random),
        "3°": lambda photo, random: tilted(photo, 3, random),
        "5°": lambda photo, random: tilted(photo, 5, random),
        "3°, black corners": lambda photo, random: tilted(photo, 3, random, straightened=False),
    },
    "edited": {
        "brighter": lambda photo, random: ImageEnhance.Brightness(photo).enhance(1.3),
        "less contrast": lambda photo, random: ImageEnhance.Contrast(photo).enhance(0.7),
        "grey": lambda photo, random: photo.convert("L").convert("RGB"),
    },
}
"""By family and name: makes a variant of a photo, with chances taken from a random number generator."""
