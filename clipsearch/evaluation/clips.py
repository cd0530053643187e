"""Captioned clips of videos: their table, and their frames and captions as embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.evaluation.captions import table_rows
from clipsearch.evaluation.embedding import Progress, SkippedImage, embed_texts
from clipsearch.media.parts import Reading
from clipsearch.media.video.reading import read_video
from clipsearch.models.encoder import Encoder, FloatMatrix


@dataclass(frozen=True)
class Clip:
    """A span of a video with its captions.

    Attributes:
        video: path of the video, relative to the folder of the videos.
        start_s: first second.
        end_s: last second; infinite for the end of the video.
        captions: at least one.
    """

    video: str
    start_s: float
    end_s: float
    captions: tuple[str, ...]


def read_clips(path: Path, *, split: str | None = None) -> list[Clip]:
    """Read a table of clips with the columns ``video``, ``start``, ``end``, ``caption`` and optionally ``split``.

    Tab-separated without quoting; comma-separated with quoting if the suffix is ``.csv``. Several rows of one span are
    captions of one clip. An empty start or end is that of the video.

    Args:
        path: the file.
        split: use only the rows of this split.

    Returns:
        The clips, those of a video together, in the order of first occurrence.

    Raises:
        ConfigError: the file cannot be read, lacks a column, has a damaged row, or has no row of `split`.
    """
    rows = table_rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip().lower() for name in header]
    text = "sentence" if "sentence" in columns else "caption"
    for column in ("video", "start", "end", text, *(["split"] if split is not None else [])):
        if column not in columns:
            raise ConfigError(f"{path} has no column {column}; the header has {', '.join(columns) or 'no columns'}")
    spans: dict[str, dict[tuple[float, float], list[str]]] = {}
    for number, fields in rows:
        if len(fields) != len(columns):
            raise ConfigError(f"{path} line {number} has {len(fields)} columns instead of {len(columns)}")
        row = {name: field.strip() for name, field in zip(columns, fields, strict=True)}
        if split is not None and row["split"] != split:
            continue
        if not row["video"] or not row[text]:
            raise ConfigError(f"{path} line {number} has an empty {text if row['video'] else 'video'}")
        span = _span(row["start"], row["end"], f"{path} line {number}")
        spans.setdefault(row["video"], {}).setdefault(span, []).append(row[text])
    if not spans:
        raise ConfigError(f"{path} has no clips" + (f" of the split {split}" if split is not None else ""))
    return [Clip(video, *span, tuple(texts)) for video, own in spans.items() for span, texts in own.items()]


def _span(start: str, end: str, where: str) -> tuple[float, float]:
    try:
        span = float(start or 0), float(end or math.inf)
    except ValueError as error:
        raise ConfigError(f"{where}: start and end are seconds, not {start!r} and {end!r}") from error
    if not 0 <= span[0] < span[1]:
        raise ConfigError(f"{where}: the clip ends at {end} s, before it starts")
    return span


@dataclass(frozen=True, eq=False)
class EmbeddedClips:
    """Embedded clips and captions.

    Attributes:
        frames: embeddings of the frames of each clip in order of time, float32 [frames, dim], unit rows.
        texts: embeddings of the captions, float32 [captions, dim], unit rows.
        owners: index of each caption's clip, int64 [captions], ascending; every clip has at least one caption.
        videos: index of each clip's video, int64 [clips]. Clips of one video are not independent.
    """

    frames: tuple[FloatMatrix, ...]
    texts: FloatMatrix
    owners: NDArray[np.int64]
    videos: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.frames)

    def take(self, clips: NDArray[np.int64]) -> EmbeddedClips:
        """The clips of these distinct indices, in this order, with their captions."""
        rows = [np.flatnonzero(self.owners == clip) for clip in clips]
        owners = np.repeat(np.arange(len(rows)), [len(captions) for captions in rows])
        frames = tuple(self.frames[clip] for clip in clips)
        return EmbeddedClips(frames, self.texts[np.concatenate(rows)], owners, self.videos[clips])

    def split(self, share: float, seed: int) -> tuple[EmbeddedClips, EmbeddedClips]:
        """Split by videos at random; returns the clips to train on and those of `share` of the videos, at least two.

        Raises:
            ConfigError: there are too few videos.
        """
        videos = np.unique(self.videos)
        count = max(2, round(share * len(videos)))
        if len(videos) - count < 2:
            raise ConfigError(f"{len(videos)} videos are too few to hold out {count} of them")
        held_out = np.isin(self.videos, np.random.default_rng([seed, 1]).permutation(videos)[:count])
        return self.take(np.flatnonzero(~held_out)), self.take(np.flatnonzero(held_out))


def embed_clips(
    encoder: Encoder, folder: Path, clips: Sequence[Clip], *, progress: Progress | None = None
) -> tuple[EmbeddedClips, tuple[SkippedImage, ...]]:
    """Embed the frames of clips, as indexing samples them, and their captions.

    A clip without a sampled frame shows what the frame before it shows: sampling drops near-duplicates.

    Args:
        encoder: the model.
        folder: the folder of the videos.
        clips: those of a video together.
        progress: progress callback.

    Returns:
        The clips of the readable videos, and the videos that cannot be read.

    Raises:
        ConfigError: the folder is missing, or no video can be read.
        ModelError: the model fails.
    """
    if not folder.is_dir():
        raise ConfigError(f"the video folder {folder} does not exist")
    spans: dict[str, list[Clip]] = {}
    for clip in clips:
        spans.setdefault(clip.video, []).append(clip)
    frames: list[FloatMatrix] = []
    kept: list[Clip] = []
    videos: list[int] = []
    skipped: list[SkippedImage] = []
    for number, (video, own) in enumerate(spans.items()):
        try:
            positions_s, embeddings = _embed_video(encoder, folder / video, max(clip.end_s for clip in own))
        except ImageReadError as error:
            skipped.append(SkippedImage(video, error.reason))
        else:
            frames += [embeddings[_frames_within(positions_s, clip)] for clip in own]
            kept += own
            videos += [number] * len(own)
        if progress is not None:
            progress("videos", number + 1, len(spans))
    if not kept:
        raise ConfigError(f"none of the {len(spans)} videos could be read; {skipped[0].image}: {skipped[0].reason}")
    owners = np.repeat(np.arange(len(kept)), [len(clip.captions) for clip in kept])
    texts = embed_texts(encoder, [text for clip in kept for text in clip.captions], progress=progress)
    return EmbeddedClips(tuple(frames), texts, owners, np.array(videos, np.int64)), tuple(skipped)


def _embed_video(encoder: Encoder, path: Path, end_s: float) -> tuple[NDArray[np.float64], FloatMatrix]:
    """Times in seconds [frames] and embeddings [frames, dim] of a video's frames up to a second."""
    if not path.is_file():
        raise ImageReadError(path, "no such file or directory")
    reading = Reading(path, None, encoder.transform, None, 0, lambda stage: nullcontext(), lambda: None)
    positions: list[int] = []
    blocks: list[FloatMatrix] = []
    for part in read_video(reading):
        if len(part.pixels):
            positions += [segment.position for segment in part.segments]
            blocks.append(encoder.encode_pixels(part.pixels))
        if positions and positions[-1] > 1000 * end_s:
            break
    return np.array(positions) / 1000, np.concatenate(blocks)


def _frames_within(positions_s: NDArray[np.float64], clip: Clip) -> NDArray[np.int64]:
    inside = np.flatnonzero((positions_s >= clip.start_s) & (positions_s <= clip.end_s))
    if len(inside):
        return inside
    middle_s = (clip.start_s + min(clip.end_s, positions_s[-1])) / 2
    return np.maximum(np.searchsorted(positions_s, [middle_s], side="right") - 1, 0)
