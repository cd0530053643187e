"""Laying pairs of fingerprints over each other: the crop, turn and tilt that fit best, and how well they then agree.

Source: Lucas and Kanade, "An iterative image registration technique" (IJCAI 1981), with an affine warp and a gain
and offset of brightness as in Baker and Matthews, "Lucas-Kanade 20 years on", part 3 (2003); Gauss-Newton steps with
a little damping. From coarse to fine: the first steps see blurred pictures, in which farther shifts still overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from clipsearch.media.perceptual_hash import COARSE_SIDE, LUMA_SIDE, TURNS, chroma_of, coarse_vectors, luma_of, turned

Floats = NDArray[np.float32]

BATCH = 512
"""Pairs that are aligned at once: about 100 MB of working memory."""

_STAGES = ((3.0, 4, 5), (1.5, 2, 4), (0.7, 2, 3))
"""Blur (standard deviation in pixels of the fingerprint), every how many pixels are looked at, Gauss-Newton steps."""

_START_BLUR, _START_STRIDE = 2.0, 4
"""Blur and every how many pixels are looked at to tell which start fits best."""

_DAMPING = 1e-3
"""Share of each diagonal element that is added to it: keeps pictures with one edge only from sliding along it."""

_DETAIL_BLUR = 1.5
"""What is finer than this, in pixels, is detail."""

_MIN_OVERLAP = 0.3
"""Pairs of which less than this comes to lie on each other tell nothing."""


@dataclass(frozen=True)
class Alignment:
    """How pairs of pictures lie over each other, and how well they agree there.

    Attributes:
        turn: int [n], the turn that brings the second upright with the first, 0 to 7 (`perceptual_hash.turned`).
        correlation: float32 [n], of luminance, -1 to 1.
        detail: float32 [n], the same of fine detail only, which look-alikes rarely share.
        color: float32 [n], mean absolute difference of chroma, in levels of 255.
        brightness: float32 [n], mean absolute difference of luminance where they lie, in levels of 255.
        overlap: float32 [n], share of the larger frame that both show, 0 to 1.
        shift: float32 [n], how far the warp moves a corner at most, as a share of the side; 0 for a mere re-save.
    """

    turn: NDArray[np.intp]
    correlation: Floats
    detail: Floats
    color: Floats
    brightness: Floats
    overlap: Floats
    shift: Floats


def align(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Alignment:
    """Lay each second picture over its first one.

    Args:
        first: fingerprints, uint8 [n, bytes].
        second: the other picture.
    """
    starts = range(0, max(len(first), 1), BATCH)
    parts = [_align(first[start : start + BATCH], second[start : start + BATCH]) for start in starts]
    names = Alignment.__dataclass_fields__
    return Alignment(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def best_turn(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[NDArray[np.intp], Floats]:
    """The turn of the second picture that is most like the first at 8×8 pixels, and the correlation then."""
    fixed, moving = coarse_vectors(first), coarse_vectors(second).reshape(-1, COARSE_SIDE, COARSE_SIDE)
    scores = np.stack([(fixed * turned(moving, turn).reshape(fixed.shape)).sum(1) for turn in range(TURNS)], 1)
    scores[:, 0] += 0.02  # symmetrical pictures are not turned for nothing
    chosen = scores.argmax(1)
    return chosen, scores.max(1).astype(np.float32)


def _align(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Alignment:
    turn, _ = best_turn(first, second)
    fixed = luma_of(first)
    moving = _turn_each(luma_of(second), turn)
    warp = _best_start(fixed, moving)
    for blur, stride, steps in _STAGES:
        images, target = _planes(_blurred(moving, blur)), _thinned(_blurred(fixed, blur), stride)
        for _ in range(steps):
            warp = _limited(warp + _step(images, target, warp, stride))
    color = np.abs(chroma_of(first) - _turn_each(chroma_of(second), turn)).mean(axis=(1, 2, 3))
    return _judge(fixed, moving, warp, turn, color.astype(np.float32))


def _best_start(fixed: Floats, moving: Floats) -> Floats:
    """The start, float32 [n, 6], from which pairs are refined: far from the true warp, the steps lead astray."""
    target = _thinned(_blurred(fixed, _START_BLUR), _START_STRIDE)
    images = _blurred(moving, _START_BLUR).reshape(len(moving), LUMA_SIDE**2, 1)
    scores = []
    for start in _starts():
        sampled, inside = _sample(images, np.broadcast_to(start, (len(fixed), 6)), _START_STRIDE)
        scores.append(_correlation(sampled[..., 0], target, inside))
    best: Floats = _starts()[np.argmax(scores, axis=0)]
    return best


@cache
def _starts() -> Floats:
    """Warps [starts, 6]: none, and crops of 88 % of either picture in the middle, at each side and in each corner."""
    starts = [np.zeros(6)]
    for scale in (0.88 - 1, 1 / 0.88 - 1):
        room = abs(scale) * LUMA_SIDE / 2
        sides = [(across * room, down * room) for across in (-1, 0, 1) for down in (-1, 0, 1)]
        starts += [np.array([across, scale, 0, down, 0, scale]) for across, down in sides]
        starts += [np.array([across, scale, 0, 0, 0, 0]) for across in (-room, 0, room)]
        starts += [np.array([0, 0, 0, down, 0, scale]) for down in (-room, 0, room)]
    return np.array(starts, dtype=np.float32)


def _turn_each(pictures: Floats, turn: NDArray[np.intp]) -> Floats:
    result = np.empty_like(pictures)
    for number in np.unique(turn):
        result[turn == number] = turned(pictures[turn == number], int(number))
    return result


def _step(images: Floats, target: Floats, warp: Floats, stride: int) -> Floats:
    """One Gauss-Newton step: [n, pixels, 3], [n, pixels] and the warp [n, 6] → its change [n, 6]."""
    sampled, inside = _sample(images, warp, stride)
    x, y = _grid(stride)
    value, right, down = sampled[..., 0], sampled[..., 1], sampled[..., 2]
    columns = (right, right * x, right * y, down, down * x, down * y, -target / 64.0, -np.ones_like(target))
    system = np.stack(columns, axis=1) * inside[:, None]  # [n, 8, pixels]
    normal = system @ system.transpose(0, 2, 1)
    right_side = -(system @ (value * inside)[..., None])
    # not on gain and offset: that would pull a perfect fit away from itself
    warped, light = np.arange(6), np.arange(6, 8)
    normal[:, warped, warped] += _DAMPING * normal[:, warped, warped] + 1e-3
    normal[:, light, light] += 1e-6 * normal[:, light, light] + 1e-3
    change: Floats = np.linalg.solve(normal, right_side)[:, :6, 0]
    return change


def _judge(fixed: Floats, moving: Floats, warp: Floats, turn: NDArray[np.intp], color: Floats) -> Alignment:
    count = len(fixed)
    sharp, target = fixed.reshape(count, LUMA_SIDE**2), moving
    detail = moving - _blurred(moving, _DETAIL_BLUR)
    fixed_detail = (fixed - _blurred(fixed, _DETAIL_BLUR)).reshape(count, LUMA_SIDE**2)
    stacked = np.stack([target.reshape(count, LUMA_SIDE**2), detail.reshape(count, LUMA_SIDE**2)], axis=2)
    sampled, inside = _sample(stacked, warp, 1)
    seen = inside.mean(axis=1)
    corner = (LUMA_SIDE - 1) / 2
    moved = np.maximum(
        np.abs(warp[:, 0]) + corner * (np.abs(warp[:, 1]) + np.abs(warp[:, 2])),
        np.abs(warp[:, 3]) + corner * (np.abs(warp[:, 4]) + np.abs(warp[:, 5])),
    )
    area = np.abs((1 + warp[:, 1]) * (1 + warp[:, 5]) - warp[:, 2] * warp[:, 4])
    difference = (np.abs(sampled[..., 0] - sharp) * inside).sum(1) / np.maximum(inside.sum(1), 1.0)
    usable = seen >= _MIN_OVERLAP
    return Alignment(
        turn=turn,
        correlation=np.where(usable, _correlation(sampled[..., 0], sharp, inside), 0.0).astype(np.float32),
        detail=np.where(usable, _correlation(sampled[..., 1], fixed_detail, inside), 0.0).astype(np.float32),
        color=color,
        brightness=difference.astype(np.float32),
        overlap=np.minimum(seen, seen * area).astype(np.float32),
        shift=(moved / LUMA_SIDE).astype(np.float32),
    )


def _correlation(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Pearson's correlation of rows [n, pixels] where the weights are not zero; 0 where one of them is plain."""
    total = np.maximum(weights.sum(1, keepdims=True), 1.0)
    first = (first - (first * weights).sum(1, keepdims=True) / total) * weights
    second = (second - (second * weights).sum(1, keepdims=True) / total) * weights
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    result: Floats = (first * second).sum(1) / np.maximum(norms, total[:, 0] * 0.05)  # below it is rounding
    return result


