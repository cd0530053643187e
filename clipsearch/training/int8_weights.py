"""Weights as int8 with one scale per channel: how the bundled model's are rounded, and those trained from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def round_to_int8(values: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights symmetrically.

    Args:
        values: floating, two dimensions or more.
        axis: each index of it gets a scale of its own.

    Returns:
        int8 of the same shape, and float32 scales [size of the axis]. Rounding what was rounded changes nothing.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2, for weights only and symmetric.
    """
    others = tuple(other for other in range(values.ndim) if other != axis % values.ndim)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.maximum(largest, 1e-12).astype(np.float32) / 127
    rounded = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
    return rounded, scale.reshape(-1)
