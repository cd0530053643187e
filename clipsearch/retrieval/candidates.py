"""Ranked candidates of a query, fetched lazily in blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile, FrameEmbeddings, ModelRecord
from clipsearch.media.segments import WHOLE_IMAGE, WHOLE_VIDEO, Segment, SegmentKind
from clipsearch.retrieval.hybrid.finding import TextMatches
from clipsearch.retrieval.hybrid.fusion import DEPTH, fused_order
from clipsearch.retrieval.moments import Moment, scores_of
from clipsearch.retrieval.query_encoder import QueryVector
from clipsearch.retrieval.relevance.calibration import Assessment, Match, MinMatch
from clipsearch.retrieval.relevance.library_sample import LibrarySample
from clipsearch.retrieval.results import SearchOptions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clipsearch.vectors.index import Neighbors, Selection, VectorIndex

FEWEST_AT_ONCE = 16
"""Candidates to look at together at least: stacks are merged in such parts, and a second block costs another search."""

_MIN_ASSESSED = 500
"""Minimum candidates to assess if weak matches are excluded: the probability does not depend on the score alone."""

_PASSING: dict[MinMatch, frozenset[Match]] = {
    "strong": frozenset({"strong"}),
    "possible": frozenset({"strong", "possible"}),
    "any": frozenset({"strong", "possible", "none"}),
}


@dataclass(frozen=True)
class RetrievalRequest:
    """One search: the nearest neighbors of a query vector, or without one all files that pass the condition.

    Attributes:
        options: which results to return.
        index: the library's vectors.
        revision: catalog revision of the index.
        query_vector: ``None`` for a query of filters only.
        condition: SQL condition on files.
        within: ids of the embeddings with a file that passes, int64 [n]; ``None`` for all, or if the index selects.
        selection: the embeddings that pass, if the index evaluates the filter itself.
        texts: the pictures whose texts have words of the query; ``None`` if there are none.
    """

    options: SearchOptions
    index: VectorIndex
    revision: int
    query_vector: QueryVector | None = None
    condition: ColumnElement[bool] | None = None
    within: NDArray[np.int64] | None = None
    selection: Selection | None = None
    texts: TextMatches | None = None

    @property
    def is_ranked(self) -> bool:
        """Whether the query has more than filters."""
        return self.query_vector is not None or self.texts is not None

    @cached_property
    def searched(self) -> int:
        """Number of embeddings that pass the filter."""
        if self.selection is not None:
            return len(self.selection)
        return len(self.index if self.within is None else self.within)

    def nearest(self, vector: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest embeddings that pass the filter, for a vector float32 [dim]."""
        if self.selection is not None:
            return self.selection.search(vector, k)
        return self.index.search(vector, k, within=self.within)

    @property
    def last_rank(self) -> int:
        """Rank of the last result to return."""
        return self.options.offset + self.options.k

    @property
    def own_ids(self) -> frozenset[int]:
        """Embeddings of the query's own pictures, which are no results."""
        return self.query_vector.own_ids if self.query_vector is not None else frozenset()


@dataclass(frozen=True)
class Candidate:
    """A content that may become a result.

    Attributes:
        embedding_id: of the whole picture.
        score: cosine similarity of its nearest embedding, of a video's frame in its context; ``None`` for filters only.
        segment: segment of the nearest embedding.
        nearest_id: id of the nearest embedding; ``None`` for the whole picture's.
        assessment: of the nearest embedding.
        text_strength: of `clipsearch.retrieval.hybrid.finding.TextMatch`; 0 if no text has a word of the query.
        moment: of a video, once it was looked for.
    """

    embedding_id: int
    score: float | None = None
    segment: Segment = WHOLE_IMAGE
    nearest_id: int | None = None
    assessment: Assessment | None = None
    text_strength: float = 0.0
    moment: Moment | None = None


