"""Temporal heads of a compiled model: whole-video embeddings and scores from frame embeddings, without torch.

A model directory with heads also contains::

    video-lstm.onnx, video-transformer.onnx    frames float32 [n, frames, dim]          -> embedding float32 [n, dim]
    video-tight.onnx                           text [n, dim], frames [n, frames, dim]   -> score float32 [n]

Frames are unit embeddings in order of time; zero rows after the last frame are padding. `clipsearch train --video`
writes the heads; the towers and the fingerprint of the model stay the same, and so do all other embeddings.

Source: Luo et al. 2021, CLIP4Clip (arXiv 2104.08860), §3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.pooling import mean_pooling
from clipsearch.text import first_line

MAX_FRAMES = 32
"""Frames of a video that a head reads; of a longer video, as many evenly spaced ones."""

SequentialType = Literal["lstm", "transformer"]
HeadType = Literal["lstm", "transformer", "tight"]
HEAD_TYPES: tuple[HeadType, ...] = get_args(HeadType)
PoolingType = Literal["mean", "lstm", "transformer"]
SimilarityType = Literal["mean", "lstm", "transformer", "tight"]
SEQUENTIAL_TYPES: tuple[SequentialType, ...] = get_args(SequentialType)

_VIDEOS_PER_RUN = 64


@dataclass(frozen=True)
class VideoHeadsSpec:
    """The heads of a model, in its manifest.

    Attributes:
        files: head -> SHA-256 (hex) of its file.
        pooling: the head that makes whole-video embeddings, or ``mean``.
        reranking: the head that re-ranks the first videos, or ``none``.
    """

    files: dict[HeadType, str] = field(default_factory=dict)
    pooling: PoolingType = "mean"
    reranking: Literal["none", "tight"] = "none"

    @property
    def pooling_id(self) -> str:
        """Identity of the whole-video embeddings: equal if they need no recomputation."""
        return self.pooling if self.pooling == "mean" else f"{self.pooling} {self.files[self.pooling][:16]}"


@runtime_checkable
class HasVideoHeads(Protocol):
    """An encoder whose model directory may have heads."""

    @property
    def video_heads(self) -> VideoHeads:
        """The heads."""
        ...


def pool_frames(encoder: object, frames: FloatMatrix) -> NDArray[np.float32]:
    """The whole-video embedding of a video.

    Args:
        encoder: the model; its sequential head is used if it has one, mean pooling otherwise.
        frames: unit embeddings of the frames in order of time, float32 [frames, dim], at least one.

    Returns:
        A unit vector, float32 [dim].

    Raises:
        ModelError: the head is missing or damaged.
    """
    if isinstance(encoder, HasVideoHeads):
        heads = encoder.video_heads
        if heads.spec.pooling != "mean":
            (embedding,) = heads.pool([frames], heads.spec.pooling)
            return np.asarray(embedding, np.float32)
    return mean_pooling(frames)


def pooling_id(encoder: object) -> str:
    """Identity of the whole-video embeddings of a model; see `VideoHeadsSpec.pooling_id`."""
    return encoder.video_heads.spec.pooling_id if isinstance(encoder, HasVideoHeads) else "mean"


def pad_frames(videos: Sequence[FloatMatrix]) -> FloatMatrix:
    """Input of the heads, float32 [videos, frames, dim], zero after a video's last frame.

    Args:
        videos: frame embeddings [frames, dim] of each video; of more than `MAX_FRAMES`, evenly spaced ones are used.
    """
    sampled = [video[evenly(len(video), MAX_FRAMES)] for video in videos]
    padded = np.zeros((len(sampled), max(map(len, sampled)), sampled[0].shape[1]), np.float32)
    for row, frames in enumerate(sampled):
        padded[row, : len(frames)] = frames
    return padded


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Indices of at most `most` of `count` items: the middles of equal parts, int64, ascending."""
    kept = min(count, most)
    return np.floor((np.arange(kept) + 0.5) * count / kept).astype(np.int64) if kept else np.empty(0, np.int64)


def head_file(kind: HeadType) -> str:
    """Name of a head's file."""
    return f"video-{kind}.onnx"


class VideoHeads:
    """Runs the heads of a model directory, each loaded at its first use."""

    def __init__(self, directory: Path, spec: VideoHeadsSpec) -> None:
        self.directory = directory
        self.spec = spec
        self._sessions: dict[HeadType, Any] = {}

    def pool(self, videos: Sequence[FloatMatrix], kind: SequentialType) -> FloatMatrix:
        """Whole-video embeddings float32 [videos, dim], unit rows, of frame embeddings [frames, dim] each.

        Raises:
            ModelError: the head is missing or damaged.
        """
        blocks = [
            self._run(kind, {"frames": pad_frames(videos[start : start + _VIDEOS_PER_RUN])})
            for start in range(0, len(videos), _VIDEOS_PER_RUN)
        ]
        return l2_normalize(np.concatenate(blocks))

    def scores(self, text: NDArray[np.float32], videos: Sequence[FloatMatrix]) -> NDArray[np.float32]:
        """Scores float32 [videos] of a text's embedding [dim] with videos by the tight head; higher is better.

        Raises:
            ModelError: the head is missing or damaged.
        """
        blocks = [np.empty(0, np.float32)]
        for start in range(0, len(videos), _VIDEOS_PER_RUN):
            frames = pad_frames(videos[start : start + _VIDEOS_PER_RUN])
            texts = np.broadcast_to(text.astype(np.float32), (len(frames), len(text)))
            blocks.append(self._run("tight", {"text": np.ascontiguousarray(texts), "frames": frames}))
        return np.concatenate(blocks)

    def _run(self, kind: HeadType, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        from clipsearch.models.onnx.sessions import open_session

        if kind not in self._sessions:
            self._sessions[kind] = open_session(self.directory / head_file(kind))
        try:
            output: NDArray[np.float32] = self._sessions[kind].run(None, inputs)[0]
        except Exception as error:  # the exceptions of onnxruntime have no common base class
            raise ModelError(
                f"the head {self.directory / head_file(kind)} failed to run: {first_line(error)}"
            ) from error
        return output
