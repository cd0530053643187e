"""Single-threaded inner products of small sets of vectors.

OpenBLAS threads spin for tens of milliseconds after a product. A multithreaded search that follows then takes twice as
long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OPENBLAS_THREADS_FROM = 1 << 18
"""Multiplications from which OpenBLAS uses threads for a matrix product."""

_THREADED_FROM = 1 << 25
"""Multiplications from which threads are faster in spite of the spinning."""


def inner_products(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products of all pairs.

    Args:
        first: float32 [n, dim].
        second: float32 [m, dim].

    Returns:
        float32 [n, m].
    """
    (n, dim), m = first.shape, len(second)
    if n * dim * m >= _THREADED_FROM:
        return first @ second.T
    products = np.empty((n, m), np.float32)
    if n == 1 or m == 1:  # BLAS uses threads for matrix-vector products earlier
        np.einsum("ik,jk->ij", first, second, out=products)
        return products
    step = max(1, (_OPENBLAS_THREADS_FROM - 1) // max(1, n * dim))
    for start in range(0, m, step):
        np.matmul(first, second[start : start + step].T, out=products[:, start : start + step])
    return products
