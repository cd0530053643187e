"""Pixels of any kind as upright 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from clipsearch.media.color import COLOR_KEYS, profile_of, to_srgb

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undo an EXIF orientation, 1 to 8; any other number leaves the picture as it is."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def to_rgb(image: Image.Image, *, content: bytes = b"") -> Image.Image:
    """Flatten any mode and color profile to 8-bit RGB in sRGB; transparent parts become white.

    Args:
        image: of any mode.
        content: the file that it was opened from, for what Pillow does not read of its colors.
    """
    profile = profile_of(image, content)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _deep_grey_to_rgb(image, profile)
    flat = _on_white(to_srgb(image, profile))
    if flat is image:
        if image.info.keys().isdisjoint(COLOR_KEYS):
            return image
        flat = image.copy()
    for key in COLOR_KEYS:
        flat.info.pop(key, None)
    return flat


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if type(image) is Image.Image and image.mode == "RGB" else image.convert("RGB")


def _deep_grey_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Scale 16-bit, 32-bit and float grays to 8 bits.

    16-bit files use the whole range by convention, floats 0–1. What does not fit its convention says nothing
    of what is black and white, so that its own minimum and maximum are taken.
    """
    values = np.asarray(image, dtype=np.float32)
    finite = values[np.isfinite(values)]
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    white = 1.0 if image.mode == "F" else 65535.0
    low, high = (0.0, white) if lowest >= 0 and highest <= white else (lowest, highest)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = ((values - low) * (255.0 / (high - low or 1.0))).clip(0, 255)
    levels = np.arange(256, dtype=np.uint8)[None]
    # a profile is applied to a ramp, and what lies between its steps interpolated: 8 bits first would leave bands
    ramp = np.asarray(to_srgb(Image.fromarray(levels), profile).convert("RGB"), dtype=np.float32)[0]
    channels = [np.interp(scaled, levels[0], ramp[:, channel]).round().astype(np.uint8) for channel in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1))
