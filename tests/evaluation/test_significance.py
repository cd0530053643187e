"""Intervals and tests against closed forms and simulated data."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from clipsearch.evaluation.measurements import Measurement, difference, figure
from clipsearch.evaluation.significance import Bootstrap, exact_mcnemar


def each(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (3, 3), (2, 9), (40, 61), (700, 801), (0, 2000)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    total = first + second
    tail = sum(comb(total, hits) for hits in range(min(first, second) + 1))
    expected = min(1.0, float(Fraction(2 * tail, 2**total)))
    assert exact_mcnemar(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-300)
    assert exact_mcnemar(second, first) == exact_mcnemar(first, second)


def test_the_interval_of_a_share_agrees_with_the_normal_approximation() -> None:
    values = np.array([1.0] * 300 + [0.0] * 700)
    low, high = Bootstrap(4000).interval(values, each(1000))
    half = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.003)


def test_captions_of_one_image_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    right = np.repeat(rng.integers(0, 2, 200), 5).astype(np.float64)  # all five captions, or none
    alone, together = (Bootstrap().interval(right, groups) for groups in (each(1000), np.repeat(each(200), 5)))
    assert (together[1] - together[0]) / (alone[1] - alone[0]) == pytest.approx(np.sqrt(5), rel=0.1)


def test_groups_are_weighted_by_their_queries() -> None:
    values, groups = np.array([1.0, 1.0, 1.0, 0.0]), np.array([7, 7, 7, 2])
    means = Bootstrap(500).means(values, groups)
    assert set(np.unique(means)) <= {0.0, 0.75, 1.0}
    assert figure(Measurement("x", values, groups), Bootstrap()).value == 0.75


def test_intervals_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    values = np.random.default_rng(0).random(500)
    assert Bootstrap(300, 4).interval(values, each(500)) == Bootstrap(300, 4).interval(values, each(500))
    assert Bootstrap(300, 4).interval(values, each(500)) != Bootstrap(300, 5).interval(values, each(500))


def test_blocks_change_nothing_but_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from clipsearch.evaluation import significance

    values = np.random.default_rng(0).random(50)
    whole = Bootstrap(300).means(values, each(50))
    monkeypatch.setattr(significance, "_WEIGHTS_AT_ONCE", 1)
    assert Bootstrap(300).means(values, each(50)).shape == whole.shape
    monkeypatch.setattr(significance, "_WEIGHTS_AT_ONCE", 50 * 7)
    assert np.abs(np.sort(Bootstrap(300).means(values, each(50))) - np.sort(whole)).max() < 0.05


def test_intervals_have_their_nominal_coverage() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        values = (rng.random(150) < 0.6).astype(np.float64)
        low, high = Bootstrap(300, trial).interval(values, each(150))
        covered += low <= 0.6 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_p_values_of_equal_models_are_uniform() -> None:
    rng = np.random.default_rng(12)
    p_values = [Bootstrap(300, trial).p_value(rng.normal(size=100), each(100)) for trial in range(200)]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10
    assert 0.4 <= np.mean(p_values) <= 0.6


def test_a_clear_difference_and_no_difference() -> None:
    first = Measurement("a", np.array([0.0] * 60 + [1.0] * 40), each(100))
    second = Measurement("b", np.ones(100), each(100))
    found = difference("b over a", first, second, Bootstrap())
    assert found.value == pytest.approx(0.6) and 0.45 < found.low < found.high < 0.75
    assert found.p_value == pytest.approx(1 / 2001)
    assert found.mcnemar_p == pytest.approx(2**-59)
    assert found.verdict == "higher"
    assert difference("a over b", second, first, Bootstrap()).verdict == "lower"
    same = difference("a over a", first, first, Bootstrap())
    assert (same.value, same.low, same.high, same.p_value, same.mcnemar_p) == (0, 0, 0, 1.0, 1.0)
    assert same.verdict == "no clear difference"


def test_mcnemar_is_omitted_if_not_applicable() -> None:
    hits = np.array([0.0, 1.0, 1.0, 0.0])
    pictures = np.array([0, 0, 1, 1])
    together = difference("x", Measurement("a", hits, pictures), Measurement("b", 1 - hits, pictures), Bootstrap())
    assert together.mcnemar_p is None, "queries about one image are not independent"
    graded = difference("x", Measurement("a", hits / 2, each(4)), Measurement("b", hits, each(4)), Bootstrap())
    assert graded.mcnemar_p is None, "these are not hits"


def test_different_queries_are_not_compared() -> None:
    with pytest.raises(ValueError, match="have different queries"):
        difference("x", Measurement("a", np.ones(3), each(3)), Measurement("b", np.ones(2), each(2)), Bootstrap())


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 100 resamples"):
        Bootstrap(10)