def _sample(images: Floats, warp: Floats, stride: int) -> tuple[Floats, Floats]:
    """Planes [n, pixels, planes] at the warped grid, bilinearly, and which samples are inside, float32 [n, samples]."""
    x, y = _grid(stride)
    middle, last = (LUMA_SIDE - 1) / 2, LUMA_SIDE - 1
    across = warp[:, :1] + warp[:, 1:2] * x + warp[:, 2:3] * y + (middle + x)
    down = warp[:, 3:4] + warp[:, 4:5] * x + warp[:, 5:6] * y + (middle + y)
    inside = ((across >= -0.5) & (across <= last + 0.5) & (down >= -0.5) & (down <= last + 0.5)).astype(np.float32)
    across, down = across.clip(0, last), down.clip(0, last)
    column, row = np.minimum(across.astype(np.intp), last - 1), np.minimum(down.astype(np.intp), last - 1)
    part_x, part_y = (across - column)[..., None], (down - row)[..., None]
    start = np.arange(len(images))[:, None] * LUMA_SIDE**2 + row * LUMA_SIDE + column
    flat = images.reshape(-1, images.shape[-1])
    corners = [np.take(flat, start + offset, axis=0) for offset in (0, 1, LUMA_SIDE, LUMA_SIDE + 1)]
    upper, lower = corners[0] + (corners[1] - corners[0]) * part_x, corners[2] + (corners[3] - corners[2]) * part_x
    return upper + (lower - upper) * part_y, inside


