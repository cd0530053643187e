"""What answers a query, best first, fetched in blocks and only as far as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile, ModelRecord
from clipsearch.media.segments import WHOLE_IMAGE, Segment
from clipsearch.retrieval.query_encoder import QueryVector
from clipsearch.retrieval.relevance.calibration import Assessment, Match, MinMatch
from clipsearch.retrieval.relevance.library_sample import LibrarySample
from clipsearch.retrieval.results import SearchOptions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clipsearch.vectors.index import Neighbors, Selection, VectorIndex

_ASSESSED = 500
"""Candidates that are assessed at least when weak matches are left out: the probability is not the score alone."""

_PASSING: dict[MinMatch, frozenset[Match]] = {
    "strong": frozenset({"strong"}),
    "possible": frozenset({"strong", "possible"}),
    "any": frozenset({"strong", "possible", "none"}),
}


@dataclass(frozen=True)
class RetrievalRequest:
    """What one search is about: without a direction, what passes the condition; else the nearest of that.

    Attributes:
        shown: which results are wanted.
        index: the library's vectors.
        revision: of the catalog, with which they agree.
        direction: what is looked for.
        condition: what files have to pass.
        within: ids of the embeddings of which a file passes, int64 [n]; ``None`` if all may answer, or if the index
            selects.
        selection: what passes, where the index tells by itself.
    """

    shown: SearchOptions
    index: VectorIndex
    revision: int
    direction: QueryVector | None = None
    condition: ColumnElement[bool] | None = None
    within: NDArray[np.int64] | None = None
    selection: Selection | None = None

    @cached_property
    def searched(self) -> int:
        """How many embeddings may answer."""
        if self.selection is not None:
            return len(self.selection)
        return len(self.index if self.within is None else self.within)

    def nearest(self, vector: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest of those to a direction, float32 [dim]."""
        if self.selection is not None:
            return self.selection.search(vector, k)
        return self.index.search(vector, k, within=self.within)

    @property
    def enough(self) -> int:
        """How many of the best have to be known."""
        return self.shown.offset + self.shown.k

    @property
    def own_ids(self) -> frozenset[int]:
        """Embeddings that answer nothing."""
        return self.direction.own_ids if self.direction is not None else frozenset()


@dataclass(frozen=True)
class Candidate:
    """A content that answers: how near it is, and what that is worth.

    Attributes:
        embedding_id: of the whole picture.
        score: cosine of its nearest embedding; ``None`` without anything to be near to.
        segment: what of it that embedding is of.
        nearest_id: that embedding; ``None`` for the whole's.
        assessment: of that embedding.
    """

    embedding_id: int
    score: float | None = None
    segment: Segment = WHOLE_IMAGE
    nearest_id: int | None = None
    assessment: Assessment | None = None


class CandidateFinder:
    """Finds what answers, in one library and one model's space."""

    def __init__(self, catalog: LazyCatalog, model: ModelRecord, background: LibrarySample) -> None:
        """Bind the parts."""
        self._catalog = catalog
        self._model = model
        self._background = background

    def blocks(self, sought: RetrievalRequest) -> Iterator[list[Candidate]]:
        """The contents that answer, in blocks; no block is looked for before it is asked for."""
        return self._newest(sought) if sought.direction is None else self._nearest(sought, sought.direction)

    def _nearest(self, sought: RetrievalRequest, direction: QueryVector) -> Iterator[list[Candidate]]:
        """The contents nearest to a direction, as far as they match as well as they have to."""
        has_minimum = sought.shown.min_match != "any"
        # every content has a file at least, so that so many contents are enough
        first = _ASSESSED if has_minimum else sought.enough + len(direction.own_ids)
        for block in self._ranked(sought, direction.vector, first):
            candidates = self.matching(sought, [item for item in block if item.embedding_id not in direction.own_ids])
            yield candidates
            if has_minimum and block and not candidates:
                return  # what is farther away matches even less

    def matching(self, sought: RetrievalRequest, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that match as well as they have to, assessed."""
        if sought.direction is None or sought.direction.words is None:
            return list(candidates)
        ids = [item.nearest_id or item.embedding_id for item in candidates]
        assessed = self._background.assess(
            sought.index, sought.revision, sought.direction.words, ids, searched=sought.searched
        )
        passing = _PASSING[sought.shown.min_match]
        found = [replace(item, assessment=assessed[row_id]) for item, row_id in zip(candidates, ids, strict=True)]
        return [item for item in found if item.assessment is not None and item.assessment.match in passing]

    def _newest(self, sought: RetrievalRequest) -> Iterator[list[Candidate]]:
        """The contents that pass the filter of a query without terms, the newest first or by path."""
        seen: set[int] = set()
        start, limit = 0, sought.enough
        while files := self.passing_files(sought, limit=limit, offset=start):
            new = dict.fromkeys(file.embedding_id for file in files if file.embedding_id not in seen)
            seen.update(new)
            yield [Candidate(row_id) for row_id in new]
            start += limit
            limit = start  # as many again

    def passing_files(self, sought: RetrievalRequest, *, limit: int, offset: int) -> list[FoundFile]:
        """The files that pass the filter of a query without terms, the newest first or by path."""
        assert sought.condition is not None, "a query has terms or a filter"
        by_path = sought.shown.sort == "path"
        store = self._catalog.store
        return store.files_where(self._model.id, sought.condition, by_path=by_path, limit=limit, offset=offset)

    def _ranked(
        self, sought: RetrievalRequest, vector: NDArray[np.float32], first_block: int
    ) -> Iterator[list[Candidate]]:
        """All contents that may answer, by their nearest embedding, in blocks that grow as more are asked for."""
        k = first_block
        given: set[int] = set()
        while True:
            found = sought.nearest(vector, k)
            ids = found.ids.tolist()
            wholes = self._catalog.parent_ids(ids)
            block: list[Candidate] = []
            for row_id, score in zip(ids, found.scores.tolist(), strict=True):
                whole_id, segment = wholes.get(row_id, (row_id, WHOLE_IMAGE))
                if whole_id not in given:
                    given.add(whole_id)
                    block.append(Candidate(whole_id, score, segment, row_id))
            yield block
            if k >= sought.searched:
                return
            k *= 2
