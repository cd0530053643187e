"""Measurements of text-to-video retrieval."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.evaluation.clips import EmbeddedClips
from clipsearch.evaluation.significance import Bootstrap
from clipsearch.evaluation.video import measure_similarities

SCORES = np.array([[0.9, 0.1, 0.2], [0.3, 0.1, 0.2], [0.5, 0.6, 0.4], [0.1, 0.2, 0.3]], np.float32)
"""Similarities of four captions with three clips; the first clip has two captions."""


def test_rates_and_ranks_of_both_directions() -> None:
    frames = np.eye(3, dtype=np.float32)
    clips = EmbeddedClips(tuple(frames[:, None]), np.eye(4, dtype=np.float32), np.array([0, 0, 1, 2]), np.arange(3))
    measured = measure_similarities(SCORES, clips, prefix="mean ")
    to_videos, to_texts = measured.ranks
    assert to_videos.name == "mean text-to-video rank"
    assert to_videos.values.tolist() == [1, 1, 1, 1]
    assert to_videos.groups.tolist() == [0, 0, 1, 2]
    assert to_texts.values.tolist() == [1, 1, 2]
    rates = {rate.name: rate.mean for rate in measured.rates}
    assert rates["mean video-to-text hit rate @1"] == pytest.approx(2 / 3)
    assert rates["mean video-to-text hit rate @5"] == 1.0
    assert rates["mean video-to-text MRR"] == pytest.approx(2.5 / 3)


def test_the_interval_of_a_median_agrees_with_order_statistics() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(np.float64)
    low, high = Bootstrap(2000).median_interval(values, np.arange(1000))
    half = 1.96 * np.sqrt(1000) / 2  # of the rank of the median, a binomial variable
    assert (low, high) == pytest.approx((500 - half, 500 + half), abs=4)


def test_the_interval_of_a_median_draws_whole_videos() -> None:
    ranks = np.array([1.0] * 5 + [9.0] * 5)
    assert Bootstrap(500).median_interval(ranks, np.repeat([0, 1], 5)) == (1.0, 9.0)
    assert Bootstrap(500).median_interval(np.full(10, 3.0), np.arange(10)) == (3.0, 3.0)