class CandidateFinder:
    """Finds candidates in one library and one model's embedding space."""

    def __init__(self, catalog: LazyCatalog, model: ModelRecord, sample: LibrarySample) -> None:
        """Bind the parts."""
        self._catalog = catalog
        self._model = model
        self._sample = sample

    def blocks(self, request: RetrievalRequest) -> Iterator[list[Candidate]]:
        """Candidates, best first, in blocks that are computed on demand."""
        if request.texts is not None:
            return self._by_text(request, request.texts)
        return self._newest(request) if request.query_vector is None else self._nearest(request, request.query_vector)

    def _by_text(self, request: RetrievalRequest, texts: TextMatches) -> Iterator[list[Candidate]]:
        """Candidates by text, and by meaning if there is a query vector."""
        strengths = {
            match.embedding_id: max(match.strength, float(match.is_named))
            for match in texts.matches
            if match.embedding_id not in request.own_ids
        }
        if request.query_vector is None:
            yield [Candidate(row_id, text_strength=strength) for row_id, strength in strengths.items()]
            return
        ranked = self._ranked(request, request.query_vector.vector, DEPTH)
        nearest = {item.embedding_id: item for item in next(ranked, []) if item.embedding_id not in request.own_ids}
        below = self._of_ids(request, request.query_vector, sorted(strengths.keys() - nearest.keys()))
        candidates = nearest | {item.embedding_id: item for item in below}
        order = fused_order(list(candidates), [match for match in texts.matches if match.embedding_id in candidates])
        fused = [replace(candidates[row_id], text_strength=strengths.get(row_id, 0.0)) for row_id in order]
        part = max(request.last_rank, FEWEST_AT_ONCE)
        for start in range(0, len(fused), part):  # in parts: assessing takes longer than all else
            yield self.matching(request, fused[start : start + part], kept=strengths.keys())
        yield from self._matching_blocks(request, ranked, excluded=candidates.keys() | request.own_ids)

    def _of_ids(self, request: RetrievalRequest, query_vector: QueryVector, ids: Sequence[int]) -> list[Candidate]:
        """Candidates of given whole pictures, best first."""
        if not ids:
            return []
        within = np.array(ids, dtype=np.int64)
        if request.within is not None:
            within = within[np.isin(within, request.within)]
        neighbors = request.index.search(query_vector.vector, len(within), within=within)
        scores = zip(neighbors.ids.tolist(), neighbors.scores.tolist(), strict=True)
        return [Candidate(row_id, score) for row_id, score in scores]

    def _nearest(self, request: RetrievalRequest, query_vector: QueryVector) -> Iterator[list[Candidate]]:
        # every content has at least one file, so this many contents are enough
        enough = max(request.last_rank, FEWEST_AT_ONCE) + len(request.own_ids)
        first_block = _MIN_ASSESSED if request.options.min_match != "any" else enough
        ranked = self._ranked(request, query_vector.vector, first_block)
        return self._matching_blocks(request, ranked, excluded=request.own_ids)

    def _matching_blocks(
        self, request: RetrievalRequest, blocks: Iterator[list[Candidate]], *, excluded: Set[int]
    ) -> Iterator[list[Candidate]]:
        """The candidates of blocks, best first, that match well enough and are not excluded."""
        for block in blocks:
            candidates = self.matching(request, [item for item in block if item.embedding_id not in excluded])
            yield candidates
            if request.options.min_match != "any" and block and not candidates:
                return  # later blocks match even less

    def matching(
        self, request: RetrievalRequest, candidates: Sequence[Candidate], *, kept: Collection[int] = ()
    ) -> list[Candidate]:
        """The candidates that reach `SearchOptions.min_match` or are among `kept`, with their assessments."""
        if request.query_vector is None or request.query_vector.words is None:
            return list(candidates)
        ids = [item.nearest_id or item.embedding_id for item in candidates]
        assessments = self._sample.assess(
            request.index, request.revision, request.query_vector.words, ids, searched=request.searched
        )
        passing = _PASSING[request.options.min_match]
        return [
            replace(item, assessment=assessments[row_id])
            for item, row_id in zip(candidates, ids, strict=True)
            if assessments[row_id].match in passing or item.embedding_id in kept
        ]

    def _newest(self, request: RetrievalRequest) -> Iterator[list[Candidate]]:
        """Candidates of a query of filters only, the newest first or by path."""
        seen: set[int] = set()
        start, limit = 0, request.last_rank
        while files := self.passing_files(request, limit=limit, offset=start):
            new = dict.fromkeys(file.embedding_id for file in files if file.embedding_id not in seen)
            seen.update(new)
            yield [Candidate(row_id) for row_id in new]
            start += limit
            limit = start

    def passing_files(self, request: RetrievalRequest, *, limit: int, offset: int) -> list[FoundFile]:
        """The files that pass the condition of a query of filters only, the newest first or by path."""
        assert request.condition is not None, "a query has terms or a filter"
        by_path = request.options.sort == "path"
        store = self._catalog.store
        return store.files_where(self._model.id, request.condition, by_path=by_path, limit=limit, offset=offset)

    def _ranked(
        self, request: RetrievalRequest, vector: NDArray[np.float32], first_block: int
    ) -> Iterator[list[Candidate]]:
        """Contents by their scores, in blocks that double k.

        A video scores at most what its nearest embedding does: it waits for the block behind which none can be better.
        """
        k = first_block
        seen: set[int] = set()
        waiting: list[Candidate] = []
        while True:
            neighbors = request.nearest(vector, k)
            ids = neighbors.ids.tolist()
            parents = self._catalog.parent_ids(ids)
            block: list[Candidate] = []
            for row_id, score in zip(ids, neighbors.scores.tolist(), strict=True):
                parent_id, segment = parents.get(row_id, (row_id, WHOLE_IMAGE))
                if parent_id not in seen:
                    seen.add(parent_id)
                    block.append(Candidate(parent_id, score, segment, row_id))
            is_last = k >= request.searched
            waiting += self._with_scores_in_context(request, vector, block)
            waiting.sort(key=lambda item: -(item.score or 0.0))
            ready = [item for item in waiting if is_last or (item.score or 0.0) >= neighbors.scores[-1]]
            yield ready
            if is_last:
                return
            waiting = waiting[len(ready) :]
            k *= 2

    def _with_scores_in_context(
        self, request: RetrievalRequest, vector: NDArray[np.float32], block: list[Candidate]
    ) -> list[Candidate]:
        """The candidates, those that are found by a frame with the score of their best frame in its context, or of
        the whole if that is better."""
        videos = [item.embedding_id for item in block if item.segment.kind == SegmentKind.FRAME]
        if not videos:
            return block
        frames = self._catalog.frames_of(videos, dim=self._model.dim)
        wholes = request.index.vectors(np.array(videos, dtype=np.int64)) @ vector
        of_whole = dict(zip(videos, wholes.tolist(), strict=True))
        return [
            _in_context(item, frames[item.embedding_id], vector, of_whole[item.embedding_id])
            if item.embedding_id in frames
            else item
            for item in block
        ]


def _in_context(
    candidate: Candidate, frames: FrameEmbeddings, vector: NDArray[np.float32], of_whole: float
) -> Candidate:
    """A video by its best frame in its context or, if that is better, by its whole."""
    scores = scores_of(frames, vector)
    best = int(scores.argmax())
    if of_whole >= scores[best]:
        return replace(candidate, score=of_whole, segment=WHOLE_VIDEO, nearest_id=candidate.embedding_id)
    segment = Segment(SegmentKind.FRAME, int(frames.positions[best]))
    # an index that rounds may give less than the frames do, and what waits is not to be better than what it waited for
    score = min(float(scores[best]), candidate.score or 0.0)
    return replace(candidate, score=score, segment=segment, nearest_id=int(frames.ids[best]))
