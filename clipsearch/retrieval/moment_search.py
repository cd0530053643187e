"""The moments of the videos among search results."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.media.segments import Segment, SegmentKind
from clipsearch.retrieval.candidates import Candidate
from clipsearch.retrieval.moments import Moment, moments_of
from clipsearch.retrieval.stacking import Hit


class MomentFinder:
    """Finds the moments of videos that match one query."""

    def __init__(self, catalog: LazyCatalog, model: ModelRecord, query: NDArray[np.float32]) -> None:
        """Bind the parts; `query` is float32 [dim], unit length."""
        self._catalog = catalog
        self._model = model
        self._query = query

    def of_hit(self, hit: Hit) -> list[Moment]:
        """The moments of a hit, best first; none of a picture."""
        duration_ms = hit.files[0].duration_ms
        if duration_ms is None:
            return []
        row_id = hit.candidate.embedding_id
        frames = self._catalog.frames_of([row_id], dim=self._model.dim).get(row_id)
        return moments_of(frames, self._query, duration_ms) if frames is not None else []

    def with_best(self, hit: Hit) -> Hit:
        """A hit with its best moment, if it is a video."""
        if hit.candidate.moment is not None:
            return hit
        moments = self.of_hit(hit)
        return replace(hit, candidate=replace(hit.candidate, moment=moments[0])) if moments else hit

    def expanded(
        self, hits: Iterable[Hit], matching: Callable[[Sequence[Candidate]], list[Candidate]]
    ) -> Iterator[Hit]:
        """The hits and, as hits of their own by their scores, the further moments of videos.

        Args:
            hits: best first.
            matching: returns those candidates that match well enough, with their assessments.
        """
        waiting: list[tuple[float, int, Hit]] = []
        order = count()
        for hit in hits:
            score = hit.candidate.score or 0.0
            while waiting and -waiting[0][0] > score:
                yield heapq.heappop(waiting)[2]
            moments = self.of_hit(hit)
            yield replace(hit, candidate=replace(hit.candidate, moment=next(iter(moments), None)))
            further = [
                replace(
                    hit.candidate,
                    score=min(moment.score, score),
                    segment=Segment(SegmentKind.FRAME, moment.at_ms),
                    nearest_id=moment.frame_id,
                    moment=moment,
                )
                for moment in moments[1:]
            ]
            for candidate in matching(further):
                heapq.heappush(waiting, (-(candidate.score or 0.0), next(order), replace(hit, candidate=candidate)))
        while waiting:
            yield heapq.heappop(waiting)[2]
