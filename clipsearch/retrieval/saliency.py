"""Where in a picture a match is: what is covered up where the score falls is what the model goes by.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014), §4.2, with the cosine of
picture and query in the place of a class's probability. It needs the encoder's output only, so that it works with
every model and runtime; attention maps and gradients do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from clipsearch.media.transform import ImageSpec
    from clipsearch.models.encoder import Encoder

Floats = NDArray[np.float32]

PICTURE_SIDE = 1024
"""Longest side of the picture that the heat is laid over, in pixels."""

_GRIDS = (5, 8)
"""Patches along each side, at two scales: 89 pictures to embed. A patch reaches from the middle of one neighbour to the
middle of the other, so that these are a third and two ninths of the side: the larger covers whole things, the smaller
tells where they end."""

_BLUR = 0.75
"""Standard deviation of the weights by which a pixel takes part in a patch, in distances of patches."""

_LEAST_DROP = 1e-4
"""Fall of the score that is rounding, in cosine."""

_COLOURS = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)],
    dtype=np.float32,
)  # fmt: skip
"""Nine steps of *inferno* (van der Walt and Smith, 2015, CC0), in which equal steps of value look equally large."""

_OPAQUE = 0.75
"""How much of the picture the colour hides where the heat is highest."""

_DIMMED = 0.45
"""How bright the picture is left where there is no heat."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in a picture a match is.

    Attributes:
        picture: RGB, upright, its longer side at most `PICTURE_SIDE` pixels.
        heat: float32 [height, width] of that picture: 1 where covering it up costs most, 0 where it costs nothing, and
            all 0 if nothing in the picture speaks for the query.
        score: cosine of the picture and the query, -1 to 1.
        from_preview: the file is not there, and its small preview was looked at.
    """

    picture: Image.Image
    heat: Floats
    score: float
    from_preview: bool = False

    def overlay(self) -> Image.Image:
        """The picture under its heat: dark and grey where there is none, from violet over red to yellow where it is."""
        heat = self.heat[..., None]
        pixels = np.asarray(self.picture, np.float32)
        grey = pixels.mean(axis=2, keepdims=True)
        ground = (grey + (pixels - grey) * heat) * (_DIMMED + (1 - _DIMMED) * heat)
        laid = ground + (_colours(self.heat) - ground) * (_OPAQUE * heat)
        return Image.fromarray(laid.clip(0, 255).round().astype(np.uint8))


def explain_picture(
    encoder: Encoder, image: Image.Image, direction: Floats, *, from_preview: bool = False
) -> Explanation:
    """Find what in a picture speaks for a query.

    Args:
        encoder: the model.
        image: RGB, upright, any size.
        direction: the query's embedding, float32 [dim], unit length.
        from_preview: passed on.
    """
    pixels = encoder.transform(image)
    covered = [_covered(pixels, grid) for grid in _GRIDS]
    scores = encoder.encode_pixels(np.concatenate([pixels[None], *covered])) @ direction
    picture = image.copy()
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    across, down = _seen(encoder.transform.spec, image.size)
    heat = np.zeros((picture.height, picture.width), np.float32)
    start = 1
    for grid in _GRIDS:
        drops = (scores[0] - scores[start : start + grid**2]).reshape(grid, grid)
        heat += _weights(picture.height, down, grid) @ drops @ _weights(picture.width, across, grid).T
        start += grid**2
    return Explanation(picture, _scaled(heat), float(scores[0]), from_preview)


def _scaled(heat: Floats) -> Floats:
    """What is above 0, as shares of the highest; nothing if that is rounding."""
    highest = max(float(heat.max()), 0.0)
    if highest <= _LEAST_DROP:
        return np.zeros_like(heat)
    return (heat.clip(0) / highest).astype(np.float32)


def _covered(pixels: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """A picture with each patch in turn in its mean colour: uint8 [h, w, 3] → [grid², h, w, 3], row by row."""
    height, width = pixels.shape[:2]
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    rows, columns = (np.linspace(0, side, grid + 2).round().astype(int) for side in (height, width))
    copies = np.repeat(pixels[None], grid**2, axis=0)
    for number in range(grid**2):
        row, column = divmod(number, grid)
        copies[number, rows[row] : rows[row + 2], columns[column] : columns[column + 2]] = mean
    return copies


def _weights(length: int, seen: tuple[float, float], grid: int) -> Floats:
    """How much each pixel along a side takes part in each patch: float32 [length, grid], rows adding up to 1.

    Those of pixels that the model does not see are 0.
    """
    place = ((np.arange(length) + 0.5) / length - seen[0]) / (seen[1] - seen[0])
    middles = np.arange(1, grid + 1) / (grid + 1)
    nearness = np.exp(-0.5 * ((place[:, None] - middles) * (grid + 1) / _BLUR) ** 2)
    inside = (place >= 0) & (place <= 1)
    weights: Floats = (nearness / nearness.sum(axis=1, keepdims=True) * inside[:, None]).astype(np.float32)
    return weights


def _seen(spec: ImageSpec, size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """What of a picture's width and height the model is shown, as shares; beyond 0 and 1 where it is padded."""
    height, width = spec.size
    if spec.resize_mode == "squash":
        return (0.0, 1.0), (0.0, 1.0)
    ratios = size[0] / width, size[1] / height
    ratio = max(ratios) if spec.resize_mode == "longest" else min(ratios)
    shares = width * ratio / size[0], height * ratio / size[1]
    across, down = ((0.5 - share / 2, 0.5 + share / 2) for share in shares)
    return across, down


def _colours(heat: Floats) -> Floats:
    """Colours of heat, float32 [h, w] → [h, w, 3], 0–255."""
    steps = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat, steps, channel) for channel in _COLOURS.T], axis=-1).astype(np.float32)
