"""Vectorized float16-to-float32 conversion; NumPy's own cast is scalar and several times slower."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 18
"""Numbers converted at once: the steps work in the CPU cache, and threads do not wait for each other's steps."""

_SHIFT = 13
"""The significand of a float16 has 10 bits, that of a float32 23."""

_WITHOUT_SIGN_EXTENSION = ~np.int32(0b111 << 28)

_SCALE = np.float32(2.0**112)
"""The exponent biases are 15 and 127."""


def to_float32(vectors: NDArray[np.float16], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Selected rows as float32.

    Args:
        vectors: finite, float16 [n, dim].
        rows: int64 [m].

    Returns:
        float32 [m, dim].
    """
    wide = np.empty((len(rows), vectors.shape[1]), np.float32)
    for part in _parts(len(rows), vectors.shape[1]):
        _convert(vectors[rows[part]], wide[part])
        wide[part] *= _SCALE
    return wide


def products_with(
    vectors: NDArray[np.float16], rows: NDArray[np.int64] | None, query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Inner products of selected rows with a query, converted a block at a time.

    Args:
        vectors: finite, float16 [n, dim].
        rows: int64 [m]; ``None`` for all.
        query: float32 [dim], each below 65,536.

    Returns:
        float32 [m].
    """
    count = len(vectors) if rows is None else len(rows)
    products = np.empty(count, np.float32)
    scaled = query * _SCALE  # and not each vector
    wide = np.empty((min(count, _rows_at_once(vectors.shape[1])), vectors.shape[1]), np.float32)
    for part in _parts(count, vectors.shape[1]):
        block = wide[: len(products[part])]
        _convert(vectors[part if rows is None else rows[part]], block)
        np.einsum("ij,j->i", block, scaled, out=products[part])
    return products


def _parts(count: int, dim: int) -> Iterator[slice]:
    step = _rows_at_once(dim)
    return (slice(start, start + step) for start in range(0, count, step))


def _rows_at_once(dim: int) -> int:
    return max(1, _AT_ONCE // max(1, dim))


def _convert(narrow: NDArray[np.float16], wide: NDArray[np.float32]) -> None:
    """Write the numbers divided by `_SCALE`, exactly."""
    bits = wide.view(np.int32)
    bits[...] = narrow.view(np.int16)  # sign-extended
    bits <<= _SHIFT
    bits &= _WITHOUT_SIGN_EXTENSION
