"""Moments: the spans of a video in which its frames match a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import FrameEmbeddings

_CLOSE = 0.5
"""Share of the best frame's lead over the mean of all frames that a neighboring frame must have to be in its span."""

_EQUAL = 0.2
"""Share of the lead by which a moment may be behind the best one and still match about as well."""

_CONTEXT_MS, _CONTEXT_COSINE = 4000, 0.15
"""How far the context of a frame reaches: in time, and in cosine below 1; both as the width of a kernel."""

_CONTEXT_ROWS = 256
"""Frames whose contexts are computed at once."""

_ALIKE = 0.95
"""Cosine to the best frame above which a neighboring frame is in its span, whatever its score."""


@dataclass(frozen=True)
class Moment:
    """A span of a video that matches, in milliseconds from its start.

    Attributes:
        start_ms: of its first frame.
        end_ms: of the frame after its last one, or the end of the video.
        at_ms: of the frame that matches best.
        score: cosine similarity of that frame in its context.
        frame_id: id of its embedding.
    """

    start_ms: int
    end_ms: int
    at_ms: int
    score: float
    frame_id: int


@dataclass(frozen=True)
class MatchCurve:
    """How well a video matches a query over time.

    Attributes:
        times_s: of its embedded frames, in seconds, ascending; none of a photo.
        scores: cosine similarity of each in its context; none if the query has no terms.
        moments: that match, best first; none if the query has no terms.
    """

    times_s: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    moments: tuple[Moment, ...] = ()


def scores_of(frames: FrameEmbeddings, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine similarities of a query and the frames of a video, each in its context: float32 [frames].

    What a single frame looks like to a model is noisy: a video has many frames, and the best of many noisy scores is
    too high. A frame is therefore compared as the normalized mean of the frames around it, weighted by how near they
    are in time and how alike, so that nothing is mixed over a cut.

    Source: Tomasi and Manduchi 1998, "Bilateral Filtering for Gray and Color Images", over time instead of an image.

    Args:
        frames: of the video, at least one.
        query: float32 [dim], unit length.
    """
    vectors, positions = frames.vectors.astype(np.float32), frames.positions.astype(np.float32)
    scores = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _CONTEXT_ROWS):
        block = slice(start, start + _CONTEXT_ROWS)
        reach = positions[block][[0, -1]] + np.array([-3 * _CONTEXT_MS, 3 * _CONTEXT_MS])
        near = slice(*np.searchsorted(positions, reach).tolist())
        distances = ((positions[block, None] - positions[near]) / _CONTEXT_MS) ** 2
        weights = np.exp((vectors[block] @ vectors[near].T - 1) / _CONTEXT_COSINE - distances)
        in_context = weights @ vectors[near]
        scores[block] = in_context @ query / np.linalg.norm(in_context, axis=1)
    return scores


def moments_of(frames: FrameEmbeddings, query: NDArray[np.float32], duration_ms: int) -> list[Moment]:
    """The moments of a video, best first; none overlaps another.

    A span is the run of neighboring frames around the best one whose score (`scores_of`) has at least half of its lead
    over the mean of all frames, or that look like it. Around it, frames belong to no other moment as long as their
    scores fall: a moment begins where the curve rises again by half a lead. Moments that match about as well as the
    best one come first in the order of time.

    Args:
        frames: of the video, at least one.
        query: float32 [dim], unit length.
        duration_ms: of the video.
    """
    vectors, scores = frames.vectors.astype(np.float32), scores_of(frames, query)
    lead = float(scores.max() - scores.mean())
    ends = np.append(frames.positions[1:], max(duration_ms, int(frames.positions[-1]) + 1))
    is_free = np.ones(len(scores), dtype=bool)
    moments: list[Moment] = []
    for peak in np.argsort(-scores, kind="stable").tolist():
        if not is_free[peak]:
            continue
        is_close = (scores >= scores[peak] - _CLOSE * lead) | (vectors @ vectors[peak] >= _ALIKE)
        first, last = (_run(is_close & is_free, peak, step) for step in (-1, 1))
        for step in (-1, 1):
            is_free[_slope(scores, is_free, peak, step, _CLOSE * lead)] = False
        is_free[first : last + 1] = False
        span = int(frames.positions[first]), int(ends[last]), int(frames.positions[peak])
        moments.append(Moment(*span, float(scores[peak]), int(frames.ids[peak])))
    equal = sum(moment.score >= moments[0].score - _EQUAL * lead for moment in moments)
    return sorted(moments[:equal], key=lambda moment: moment.start_ms) + moments[equal:]


def _run(is_in: NDArray[np.bool_], peak: int, step: int) -> int:
    """The last of the consecutive places from a peak in one direction that are in."""
    place = peak
    while 0 <= place + step < len(is_in) and is_in[place + step]:
        place += step
    return place


def _slope(scores: NDArray[np.float32], is_free: NDArray[np.bool_], peak: int, step: int, rise: float) -> list[int]:
    """The places from a peak in one direction up to where the scores have risen again by more than `rise`."""
    places, lowest, place = [peak], float(scores[peak]), peak + step
    while 0 <= place < len(scores) and is_free[place] and scores[place] <= lowest + rise:
        lowest = min(lowest, float(scores[place]))
        places.append(place)
        place += step
    return places
