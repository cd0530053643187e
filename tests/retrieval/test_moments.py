"""The scores of a video's frames in their context, and the moments that they make."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.catalog.records import FrameEmbeddings
from clipsearch.retrieval.moments import moments_of, scores_of

DIM = 64


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def shot(center: NDArray[np.float64], seconds: int, noise: float, seed: int) -> NDArray[np.float64]:
    """Frames of one picture, each a little off in its own way."""
    return unit(center + np.random.default_rng(seed).normal(0, noise / DIM**0.5, (seconds, DIM)))


def frames_of(vectors: NDArray[np.float64], step_ms: int = 1000) -> FrameEmbeddings:
    places = np.arange(len(vectors))
    return FrameEmbeddings(places + 1, places * step_ms, vectors.astype(np.float16))


def test_a_shot_is_less_noisy_than_its_frames() -> None:
    first, second = np.eye(DIM)[:2]
    query = unit(first + second).astype(np.float32)
    frames = frames_of(shot(first, 30, 0.4, seed=1))
    alone, scores = frames.vectors.astype(np.float32) @ query, scores_of(frames, query)
    truth = float(first @ query)
    assert np.abs(scores - truth).max() < np.abs(alone - truth).max() / 2


def test_nothing_is_mixed_over_a_cut() -> None:
    first, second = np.eye(DIM)[:2]
    frames = frames_of(np.concatenate([shot(first, 5, 0.2, seed=1), shot(second, 5, 0.2, seed=2)]))
    scores = scores_of(frames, second.astype(np.float32))
    assert scores[:5].max() < 0.1 and scores[5:].min() > 0.95
    (best, *_) = moments_of(frames, second.astype(np.float32), 10_000)
    assert (best.start_ms, best.end_ms) == (5000, 10_000)


def test_one_frame_that_happens_to_fit_is_not_the_moment() -> None:
    """The best single frame is in one shot, the better shot elsewhere."""
    first, second, wanted = np.eye(DIM)[:3]
    near, far = unit(first + 0.45 * wanted), unit(second + 0.35 * wanted)
    lucky = shot(far, 8, 0.0, seed=1)
    lucky[4] = unit(second + 0.5 * wanted)
    frames = frames_of(np.concatenate([lucky, shot(near, 8, 0.0, seed=2)]))
    query = wanted.astype(np.float32)
    assert int((frames.vectors.astype(np.float32) @ query).argmax()) == 4
    (best, *_) = moments_of(frames, query, 16_000)
    assert (best.start_ms, best.end_ms) == (8000, 16_000)


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 700])
def test_scores_do_not_depend_on_how_many_frames_are_computed_at_once(count: int) -> None:
    rng = np.random.default_rng(3)
    frames = frames_of(unit(rng.normal(size=(count, DIM)) + np.eye(DIM)[0] * 6))
    query = unit(rng.normal(size=DIM)).astype(np.float32)
    vectors, times = frames.vectors.astype(np.float64), frames.positions / 4000
    weights = np.exp((vectors @ vectors.T - 1) / 0.15 - (times[:, None] - times) ** 2)
    assert scores_of(frames, query) == pytest.approx(unit(weights @ vectors) @ query, abs=1e-3)
