"""Text-to-video and video-to-text retrieval with each similarity type of a model.

The protocol of CLIP4Clip (Luo et al. 2021, arXiv 2104.08860, §4): hit rates (R@k there), median rank and mean rank.
Text-to-video: every caption is a query and its clip is relevant. Video-to-text: every clip is a query and its captions
are relevant.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.clips import EmbeddedClips, embed_clips, read_clips
from clipsearch.evaluation.embedding import Progress
from clipsearch.evaluation.measurements import Figure, Measurement, figure, median_figure
from clipsearch.evaluation.ranking import grouped
from clipsearch.evaluation.report import Contrast, EvaluationReport
from clipsearch.evaluation.significance import Bootstrap
from clipsearch.metrics import relevant_ranks
from clipsearch.models.encoder import Encoder
from clipsearch.models.pooling import mean_pooling
from clipsearch.models.video_heads import (
    HEAD_TYPES,
    SEQUENTIAL_TYPES,
    HasVideoHeads,
    SimilarityType,
    VideoHeads,
    VideoHeadsSpec,
)


def similarities(heads: VideoHeads | None, clips: EmbeddedClips) -> Mapping[SimilarityType, NDArray[np.float32]]:
    """Similarities float32 [captions, clips] by each type that the model has.

    Raises:
        ModelError: a head is missing or damaged.
    """
    by_type: dict[SimilarityType, NDArray[np.float32]] = {}
    by_type["mean"] = clips.texts @ np.stack([mean_pooling(frames) for frames in clips.frames]).T
    if heads is None:
        return by_type
    for kind in SEQUENTIAL_TYPES:
        if kind in heads.spec.files:
            by_type[kind] = clips.texts @ heads.pool(clips.frames, kind).T
    if "tight" in heads.spec.files:
        by_type["tight"] = np.stack([heads.scores(text, clips.frames) for text in clips.texts])
    return by_type


@dataclass(frozen=True, eq=False)
class VideoMeasurements:
    """Measurements of a similarity type, in both directions.

    Attributes:
        rates: hit rates and mean reciprocal rank.
        ranks: rank of the first relevant item of each query, from 1.
    """

    rates: tuple[Measurement, ...]
    ranks: tuple[Measurement, ...]


def measure_similarities(scores: NDArray[np.float32], clips: EmbeddedClips, *, prefix: str) -> VideoMeasurements:
    """Measure both directions.

    Args:
        scores: similarities [captions, clips].
        clips: the clips, whose videos are resampled.
        prefix: prefix of each name.
    """
    to_videos = relevant_ranks(scores, clips.owners, np.arange(len(scores) + 1, dtype=np.int64)).first
    to_texts = relevant_ranks(np.ascontiguousarray(scores.T), *grouped(clips.owners, len(clips))).first
    rates, ranks = [], []
    for name, first, groups in (
        ("text-to-video", to_videos, clips.videos[clips.owners]),
        ("video-to-text", to_texts, clips.videos),
    ):
        hits = [(f"hit rate @{k}", (first <= k).astype(np.float64)) for k in (1, 5, 10)]
        rates += [Measurement(f"{prefix}{name} {rate}", each, groups) for rate, each in (*hits, ("MRR", 1.0 / first))]
        ranks.append(Measurement(f"{prefix}{name} rank", first.astype(np.float64), groups))
    return VideoMeasurements(tuple(rates), tuple(ranks))


@dataclass(frozen=True, kw_only=True)
class VideoReport(EvaluationReport):
    """Retrieval in both directions by each similarity type; queries are captions.

    Attributes:
        ranks: ranks of the first relevant item of each query, whose median and mean are reported.
        pooling: the type that the model uses for whole-video embeddings.
        reranking: the head that re-ranks, or ``none``.
    """

    task: ClassVar[str] = "video"
    resampled: ClassVar[str] = "videos"
    candidates: ClassVar[str] = "clip"
    ranks: tuple[Measurement, ...]
    pooling: str
    reranking: str

    def rank_figures(self, bootstrap: Bootstrap) -> tuple[tuple[Figure, Figure], ...]:
        """Median and mean of each rank, with intervals."""
        return tuple((median_figure(rank, bootstrap), figure(rank, bootstrap)) for rank in self.ranks)

    def details(self) -> Mapping[str, Any]:
        """The similarity types in use."""
        return {"pooling": self.pooling, "reranking": self.reranking}


def evaluate_video(
    encoder: Encoder,
    captions: Path,
    videos: Path,
    *,
    split: str | None = None,
    progress: Progress | None = None,
) -> VideoReport:
    """Measure text-to-video and video-to-text retrieval by mean pooling and every head of a model.

    Args:
        encoder: the model.
        captions: a table of clips; see `clipsearch.evaluation.clips.read_clips`.
        videos: the folder of the videos.
        split: use only the rows of this split.
        progress: progress callback.

    Raises:
        ConfigError: the table, folder or split is invalid, or no video can be read.
        ModelError: the model or a head fails.
    """
    started = time.perf_counter()
    clips, skipped = embed_clips(encoder, videos, read_clips(captions, split=split), progress=progress)
    heads = encoder.video_heads if isinstance(encoder, HasVideoHeads) else None
    measured = [
        measure_similarities(scores, clips, prefix=f"{kind} ") for kind, scores in similarities(heads, clips).items()
    ]
    spec = heads.spec if heads is not None else VideoHeadsSpec()
    compared = [f"text-to-video {rate}" for rate in ("hit rate @1", "MRR")]
    return VideoReport(
        model=encoder.spec,
        queries=len(clips.texts),
        images=len(clips),
        measurements=tuple(rate for one in measured for rate in one.rates),
        contrasts=tuple(
            Contrast(f"{kind} against mean, {name}", f"mean {name}", f"{kind} {name}")
            for kind in HEAD_TYPES
            if kind in spec.files
            for name in compared
        ),
        seconds=time.perf_counter() - started,
        skipped=skipped,
        ranks=tuple(rank for one in measured for rank in one.ranks),
        pooling=spec.pooling,
        reranking=spec.reranking,
    )
