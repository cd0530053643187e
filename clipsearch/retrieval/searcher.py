"""Search: filter, nearest neighbors, files, grouping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile, ModelRecord
from clipsearch.catalog.volumes import is_online
from clipsearch.config import typed_path
from clipsearch.errors import EmptyLibraryError, QueryError, UnknownTextError
from clipsearch.media.box import Box
from clipsearch.media.segments import SegmentKind
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.media.tiling import tiles_of
from clipsearch.query import And, Filter, Query, hints, parse_query
from clipsearch.retrieval.candidates import Candidate, CandidateFinder, RetrievalRequest
from clipsearch.retrieval.filters import QueryFilters
from clipsearch.retrieval.hybrid.evidence import evidence_of
from clipsearch.retrieval.hybrid.finding import TextMatches, find_texts
from clipsearch.retrieval.moment_search import MomentFinder
from clipsearch.retrieval.moments import MatchCurve, moments_of, scores_of
from clipsearch.retrieval.picture_reference import Picture, embedding_starting, picture_term
from clipsearch.retrieval.query_encoder import QueryEncoder, QueryVector
from clipsearch.retrieval.relevance.library_sample import LibrarySample
from clipsearch.retrieval.reranking import reranked, reranking_head
from clipsearch.retrieval.results import LOOKS_LIKE, Evidence, ResultSegment, SearchOptions, SearchResult, SearchResults
from clipsearch.retrieval.source_files import files_of_content, files_of_result, load_original
from clipsearch.retrieval.stacking import Hit, StackMerger
from clipsearch.text import Notify
from clipsearch.vectors.engine import VectorEngine, library_engine
from clipsearch.vectors.index import SelectingIndex

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.retrieval.grouping import NearDuplicateFinder
    from clipsearch.vectors.index import VectorIndex


class Searcher:
    """The read side of one library and one model."""

    def __init__(
        self,
        catalog: LazyCatalog,
        model: ModelRecord,
        *,
        embedder: QueryEncoder,
        filters: QueryFilters,
        notify: Notify,
    ) -> None:
        """Bind the parts; nothing is loaded until the first query.

        Args:
            catalog: of the library.
            model: the model whose embeddings are searched.
            embedder: embeds queries with that model.
            filters: compiles the filters of queries.
            notify: callback for one-line user notices.
        """
        self._catalog = catalog
        self.model = model
        self._notify = notify
        self.embedder = embedder
        self._filters = filters
        self._sample = LibrarySample(model.spec, lambda: self.embedder.encoder)
        self._candidates = CandidateFinder(catalog, model, self._sample)
        self._index: tuple[VectorIndex, int] | None = None
        self._engine: VectorEngine | None = None
        self._versions: tuple[int, NearDuplicateFinder] | None = None

    def search(self, line: str, options: SearchOptions) -> SearchResults:
        """See `Library.search`."""
        query = parse_query(line)
        index, revision = self._current_index()
        texts = self._texts(query, options, pictures=len(index))
        offers = hints(query, date.today()) if texts is None or not texts.has_named else ()
        query_vector, notices = self._meaning(query, options)
        if query.terms and query_vector is None and texts is None:
            return self._with_notices([], (*notices, *offers))
        request = RetrievalRequest(options, index, revision, query_vector, texts=texts)
        results = self._results(self._filtered(request, _both(query.filter, options.filter)))
        return self._with_notices(results, (*notices, *offers))

    def _texts(self, query: Query, options: SearchOptions, *, pictures: int) -> TextMatches | None:
        """What the words of a query find literally; ``None`` for nothing."""
        if options.by == "meaning" or not query.terms:
            return None
        alone = options.by == "text"
        texts = find_texts(self._catalog.full_text, query, model_id=self.model.id, pictures=pictures, common=alone)
        return texts if texts.matches else None

    def _meaning(self, query: Query, options: SearchOptions) -> tuple[QueryVector | None, Sequence[str]]:
        """The vector of a query that is searched by meaning, and notices for the user."""
        if options.by == "text" or not query.terms:
            return None, ()
        try:
            query_vector = self.query_vector_of(query)
        except UnknownTextError as error:
            return None, (str(error),)
        if query_vector.words is None and options.min_match != "any":
            raise QueryError("--min-match works only with text queries")
        return query_vector, query_vector.notices

    def similar(
        self,
        pictures: Sequence[Picture],
        options: SearchOptions,
        *,
        box: Box | None = None,
        at_s: float | None = None,
    ) -> list[SearchResult]:
        """See `Library.similar`."""
        if options.min_match != "any":
            raise QueryError("--min-match works only with text queries")
        filter_ = options.filter
        index, revision = self._current_index()
        request = RetrievalRequest(options, index, revision, self.embedder.of_pictures(pictures, box=box, at_s=at_s))
        return self._results(self._filtered(request, filter_))

    def versions_of(self, content_hash: str) -> list[Path]:
        """See `Library.duplicates.versions_of`."""
        index, revision = self._current_index()
        row_id, _ = embedding_starting(self._catalog.store, self.model, content_hash)
        versions = self._version_finder(index, revision).versions([row_id])[row_id]
        files = self._catalog.files_of(sorted(versions))
        return sorted(file.path for copies in files.values() for file in copies)

    def load_picture(self, picture: SearchResult | Path | str, *, min_side: int) -> tuple[Image.Image, bool]:
        """Decode the picture of a result, a file or a content hash ``~#…``; also whether it is only a preview.

        Raises:
            QueryError: the hash is unknown or ambiguous.
            ImageReadError: the picture cannot be read.
        """
        library = self._catalog.directory
        if isinstance(picture, SearchResult):
            at_s = picture.segment.at_s if picture.segment.kind == SegmentKind.FRAME else None
            return load_original(library, files_of_result(picture), min_side=min_side, at_s=at_s)
        digits = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digits is None:
            from clipsearch.media.loading import load_picture

            return load_picture(typed_path(picture), min_side=min_side), False
        row_id, _ = embedding_starting(self._catalog.store, self.model, digits)
        files = files_of_content(self._catalog, self._catalog.files_of([row_id]).get(row_id, []))
        return load_original(library, files, min_side=min_side)

    def match_curve(self, content_hash: str, line: str) -> MatchCurve:
        """See `Library.browse.match_curve`."""
        row_id, _ = embedding_starting(self._catalog.store, self.model, content_hash)
        frames = self._catalog.frames_of([row_id], dim=self.model.dim).get(row_id)
        if frames is None:
            return MatchCurve()
        times_s = tuple(float(position) / 1000 for position in frames.positions.tolist())
        query = parse_query(line) if line.strip() else Query()
        if not query.terms:
            return MatchCurve(times_s)
        vector = self.query_vector_of(query).vector
        file = next(iter(self._catalog.files_of([row_id]).get(row_id, [])), None)
        duration_ms = (file.duration_ms if file is not None else None) or int(frames.positions[-1])
        scores = tuple(scores_of(frames, vector).tolist())
        return MatchCurve(times_s, scores, tuple(moments_of(frames, vector, duration_ms)))

    def _with_notices(self, results: list[SearchResult], notices: Sequence[str]) -> SearchResults:
        for notice in notices:
            self._notify(notice)
        return SearchResults(results, notices=notices)

    def query_vector_of(self, query: Query) -> QueryVector:
        """Embed a query that has terms."""
        return self.embedder.of_query(query, prompt_ensemble=self._sample.calibration.prompt_ensemble)

    def _current_index(self) -> tuple[VectorIndex, int]:
        """The vector index at the current catalog revision, and that revision."""
        revision, engine = self._catalog.revision(), library_engine(self._catalog.directory)
        if self._engine != engine:
            self._engine, self._index, self._versions = engine, None, None
        if self._index is None or self._index[1] != revision:
            saved = engine.saved(self._catalog.directory, self.model, revision)
            if saved is not None:
                self._index = saved, revision
            else:
                self._index = engine.current(self._catalog.store, self.model, notify=self._notify)
        if len(self._index[0]) == 0:
            raise EmptyLibraryError
        return self._index

    def _filtered(self, request: RetrievalRequest, filter_: Filter | None) -> RetrievalRequest:
        """The request restricted to files that pass a filter."""
        if filter_ is None:
            return request
        condition = self._filters.condition(filter_)
        if request.options.group != "duplicates":
            if request.query_vector is None:
                return replace(request, condition=condition)
            if isinstance(request.index, SelectingIndex):
                selection = request.index.select(filter_, self._catalog.root_places())
                if selection is not None:
                    return replace(request, condition=condition, selection=selection)
        within = self._catalog.store.embedding_ids_where(self.model.id, condition)
        return replace(request, condition=condition, within=within)

    def _version_finder(self, index: VectorIndex, revision: int) -> NearDuplicateFinder:
        """The finder for this revision, which caches what it found."""
        from clipsearch.retrieval.grouping import NearDuplicateFinder

        if self._versions is None or self._versions[0] != revision:
            random_cosine = self._sample.random_cosine(index, revision)
            finder = NearDuplicateFinder(self._catalog.store, self.model, index, random_cosine=random_cosine)
            self._versions = revision, finder
        return self._versions[1]

    def _results(self, request: RetrievalRequest) -> list[SearchResult]:
        page = self._page(request)
        if request.query_vector is not None:
            finder = MomentFinder(self._catalog, self.model, request.query_vector.vector)
            page = [(rank, finder.with_best(hit)) for rank, hit in page]
        root_ids = {item.files[0].root_id for _, item in page}
        online = {root.id for root in self._catalog.root_places() if root.id in root_ids and is_online(root)}
        reasons = self._reasons(request, [item for _, item in page])
        return [self._result(rank, item, online, why) for (rank, item), why in zip(page, reasons, strict=True)]

    def _reasons(self, request: RetrievalRequest, hits: Sequence[Hit]) -> list[tuple[Evidence, ...]]:
        """Why each hit is a result."""
        is_by_words = request.query_vector is not None and request.query_vector.words is not None
        by_meaning = (LOOKS_LIKE,) if is_by_words else ()
        texts = request.texts
        with_text = [hit for hit in hits if hit.candidate.text_strength]
        if texts is None or not with_text:
            return [by_meaning for _ in hits]
        originals = self._catalog.full_text.originals([hit.files[0].content_hash for hit in with_text])
        roots = {root.id: root.path for root in self._catalog.root_places()}
        reasons: list[tuple[Evidence, ...]] = []
        for hit in hits:
            of_content = originals.get(hit.files[0].content_hash)
            literal = evidence_of(texts.words, of_content, hit.files, roots) if of_content is not None else ()
            assessment = hit.candidate.assessment
            looks_like = not literal or (assessment is not None and assessment.match != "none")
            reasons.append((*literal, *(by_meaning if looks_like else ())))
        return reasons

    def _page(self, request: RetrievalRequest) -> list[tuple[int, Hit]]:
        """The requested results with their ranks, in display order."""
        options = request.options
        if options.sort == "score" or not request.is_ranked:  # filters only: already in order
            return list(enumerate(self._hits(request), start=options.offset + 1))
        best = options if options.sort_window is None else replace(options, k=options.sort_window, offset=0)
        page = list(enumerate(self._hits(replace(request, options=best)), start=best.offset + 1))
        if options.sort == "path":
            page.sort(key=lambda item: item[1].files[0].path)
        else:
            page.sort(key=lambda item: _newest_first(item[1].files[0]))
        return page if options.sort_window is None else page[options.offset : request.last_rank]

    def _hits(self, request: RetrievalRequest) -> list[Hit]:
        """The page of results."""
        options = request.options
        if options.group == "none" and not request.is_ranked:
            files = self._candidates.passing_files(request, limit=options.k, offset=options.offset)
            return [Hit(Candidate(file.embedding_id), [file]) for file in files]
        return list(islice(self._ranked_hits(request), options.offset, request.last_rank))

    def _ranked_hits(self, request: RetrievalRequest) -> Iterator[Hit]:
        """All results, best first, grouped as requested."""
        hits = self._grouped_hits(request)
        if request.query_vector is None:
            return hits
        if not request.options.moments:
            return self._reranked(hits, request.query_vector)
        finder = MomentFinder(self._catalog, self.model, request.query_vector.vector)
        return finder.expanded(hits, partial(self._candidates.matching, request))

    def _reranked(self, hits: Iterator[Hit], query_vector: QueryVector) -> Iterator[Hit]:
        """The hits, re-ranked if the query is of words and the model has a head for it."""
        heads = reranking_head(self.embedder.encoder) if query_vector.words is not None else None
        if heads is None or query_vector.words is None:
            return hits
        return reranked(hits, heads, query_vector.words, catalog=self._catalog, dim=self.model.dim)

    def _grouped_hits(self, request: RetrievalRequest) -> Iterator[Hit]:
        group = request.options.group
        if group == "duplicates":
            hits = self._grouped(request)
        elif group == "copies":
            hits = self._each_content(request)
        else:
            hits = self._each_file(request)
        if group == "none":
            return hits
        merger = StackMerger(
            self._catalog,
            self.model.id,
            condition=request.condition,
            excluded=request.own_ids,
            with_copies=group != "stacks",
        )
        return merger.merged(hits, count=request.last_rank)

    def _each_file(self, request: RetrievalRequest) -> Iterator[Hit]:
        """A result for each file."""
        if not request.is_ranked:
            start, limit = 0, request.last_rank
            while found := self._candidates.passing_files(request, limit=limit, offset=start):
                yield from (Hit(Candidate(file.embedding_id), [file]) for file in found)
                start, limit = start + limit, start + limit
        else:
            for hit in self._each_content(request):
                yield from (Hit(hit.candidate, [file]) for file in hit.files)

    def _each_content(self, request: RetrievalRequest) -> Iterator[Hit]:
        """A result for each content."""
        for block in self._candidates.blocks(request):
            files = self._catalog.files_of([candidate.embedding_id for candidate in block], request.condition)
            # another process may have removed a content meanwhile
            yield from (Hit(item, files[item.embedding_id]) for item in block if item.embedding_id in files)

    def _grouped(self, request: RetrievalRequest) -> Iterator[Hit]:
        """A result for all versions of a photo."""
        from clipsearch.retrieval.grouping import group_versions

        candidates: dict[int, Candidate] = {}

        def ranked() -> Iterator[int]:
            for block in self._candidates.blocks(request):
                candidates.update((candidate.embedding_id, candidate) for candidate in block)
                yield from (candidate.embedding_id for candidate in block)

        finder = self._version_finder(request.index, request.revision)
        grouping = group_versions(
            ranked(), finder, count=request.last_rank, within=request.within, excluded=request.own_ids
        )
        while groups := list(islice(grouping, request.last_rank)):
            versions = [Candidate(row_id) for group in groups for row_id in group.versions]
            matching = {candidate.embedding_id for candidate in self._candidates.matching(request, versions)}
            files = self._catalog.files_of([*(group.first for group in groups), *matching], request.condition)
            for group in groups:
                if group.first in files:  # another process may have removed it meanwhile
                    copies = [file for row_id in group.versions if row_id in matching for file in files.get(row_id, [])]
                    yield Hit(candidates[group.first], files[group.first], copies)

    def _result(self, rank: int, item: Hit, online: set[int], matched: tuple[Evidence, ...]) -> SearchResult:
        first, assessment, segment = item.files[0], item.candidate.assessment, item.candidate.segment
        return SearchResult(
            path=first.path,
            score=item.candidate.score,
            rank=rank,
            width=first.width,
            height=first.height,
            format=first.format,
            content_hash=first.content_hash,
            taken_at=first.taken_at,
            online=first.root_id in online,
            thumbnail=existing_thumbnail(self._catalog.directory, first.content_hash),
            match=assessment.match if assessment else None,
            probability=assessment.probability if assessment else None,
            copies=tuple(file.path for file in item.files[1:]),
            near_duplicates=tuple(sorted(file.path for file in item.versions)),
            stack=item.stack,
            taken_source=first.taken_source,
            taken_precision=first.taken_precision,
            latitude=first.latitude,
            longitude=first.longitude,
            position_source=first.position_source,
            place=first.place,
            part=tiles_of(first.width, first.height)[segment.position] if segment.kind == SegmentKind.TILE else None,
            matched=matched,
            segment=_result_segment(item),
            duration_s=first.duration_ms / 1000 if first.duration_ms is not None else None,
        )


def _result_segment(hit: Hit) -> ResultSegment:
    """What of the shown file matches; of a video without a query vector all of it."""
    duration_ms, kind, moment = hit.files[0].duration_ms, hit.candidate.segment.kind, hit.candidate.moment
    if duration_ms is None:
        return ResultSegment(kind)
    kind = SegmentKind.FRAME if kind == SegmentKind.FRAME else SegmentKind.VIDEO
    if moment is None:
        return ResultSegment(kind, 0.0, duration_ms / 1000, 0.0)
    return ResultSegment(kind, moment.start_ms / 1000, moment.end_ms / 1000, moment.at_ms / 1000)


def _both(first: Filter | None, second: Filter | None) -> Filter | None:
    """The conjunction of two optional filters."""
    parts = [part for part in (first, second) if part is not None]
    return And(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _newest_first(file: FoundFile) -> tuple[bool, float, Path]:
    """Sort key: the newest first, files without a date last."""
    if file.taken_at is None:
        return True, 0.0, file.path
    return False, -(file.taken_at - datetime.min).total_seconds(), file.path
