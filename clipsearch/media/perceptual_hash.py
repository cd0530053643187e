"""Fingerprints: what a picture looks like in 912 bytes, so that two can be laid over each other without their files.

The small picture that a perceptual hash is computed from is kept instead of the hash's bits, so that
`clipsearch.retrieval.duplicates.alignment` can find a crop, a turn or a tilt. At a precision of 0.99 against the
likest other
photos (1,500 of Flickr8k's training split; re-saved, cropped, turned and tilted variants; the best of all turns for
every hash) that found 0.996 of the variants; pHash of 64 bits (Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010) 0.91, of 256 bits 0.91, dHash 0.88, block means of 256 bits 0.89.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMA_SIDE = 28
"""Side of the luminance part in pixels; pictures of every shape are squashed to a square."""

CHROMA_SIDE = 8
"""Side of each of the two color parts, in pixels."""

COARSE_SIDE = 8
"""Side of the picture that `coarse_vectors` compares, in pixels."""

FINGERPRINT_BYTES = LUMA_SIDE**2 + 2 * CHROMA_SIDE**2

TURNS = 8
"""A picture can be laid down in so many ways: four quarter turns, each mirrored or not."""

USUAL_TURNS = (0, 1, 2, TURNS // 2)
"""Upright, a quarter turn, upside down, mirrored. The quarter turn to the right is the one to the left, the other way
round; mirrored and turned at once is so rare that looking for it is not worth the time."""

_REDUCING_GAP = 2.0
"""Pillow's trade of speed for quality when scaling down a lot; the result differs by less than a gray level."""


def fingerprint(image: Image.Image) -> bytes:
    """What a picture looks like, in `FINGERPRINT_BYTES` bytes.

    Takes half a millisecond for a picture that was decoded for a preview.

    Args:
        image: mode RGB, upright, any size; the full picture or its preview.

    Returns:
        uint8 luminance [28, 28], then blue and red chroma [8, 8] each (ITU-R BT.601, as in JPEG), row by row.
    """
    small = image.resize((LUMA_SIDE, LUMA_SIDE), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    luma, *chroma = small.convert("YCbCr").split()
    parts = [part.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX) for part in chroma]
    return b"".join(part.tobytes() for part in (luma, *parts))


def stack_fingerprints(fingerprints: Sequence[bytes]) -> NDArray[np.uint8]:
    """Fingerprints as rows, uint8 [n, `FINGERPRINT_BYTES`].

    Raises:
        ValueError: one of them has another length.
    """
    if any(len(item) != FINGERPRINT_BYTES for item in fingerprints):
        raise ValueError(f"a fingerprint has {FINGERPRINT_BYTES} bytes")
    return np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def luma_of(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luminance of fingerprints, uint8 [n, bytes] → float32 [n, 28, 28], 0 to 255."""
    return rows[:, : LUMA_SIDE**2].reshape(-1, LUMA_SIDE, LUMA_SIDE).astype(np.float32)


def chroma_of(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Chroma of fingerprints, uint8 [n, bytes] → float32 [n, 2, 8, 8], 0 to 255, 128 for gray."""
    return rows[:, LUMA_SIDE**2 :].reshape(-1, 2, CHROMA_SIDE, CHROMA_SIDE).astype(np.float32)


def turned(pictures: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """Pictures [..., side, side] by a turn: 0 to 3 quarter turns to the left, 4 to 7 the same after mirroring."""
    mirrored = pictures[..., ::-1] if turn >= TURNS // 2 else pictures
    result: NDArray[np.float32] = np.rot90(mirrored, turn % (TURNS // 2), axes=(-2, -1))
    return result


def coarse_vectors(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit vectors whose inner product is the correlation of two pictures at 8×8 pixels.

    Args:
        rows: uint8 [n, `FINGERPRINT_BYTES`].

    Returns:
        float32 [n, 64]; zeros for a picture of one color, which is like no other.
    """
    flat = (_averaging() @ luma_of(rows) @ _averaging().T).reshape(len(rows), COARSE_SIDE**2)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    is_plain = norms < flat.shape[1] ** 0.5  # a contrast of one gray level is rounding
    scaled: NDArray[np.float32] = np.where(is_plain, 0.0, flat / np.maximum(norms, 1e-6)).astype(np.float32)
    return scaled


def _averaging() -> NDArray[np.float32]:
    """Matrix [8, 28] that averages rows of luminance down to the coarse picture, by area."""
    step = LUMA_SIDE / COARSE_SIDE
    low = np.arange(COARSE_SIDE)[:, None] * step
    pixel = np.arange(LUMA_SIDE)[None]
    overlap = np.minimum(low + step, pixel + 1) - np.maximum(low, pixel)
    matrix: NDArray[np.float32] = (np.clip(overlap, 0.0, None) / step).astype(np.float32)
    return matrix
