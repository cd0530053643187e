"""A part of a picture, its pixels as fine as an encoder can use them."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image

from clipsearch.media.box import ROUNDING, Box
from clipsearch.media.decoding import DecodedImage, decode_image


def decode_crop(content: bytes, box: Box, *, path: Path | None, min_side: int) -> Image.Image:
    """Decode a picture and cut a part out, finely enough for the part and not for the whole only.

    Args:
        content: the whole file.
        box: the part.
        path: as for `decode_image`.
        min_side: what the short side of the part will be scaled down to, in pixels.

    Returns:
        RGB, upright; at least `min_side` on its short side where the file has that many pixels.

    Raises:
        ImageReadError: as `decode_image`.
        QueryError: the box reaches outside of the picture.
    """
    decoded = decode_image(content, path=path, min_side=min_side)
    left, upper, right, lower = box.edges(decoded.width, decoded.height)
    share = min(right - left, lower - upper) / min(decoded.width, decoded.height)
    if share < 1 and decoded.image.width < decoded.width:  # a JPEG at reduced scale
        decoded = decode_image(content, path=path, min_side=math.ceil(min_side / share))
    return cut_decoded(decoded, box)


def cut_decoded(decoded: DecodedImage, box: Box) -> Image.Image:
    """A part of a picture that may have been decoded at a reduced scale; `box` is of the full one.

    Raises:
        QueryError: the box reaches outside of the picture.
    """
    return _cut(decoded.image, box.edges(decoded.width, decoded.height), decoded.image.width / decoded.width)


def cut(image: Image.Image, box: Box) -> Image.Image:
    """A part of a picture.

    Raises:
        QueryError: the box reaches outside of the picture.
    """
    return _cut(image, box.edges(*image.size), 1.0)


def _cut(image: Image.Image, edges: tuple[float, float, float, float], scale: float) -> Image.Image:
    """The pixels that have anything of what is between the edges, one at least; `scale` is the image's."""
    left, upper, right, lower = (edge * scale for edge in edges)
    left, upper = min(math.floor(left), image.width - 1), min(math.floor(upper), image.height - 1)
    right = min(max(math.ceil(right - ROUNDING), left + 1), image.width)
    lower = min(max(math.ceil(lower - ROUNDING), upper + 1), image.height)
    return image.crop((left, upper, right, lower))
