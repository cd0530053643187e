"""Re-ranking of videos that match as a whole, by the tight head of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.media.segments import SegmentKind
from clipsearch.models.video_heads import HasVideoHeads, VideoHeads
from clipsearch.retrieval.stacking import Hit

_DEPTH = 50
"""Results whose videos are re-ranked."""


def reranking_head(encoder: object) -> VideoHeads | None:
    """The heads of a model whose tight head re-ranks; ``None`` of all others."""
    heads = encoder.video_heads if isinstance(encoder, HasVideoHeads) else None
    return heads if heads is not None and heads.spec.reranking == "tight" else None


def reranked(
    hits: Iterable[Hit], heads: VideoHeads, words: NDArray[np.float32], *, catalog: LazyCatalog, dim: int
) -> Iterator[Hit]:
    """Hits, of which those of whole videos among the first are in the order of the tight head's scores.

    Every other hit keeps its rank: pictures have no such score, and a video that is found by a frame matches at a
    moment, not as a whole.

    Source: Luo et al. 2021, CLIP4Clip (arXiv 2104.08860), §3.3, tight type.

    Args:
        hits: best first.
        heads: see `reranking_head`.
        words: the embedding of the query's words, float32 [dim], unit length.
        catalog: has the frames.
        dim: embedding dimension.

    Raises:
        ModelError: the head is missing or damaged.
    """
    hits = iter(hits)
    first = list(islice(hits, _DEPTH))
    ids = [hit.candidate.embedding_id for hit in first if _matches_as_a_whole(hit)]
    frames = catalog.frames_of(ids, dim=dim) if len(ids) > 1 else {}
    if frames:
        scores = heads.scores(words, [found.vectors.astype(np.float32) for found in frames.values()])
        score_of = dict(zip(frames, scores.tolist(), strict=True))
        places = [place for place, hit in enumerate(first) if hit.candidate.embedding_id in score_of]
        videos = sorted((first[place] for place in places), key=lambda hit: -score_of[hit.candidate.embedding_id])
        for place, hit in zip(places, videos, strict=True):
            first[place] = hit
    yield from first
    yield from hits


def _matches_as_a_whole(hit: Hit) -> bool:
    return hit.files[0].duration_ms is not None and hit.candidate.segment.kind != SegmentKind.FRAME
