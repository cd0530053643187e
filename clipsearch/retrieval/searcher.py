"""From a query to ranked files: select by its filter, find the nearest vectors, fetch their files, group them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile, ModelRecord
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import QueryError
from clipsearch.media.box import Box
from clipsearch.media.decoding import load_image
from clipsearch.media.segments import SegmentKind
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.media.tiling import tiles_of
from clipsearch.query import And, Filter, Query, parse_query
from clipsearch.retrieval.candidates import Candidate, CandidateFinder, RetrievalRequest
from clipsearch.retrieval.filters import QueryFilters
from clipsearch.retrieval.picture_reference import Picture, embedding_starting, picture_term
from clipsearch.retrieval.query_encoder import QueryEncoder, QueryVector
from clipsearch.retrieval.relevance.library_sample import LibrarySample
from clipsearch.retrieval.results import SearchOptions, SearchResult
from clipsearch.retrieval.source_files import files_of_content, files_of_result, load_original
from clipsearch.vectors.engine import MilvusEngine, library_engine
from clipsearch.vectors.index import SelectingIndex
from clipsearch.vectors.sync import current_index, saved_index

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.retrieval.grouping import NearDuplicateFinder
    from clipsearch.vectors.index import VectorIndex


@dataclass(frozen=True)
class _Found:
    """A result: its files, the first one shown, and those of its further versions."""

    candidate: Candidate
    files: Sequence[FoundFile]
    versions: Sequence[FoundFile] = ()


class Searcher:
    """The read side of one library and one model."""

    def __init__(
        self,
        catalog: LazyCatalog,
        model: ModelRecord,
        *,
        embedder: QueryEncoder,
        filters: QueryFilters,
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts; nothing is loaded until the first query.

        Args:
            catalog: of the library.
            model: the model whose space is searched.
            embedder: embeds queries with that model.
            filters: compiles their filters.
            notify: told in one line what a person should know, for example that a cache is rebuilt.
        """
        self._catalog = catalog
        self.model = model
        self._notify = notify
        self.embedder = embedder
        self._filters = filters
        self._background = LibrarySample(model.spec, lambda: self.embedder.encoder)
        self._candidates = CandidateFinder(catalog, model, self._background)
        self._index: tuple[VectorIndex, int] | None = None
        self._engine: MilvusEngine | None = None
        self._versions: tuple[int, NearDuplicateFinder] | None = None

    def search(self, line: str, shown: SearchOptions) -> list[SearchResult]:
        """The files that match a query line best, best first; see `Library.search`."""
        query = parse_query(line)
        index, revision = self._current_index()
        direction = self.direction_of(query) if query.terms else None
        if direction is not None and direction.words is None and shown.min_match != "any":
            raise QueryError("--min-match works only with text queries")
        request = RetrievalRequest(shown, index, revision, direction)
        return self._results(self._filtered(request, _both(query.filter, shown.filter)))

    def similar(
        self, pictures: Sequence[Picture], shown: SearchOptions, *, box: Box | None = None
    ) -> list[SearchResult]:
        """The files most like pictures, best first, without these and their copies; see `Library.similar`."""
        if shown.min_match != "any":
            raise QueryError("--min-match works only with text queries")
        filter_ = shown.filter
        index, revision = self._current_index()
        sought = RetrievalRequest(shown, index, revision, self.embedder.of_pictures(pictures, box=box))
        return self._results(self._filtered(sought, filter_))

    def versions_of(self, content_hash: str) -> list[Path]:
        """The files that hold another version of a picture; see `Library.duplicates.versions_of`."""
        index, revision = self._current_index()
        row_id, _ = embedding_starting(self._catalog.store, self.model, content_hash)
        versions = self._version_finder(index, revision).versions([row_id])[row_id]
        files = self._catalog.files_of(sorted(versions))
        return sorted(file.path for held in files.values() for file in held)

    def load_picture(self, picture: SearchResult | Path | str, *, min_side: int) -> tuple[Image.Image, bool]:
        """The picture of a result, a file or an earlier result's ``~#…``; and whether it is a preview only.

        Raises:
            QueryError: there is no such result.
            ImageReadError: it cannot be read.
        """
        library = self._catalog.directory
        if isinstance(picture, SearchResult):
            return load_original(library, files_of_result(picture), min_side=min_side)
        digits = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digits is None:
            return load_image(Path(picture).expanduser(), min_side=min_side).image, False
        row_id, _ = embedding_starting(self._catalog.store, self.model, digits)
        files = files_of_content(self._catalog, self._catalog.files_of([row_id]).get(row_id, []))
        return load_original(library, files, min_side=min_side)

    def direction_of(self, query: Query) -> QueryVector:
        """What a query with terms looks for."""
        return self.embedder.of_query(query, prompt_ensemble=self._background.calibration.prompt_ensemble)

    def _current_index(self) -> tuple[VectorIndex, int]:
        """The vector index, refreshed when the catalog or the engine is another, and the revision it agrees with."""
        revision, engine = self._catalog.revision(), library_engine(self._catalog.directory)
        if self._engine != engine:
            self._engine, self._index, self._versions = engine, None, None
        if self._index is None or self._index[1] != revision:
            saved = saved_index(self._catalog.directory, self.model, revision)
            if saved is not None:
                self._index = saved, revision
            else:
                self._index = current_index(self._catalog.store, self.model, notify=self._notify)
        if len(self._index[0]) == 0:
            raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
        return self._index

    def _filtered(self, sought: RetrievalRequest, filter_: Filter | None) -> RetrievalRequest:
        """The same among what passes a filter."""
        if filter_ is None:
            return sought
        condition = self._filters.condition(filter_)
        if sought.direction is not None and sought.shown.group != "duplicates":
            if isinstance(sought.index, SelectingIndex):
                selection = sought.index.select(filter_, self._catalog.root_places())
                if selection is not None:
                    return replace(sought, condition=condition, selection=selection)
        elif sought.shown.group != "duplicates":
            return replace(sought, condition=condition)
        within = self._catalog.store.embedding_ids_where(self.model.id, condition)
        return replace(sought, condition=condition, within=within)

    def _version_finder(self, index: VectorIndex, revision: int) -> NearDuplicateFinder:
        """It remembers what it has found, until the library changes."""
        from clipsearch.retrieval.grouping import NearDuplicateFinder

        if self._versions is None or self._versions[0] != revision:
            random_cosine = self._background.random_cosine(index, revision)
            finder = NearDuplicateFinder(self._catalog.store, self.model, index, random_cosine=random_cosine)
            self._versions = revision, finder
        return self._versions[1]

    # --- results --------------------------------------------------------------------------------

    def _results(self, sought: RetrievalRequest) -> list[SearchResult]:
        page = self._page(sought)
        wanted = {item.files[0].root_id for _, item in page}
        online = {root.id for root in self._catalog.root_places() if root.id in wanted and is_online(root)}
        return [self._result(rank, item, online) for rank, item in page]

    def _page(self, sought: RetrievalRequest) -> list[tuple[int, _Found]]:
        """The results that are wanted, each with its rank, in the order in which they are shown."""
        shown = sought.shown
        if shown.sort == "score" or sought.direction is None:  # what filters alone find comes in its order
            return list(enumerate(self._found(sought), start=shown.offset + 1))
        best = shown if shown.sort_window is None else replace(shown, k=shown.sort_window, offset=0)
        page = list(enumerate(self._found(replace(sought, shown=best)), start=best.offset + 1))
        if shown.sort == "path":
            page.sort(key=lambda item: item[1].files[0].path)
        else:
            page.sort(key=lambda item: _newest_first(item[1].files[0]))
        return page if shown.sort_window is None else page[shown.offset : sought.enough]

    def _found(self, sought: RetrievalRequest) -> list[_Found]:
        shown = sought.shown
        if shown.group == "duplicates":
            return self._grouped(sought)
        return self._each_content(sought) if shown.group == "copies" else self._each_file(sought)

    def _each_file(self, sought: RetrievalRequest) -> list[_Found]:
        """The page of results, every file one of its own."""
        shown = sought.shown
        if sought.direction is None:
            files = self._candidates.passing_files(sought, limit=shown.k, offset=shown.offset)
            return [_Found(Candidate(file.embedding_id), [file]) for file in files]
        return list(islice(self._files_of_candidates(sought), shown.offset, sought.enough))

    def _files_of_candidates(self, sought: RetrievalRequest) -> Iterator[_Found]:
        for block in self._candidates.blocks(sought):
            files = self._catalog.files_of([candidate.embedding_id for candidate in block], sought.condition)
            for candidate in block:
                for file in files.get(candidate.embedding_id, []):
                    yield _Found(candidate, [file])

    def _each_content(self, sought: RetrievalRequest) -> list[_Found]:
        """The page of results, every content one, whatever copies of it there are."""
        ranked = chain.from_iterable(self._candidates.blocks(sought))
        page = list(islice(ranked, sought.shown.offset, sought.enough))
        files = self._catalog.files_of([candidate.embedding_id for candidate in page], sought.condition)
        # another process may have removed one meanwhile
        return [_Found(item, files[item.embedding_id]) for item in page if item.embedding_id in files]

    def _grouped(self, sought: RetrievalRequest) -> list[_Found]:
        """The page of results, every photo one, whatever versions of it there are."""
        from clipsearch.retrieval.grouping import group_versions

        candidates: dict[int, Candidate] = {}

        def ranked() -> Iterator[int]:
            for block in self._candidates.blocks(sought):
                candidates.update((candidate.embedding_id, candidate) for candidate in block)
                yield from (candidate.embedding_id for candidate in block)

        finder = self._version_finder(sought.index, sought.revision)
        grouping = group_versions(ranked(), finder, wanted=sought.enough, within=sought.within, without=sought.own_ids)
        groups = list(islice(grouping, sought.shown.offset, sought.enough))
        versions = [Candidate(row_id) for group in groups for row_id in group.versions]
        matching = {candidate.embedding_id for candidate in self._candidates.matching(sought, versions)}
        files = self._catalog.files_of([*(group.first for group in groups), *matching], sought.condition)
        return [
            _Found(
                candidates[group.first],
                files[group.first],
                [file for row_id in group.versions if row_id in matching for file in files.get(row_id, [])],
            )
            for group in groups
            if group.first in files  # another process may have removed it meanwhile
        ]

    def _result(self, rank: int, item: _Found, online: set[int]) -> SearchResult:
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
            part=tiles_of(first.width, first.height)[segment.position] if segment.kind == SegmentKind.TILE else None,
        )


def _both(first: Filter | None, second: Filter | None) -> Filter | None:
    """What passes both filters."""
    parts = [part for part in (first, second) if part is not None]
    return And(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _newest_first(file: FoundFile) -> tuple[bool, float, Path]:
    """A key that sorts the newest picture first and those without a date last."""
    if file.taken_at is None:
        return True, 0.0, file.path
    return False, -(file.taken_at - datetime.min).total_seconds(), file.path
