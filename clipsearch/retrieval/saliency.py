"""Occlusion saliency: where in a picture the match is, by the drop of the score when a patch is covered.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014), §4.2, with the cosine of
picture and query in place of a class probability. It needs only the encoder's output, unlike attention maps and
gradients, and works with every model and runtime.
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
"""Longest side of the overlay, in pixels."""

_GRIDS = (5, 8)
"""Patches along each side, at two scales: 89 pictures to embed. Neighboring patches overlap by half, so patches cover a
third and two ninths of the side: the larger cover whole objects, the smaller locate their borders."""

_BLUR = 0.75
"""Standard deviation of the Gaussian weights of pixels in a patch, in patch distances."""

_MIN_DROP = 1e-4
"""Drop of the cosine below which it counts as rounding error."""

_INFERNO = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)],
    dtype=np.float32,
)  # fmt: skip
"""Nine steps of the perceptually uniform colormap *inferno* (van der Walt and Smith, 2015, CC0)."""

_OPAQUE = 0.75
"""Opacity of the color at maximum heat."""

_DIMMED = 0.45
"""Brightness of the picture at zero heat."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Saliency map of a picture for a query.

    Attributes:
        picture: RGB, upright, longest side at most `PICTURE_SIDE` pixels.
        heat: float32 [height, width] of that picture, 0 to 1: relative drop of the score when covered; all 0 if no
            patch matters.
        score: cosine of the picture and the query, -1 to 1.
        from_preview: whether the preview was used because the file is not available.
    """

    picture: Image.Image
    heat: Floats
    score: float
    from_preview: bool = False

    def overlay(self) -> Image.Image:
        """The picture with its heat map: dark and gray at zero heat, from violet over red to yellow above."""
        heat = self.heat[..., None]
        pixels = np.asarray(self.picture, np.float32)
        gray = pixels.mean(axis=2, keepdims=True)
        dimmed = (gray + (pixels - gray) * heat) * (_DIMMED + (1 - _DIMMED) * heat)
        blended = dimmed + (_colormap(self.heat) - dimmed) * (_OPAQUE * heat)
        return Image.fromarray(blended.clip(0, 255).round().astype(np.uint8))


def explain_picture(
    encoder: Encoder, image: Image.Image, query_vector: Floats, *, from_preview: bool = False
) -> Explanation:
    """Compute the saliency map of a picture for a query.

    Args:
        encoder: the model.
        image: RGB, upright, any size.
        query_vector: embedding of the query, float32 [dim], unit length.
        from_preview: see `Explanation`.
    """
    pixels = encoder.transform(image)
    covered = [_covered(pixels, grid) for grid in _GRIDS]
    scores = encoder.encode_pixels(np.concatenate([pixels[None], *covered])) @ query_vector
    picture = image.copy()
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    across, down = _visible(encoder.transform.spec, image.size)
    heat = np.zeros((picture.height, picture.width), np.float32)
    start = 1
    for grid in _GRIDS:
        drops = (scores[0] - scores[start : start + grid**2]).reshape(grid, grid)
        heat += _weights(picture.height, down, grid) @ drops @ _weights(picture.width, across, grid).T
        start += grid**2
    return Explanation(picture, _scaled(heat), float(scores[0]), from_preview)


def _scaled(heat: Floats) -> Floats:
    """Scale the positive part to 0–1; all 0 if the maximum is rounding error."""
    highest = max(float(heat.max()), 0.0)
    if highest <= _MIN_DROP:
        return np.zeros_like(heat)
    return (heat.clip(0) / highest).astype(np.float32)


def _covered(pixels: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """Copies with one patch each in the mean color: uint8 [h, w, 3] → [grid², h, w, 3], row by row."""
    height, width = pixels.shape[:2]
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    rows, columns = (np.linspace(0, side, grid + 2).round().astype(int) for side in (height, width))
    copies = np.repeat(pixels[None], grid**2, axis=0)
    for number in range(grid**2):
        row, column = divmod(number, grid)
        copies[number, rows[row] : rows[row + 2], columns[column] : columns[column + 2]] = mean
    return copies


def _weights(length: int, visible: tuple[float, float], grid: int) -> Floats:
    """Weight of each pixel along a side in each patch: float32 [length, grid], rows that sum to 1.

    Rows of pixels outside the model's input are 0.
    """
    place = ((np.arange(length) + 0.5) / length - visible[0]) / (visible[1] - visible[0])
    middles = np.arange(1, grid + 1) / (grid + 1)
    nearness = np.exp(-0.5 * ((place[:, None] - middles) * (grid + 1) / _BLUR) ** 2)
    inside = (place >= 0) & (place <= 1)
    weights: Floats = (nearness / nearness.sum(axis=1, keepdims=True) * inside[:, None]).astype(np.float32)
    return weights


def _visible(spec: ImageSpec, size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The range of width and of height that the model sees, as fractions; beyond 0 and 1 where it is padded."""
    height, width = spec.size
    if spec.resize_mode == "squash":
        return (0.0, 1.0), (0.0, 1.0)
    ratios = size[0] / width, size[1] / height
    ratio = max(ratios) if spec.resize_mode == "longest" else min(ratios)
    shares = width * ratio / size[0], height * ratio / size[1]
    across, down = ((0.5 - share / 2, 0.5 + share / 2) for share in shares)
    return across, down


def _colormap(heat: Floats) -> Floats:
    """float32 [h, w], 0–1 → RGB [h, w, 3], 0–255."""
    steps = np.linspace(0, 1, len(_INFERNO))
    return np.stack([np.interp(heat, steps, channel) for channel in _INFERNO.T], axis=-1).astype(np.float32)
