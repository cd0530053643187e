"""The conversion of float16 to float32 is exact for every finite number."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.vectors.faiss.float16 import products_with, to_float32


def test_every_finite_number_is_itself() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 8)
    wide = to_float32(finite, np.arange(len(finite)))
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, finite.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(wide), np.signbit(finite))  # -0, too


@pytest.mark.parametrize("count", [0, 1, 255, 257, 1000])
def test_rows_are_those_asked_for(count: int) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 512)).astype(np.float16)
    rows = random.integers(0, 300, count)
    np.testing.assert_array_equal(to_float32(vectors, rows), vectors[rows].astype(np.float32))
    query = random.normal(size=512).astype(np.float32)
    expected = vectors[rows].astype(np.float64) @ query
    np.testing.assert_allclose(products_with(vectors, rows, query), expected, atol=1e-3)
