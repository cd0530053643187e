"""Inner products of few vectors, on the calling thread alone.

OpenBLAS shares larger products out among threads, which then wait for more for tens of milliseconds, each keeping a
core busy: a search that follows, and has threads of its own, takes twice as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHARED_OUT_FROM = 1 << 18
"""Multiplications from which on OpenBLAS uses threads for a product of two matrices."""

_WORTH_THREADS = 1 << 25
"""Multiplications that take so long that threads are worth it."""


def inner_products(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each of some vectors with each of some others.

    Args:
        first: float32 [n, dim].
        second: float32 [m, dim].

    Returns:
        float32 [n, m].
    """
    (count, dim), others = first.shape, len(second)
    if count * dim * others >= _WORTH_THREADS:
        return first @ second.T
    found = np.empty((count, others), np.float32)
    if count == 1 or others == 1:  # which BLAS shares out sooner
        np.einsum("ik,jk->ij", first, second, out=found)
        return found
    step = max(1, (_SHARED_OUT_FROM - 1) // max(1, count * dim))
    for start in range(0, others, step):
        np.matmul(first, second[start : start + step].T, out=found[:, start : start + step])
    return found
