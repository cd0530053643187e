"""Temporal heads: what they learn from embedded clips, and the graphs that searches run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from clipsearch.errors import ConfigError, ModelError
from clipsearch.evaluation.clips import EmbeddedClips
from clipsearch.evaluation.video import similarities
from clipsearch.models.pooling import mean_pooling
from clipsearch.models.video_heads import (
    HEAD_TYPES,
    MAX_FRAMES,
    SEQUENTIAL_TYPES,
    HeadType,
    SequentialType,
    VideoHeads,
    VideoHeadsSpec,
    head_file,
    pad_frames,
)
from clipsearch.training.settings import PairSource, TrainSettings
from clipsearch.training.video.fit import ClipInputs, export_head, fit_head
from clipsearch.training.video.heads import make_head

DIM = 16


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def videos(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [unit(rng.normal(size=(length, DIM))) for length in lengths]


def ordered_clips(count: int, seed: int) -> EmbeddedClips:
    """Pairs of clips that show the same two of eight things in opposite orders, and captions that say the order."""
    things, first, second = np.random.default_rng(0).normal(size=(3, DIM, DIM))
    rng = np.random.default_rng(seed)
    frames, texts = [], []
    for _ in range(count):
        one, other = unit(things[rng.choice(8, 2, replace=False)])
        shown = [unit(np.stack([thing] * 2) + rng.normal(size=(2, DIM)) * 0.03) for thing in (one, other)]
        for before, after, clip in ((one, other, shown), (other, one, shown[::-1])):
            frames.append(np.concatenate(clip))
            texts.append(unit(before + after + 0.1 * (before @ first - after @ second)))
    numbers = np.arange(2 * count)
    return EmbeddedClips(tuple(frames), np.stack(texts), numbers, numbers // 2)


def order_accuracy(heads: VideoHeads, clips: EmbeddedClips, kind: str) -> float:
    """How many captions are more similar to their clip than to the clip in the other order, by more than rounding."""
    right = []
    for place in range(0, len(clips), 2):
        scores = similarities(heads, clips.take(np.array([place, place + 1])))[kind]
        right += [scores[0, 0] - scores[0, 1] > 1e-5, scores[1, 1] - scores[1, 0] > 1e-5]
    return float(np.mean(right))


def settings(output: Path, *, epochs: int = 1) -> TrainSettings:
    return TrainSettings(
        model="mini", source=PairSource(output), output=output, epochs=epochs, batch_size=32, lr=3e-3, patience=0,
        device="cpu",
    )  # fmt: skip


def fitted(kind: HeadType, output: Path, *, epochs: int) -> VideoHeads:
    head = fit_head(kind, ordered_clips(150, 1), None, settings(output, epochs=epochs), logit_scale=20.0)
    export_head(head, DIM, output / head_file(kind))
    return VideoHeads(output, VideoHeadsSpec(files={kind: ""}))


@pytest.mark.long
@pytest.mark.parametrize("kind", SEQUENTIAL_TYPES)
def test_a_sequential_head_learns_the_order_that_mean_pooling_loses(kind: SequentialType, tmp_path: Path) -> None:
    heads, unseen = fitted(kind, tmp_path, epochs=8), ordered_clips(40, 2)
    assert order_accuracy(heads, unseen, kind) > 0.9
    assert order_accuracy(heads, unseen, "mean") == 0.0


@pytest.mark.long
def test_a_tight_head_learns_which_texts_and_clips_match(tmp_path: Path) -> None:
    heads, unseen = fitted("tight", tmp_path, epochs=4), ordered_clips(40, 2)
    one_of_each = unseen.take(np.arange(0, len(unseen), 2))
    scores = similarities(heads, one_of_each)["tight"]
    assert scores.diagonal().mean() > np.percentile(scores, 90)


@pytest.mark.parametrize("kind", HEAD_TYPES)
def test_the_exported_graph_agrees_with_torch(kind: HeadType, tmp_path: Path) -> None:
    torch.manual_seed(3)
    head = make_head(kind, DIM).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    export_head(head, DIM, tmp_path / head_file(kind))
    heads = VideoHeads(tmp_path, VideoHeadsSpec(files={kind: ""}))
    clips, text = videos(5, 1, MAX_FRAMES, MAX_FRAMES + 9), videos(1, seed=9)[0][0]
    for batch in (clips, *([clip] for clip in clips)):  # together, with padding, and alone
        frames = torch.from_numpy(pad_frames(batch))
        with torch.no_grad():
            expected = head(torch.from_numpy(text).expand(len(batch), -1), frames) if kind == "tight" else head(frames)
        result = heads.scores(text, batch) if kind == "tight" else heads.pool(batch, kind)
        assert np.abs(result - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("kind", SEQUENTIAL_TYPES)
def test_training_of_a_sequential_head_starts_at_mean_pooling(kind: SequentialType) -> None:
    clips = videos(7, 2, 1)
    with torch.no_grad():
        embeddings = make_head(kind, DIM).eval()(torch.from_numpy(pad_frames(clips))).numpy()
    assert np.abs(embeddings - np.stack([mean_pooling(clip) for clip in clips])).max() < 1e-6


def test_frames_of_long_videos_are_evenly_spaced() -> None:
    (long,) = videos(10 * MAX_FRAMES)
    rows = [np.flatnonzero((long == frame).all(axis=1))[0] for frame in pad_frames([long])[0]]
    assert rows == list(range(5, 10 * MAX_FRAMES, 10))


def test_clips_of_one_video_share_a_batch() -> None:
    clips = ordered_clips(20, 1)
    inputs = ClipInputs(clips, seed=0)
    for epoch in range(3):
        order = inputs.order(epoch)
        assert sorted(order) == list(range(len(clips)))
        assert (clips.videos[order][::2] == clips.videos[order][1::2]).all()
    assert (inputs.order(0) != inputs.order(1)).any()


def test_no_video_is_in_both_parts_of_a_split() -> None:
    training, held_out = ordered_clips(20, 1).split(0.25, seed=0)
    assert (len(training), len(held_out)) == (30, 10)
    assert not set(training.videos) & set(held_out.videos)
    with pytest.raises(ConfigError, match="too few"):
        ordered_clips(3, 1).split(0.5, seed=0)


def test_a_missing_head_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"video-lstm\.onnx"):
        VideoHeads(tmp_path, VideoHeadsSpec(files={"lstm": ""})).pool(videos(2), "lstm")
