"""Parity and comparability of embeddings."""

from __future__ import annotations

import doctest
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.errors import ModelError
from clipsearch.models import parity
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.parity import CheckEmbeddings, Parity, measure_parity, spaces_agree


def rows(count: int, seed: int) -> FloatMatrix:
    return l2_normalize(np.random.default_rng(seed).normal(size=(count, 24)))


SOURCE = CheckEmbeddings(rows(60, 1), rows(30, 2))


def space(rounded: Parity | None, *, fingerprint: str = "f", dim: int = 24) -> SimpleNamespace:
    return SimpleNamespace(fingerprint=fingerprint, dim=dim, parity=rounded)


SHOWN, NOT_SHOWN = Parity(0.99, 0.9), Parity(0.9899, 0.95)


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (space(None), space(None), True),
        (space(None), space(SHOWN), True),
        (space(SHOWN), space(SHOWN), True),
        (space(None), space(NOT_SHOWN), False),
        (space(NOT_SHOWN), space(NOT_SHOWN), False),
        (space(None), space(Parity(1.0, 0.89)), False),
        (space(None), space(None, fingerprint="g"), False),
        (space(None), space(None, dim=12), False),
        (space(None), space(SHOWN, fingerprint="g"), False),
    ],
)
def test_spaces_agree(first: SimpleNamespace, second: SimpleNamespace, agree: bool) -> None:
    assert spaces_agree(first, second) is spaces_agree(second, first) is agree


def test_examples() -> None:
    assert doctest.testmod(parity).failed == 0


def test_a_model_has_parity_with_itself() -> None:
    assert measure_parity(SOURCE, SOURCE) == Parity(pytest.approx(1.0), 1.0)


def test_the_worse_tower_gives_the_cosine() -> None:
    noisy = CheckEmbeddings(l2_normalize(SOURCE.images + 0.05 * rows(60, 3)), SOURCE.texts)
    found = measure_parity(SOURCE, noisy)
    assert found.cosine == pytest.approx(float((SOURCE.images * noisy.images).sum(axis=1).mean()))
    assert 0.8 < found.overlap < 1.0


def test_overlap_is_the_share_of_the_ten_nearest() -> None:
    swapped = CheckEmbeddings(np.roll(SOURCE.images, 30, axis=0), SOURCE.texts)
    nearest = [np.argsort(-scores)[:10].tolist() for scores in SOURCE.texts @ SOURCE.images.T]
    expected = [len(set(ten) & {(one + 30) % 60 for one in ten}) / 10 for ten in nearest]
    assert measure_parity(SOURCE, swapped).overlap == pytest.approx(np.mean(expected))


def test_the_overlap_of_fewer_than_ten_images() -> None:
    few = CheckEmbeddings(SOURCE.images[:4], SOURCE.texts)
    assert measure_parity(few, few).overlap == 1.0


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ModelError, match="without images"):
        measure_parity(CheckEmbeddings(rows(0, 1), rows(1, 1)), CheckEmbeddings(rows(0, 1), rows(1, 1)))