def _limited(warp: Floats) -> Floats:
    """Keep a warp that diverges within reach: shifts of a third of the side, scales and tilts of a third."""
    reach = np.array([LUMA_SIDE / 3, 0.33, 0.33, LUMA_SIDE / 3, 0.33, 0.33], np.float32)
    return np.nan_to_num(warp).clip(-reach, reach)


def _planes(pictures: Floats) -> Floats:
    """Pictures [n, side, side] with their slopes to the right and down, [n, pixels, 3]."""
    down, right = np.gradient(pictures, axis=(1, 2))
    return np.stack([part.reshape(len(pictures), LUMA_SIDE**2) for part in (pictures, right, down)], axis=2)


def _blurred(pictures: Floats, blur: float) -> Floats:
    matrix = _blur_matrix(blur)
    return np.asarray(matrix @ pictures @ matrix.T, np.float32)


@cache
def _blur_matrix(blur: float) -> Floats:
    """Gaussian blur of one axis as a matrix [side, side]; rows add up to 1, borders included."""
    pixel = np.arange(LUMA_SIDE)
    weights = np.exp(-0.5 * ((pixel[:, None] - pixel[None]) / blur) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _thinned(pictures: Floats, stride: int) -> Floats:
    """The pixels of pictures [n, side, side] that `_grid` names, float32 [n, samples]."""
    start = stride // 2
    return pictures[:, start::stride, start::stride].reshape(len(pictures), _grid(stride)[0].size)


@cache
def _grid(stride: int) -> tuple[Floats, Floats]:
    """Coordinates of every so manieth pixel from the middle, to the right and down, float32 [1, samples] each."""
    axis = np.arange(stride // 2, LUMA_SIDE, stride, dtype=np.float32) - (LUMA_SIDE - 1) / 2
    down, right = np.meshgrid(axis, axis, indexing="ij")
    return right.reshape(1, -1), down.reshape(1, -1)
