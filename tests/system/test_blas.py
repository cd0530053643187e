"""Inner products of few and of many vectors against one float64 product."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.system.blas import inner_products


@pytest.mark.parametrize("count", [0, 1, 2, 10, 700])
@pytest.mark.parametrize("others", [0, 1, 3, 479, 1000])
def test_products_of_all_pairs(count: int, others: int) -> None:
    random = np.random.default_rng(count + others)
    first = random.normal(size=(count, 96)).astype(np.float32)
    second = random.normal(size=(others, 96)).astype(np.float32)
    found = inner_products(first, second)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, first.astype(np.float64) @ second.T.astype(np.float64), atol=1e-4)


def test_the_second_matrix_may_be_a_transposed_view() -> None:
    random = np.random.default_rng(0)
    query, axes = random.normal(size=(1, 384)).astype(np.float32), random.normal(size=(384, 240)).astype(np.float32)
    np.testing.assert_allclose(inner_products(query, axes.T), query @ axes, atol=1e-4)
