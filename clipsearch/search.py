"""From a query to ranked files: select by its filter, find the nearest vectors, fetch their files, group them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.background import LibraryBackground
from clipsearch.boxes import Box
from clipsearch.candidates import Candidate, CandidateFinder, Sought
from clipsearch.errors import QueryError
from clipsearch.images import load_image
from clipsearch.originals import files_of_content, files_of_result, load_original
from clipsearch.parts import parts_of
from clipsearch.query import Query, parse_query
from clipsearch.query_embedding import Direction, Picture, QueryEmbedder, embedding_starting, picture_term
from clipsearch.results import SearchResult, Shown
from clipsearch.store.catalog import Catalog
from clipsearch.store.records import FoundFile, ModelRecord
from clipsearch.thumbnails import existing_thumbnail
from clipsearch.vectors.cache import current_index, saved_index
from clipsearch.volumes import is_online

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.encoders.base import Encoder
    from clipsearch.vectors.interface import VectorIndex


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
        catalog: Catalog,
        model: ModelRecord,
        *,
        load_encoder: Callable[[], Encoder],
        cache_texts: bool,
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts; nothing is loaded until the first query.

        Args:
            catalog: of the library.
            model: the model whose space is searched.
            load_encoder: gives the encoder of that model, when a query has to be embedded.
            cache_texts: as for `QueryEmbedder`.
            notify: told in one line what a person should know, for example that a cache is rebuilt.
        """
        self._catalog = catalog
        self.model = model
        self._notify = notify
        self.embedder = QueryEmbedder(catalog, model, load_encoder=load_encoder, cache_texts=cache_texts, notify=notify)
        self._background = LibraryBackground(model.spec, lambda: self.embedder.encoder)
        self._candidates = CandidateFinder(catalog, model, self._background)
        self._index: tuple[VectorIndex, int] | None = None

    def search(self, line: str, shown: Shown) -> list[SearchResult]:
        """The files that match a query line best, best first; see `Library.search`."""
        query = parse_query(line)
        index, revision = self._current_index()
        direction = self.direction_of(query) if query.terms else None
        if direction is not None and direction.words is None and shown.min_match != "any":
            raise QueryError("how well pictures match can be told of words only; leave out the minimum")
        if query.filter is None:
            return self._results(Sought(shown, index, revision, direction))
        from clipsearch.facets import compile_filter

        store = self._catalog.store
        condition = compile_filter(store, query.filter)
        within = None
        if direction is not None or shown.group_duplicates:
            within = store.embedding_ids_where(self.model.id, condition)
        return self._results(Sought(shown, index, revision, direction, condition, within))

    def similar(self, pictures: Sequence[Picture], shown: Shown, *, box: Box | None = None) -> list[SearchResult]:
        """The files most like pictures, best first, without these and their copies; see `Library.similar`."""
        index, revision = self._current_index()
        return self._results(Sought(shown, index, revision, self.embedder.of_pictures(pictures, box=box)))

    def versions_of(self, content_hash: str) -> list[Path]:
        """The files that hold another version of a picture; see `Library.near_versions`."""
        from clipsearch.grouping import VersionFinder

        index, revision = self._current_index()
        store = self._catalog.store
        row_id, _ = embedding_starting(store, self.model, content_hash)
        random_cosine = self._background.random_cosine(index, revision)
        finder = VersionFinder(store, self.model, index, random_cosine=random_cosine)
        files = self._catalog.files_of(sorted(finder.versions([row_id])[row_id]))
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

    def direction_of(self, query: Query) -> Direction:
        """What a query with terms looks for."""
        return self.embedder.of_query(query, prompt_ensemble=self._background.calibration.prompt_ensemble)

    def _current_index(self) -> tuple[VectorIndex, int]:
        """The vector index, refreshed when the catalog has moved on, and the revision it agrees with."""
        revision = self._catalog.revision()
        if self._index is None or self._index[1] != revision:
            saved = saved_index(self._catalog.directory, self.model, revision)
            if saved is not None:
                self._index = saved, revision
            else:
                self._index = current_index(self._catalog.store, self.model, notify=self._notify)
        if len(self._index[0]) == 0:
            raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
        return self._index

    # --- results --------------------------------------------------------------------------------

    def _results(self, sought: Sought) -> list[SearchResult]:
        shown = sought.shown
        found = self._grouped(sought) if shown.group_duplicates else self._each_file(sought)
        page = list(enumerate(found, start=shown.offset + 1))
        if shown.sort == "path":
            page.sort(key=lambda item: item[1].files[0].path)
        elif shown.sort == "date":
            page.sort(key=lambda item: _newest_first(item[1].files[0]))
        wanted = {item.files[0].root_id for _, item in page}
        online = {root.id for root in self._catalog.root_places() if root.id in wanted and is_online(root)}
        return [self._result(rank, item, online) for rank, item in page]

    def _each_file(self, sought: Sought) -> list[_Found]:
        """The page of results, every file one of its own."""
        shown = sought.shown
        if sought.direction is None:
            files = self._candidates.passing_files(sought, limit=shown.k, offset=shown.offset)
            return [_Found(Candidate(file.embedding_id), [file]) for file in files]
        return list(islice(self._files_of_candidates(sought), shown.offset, sought.enough))

    def _files_of_candidates(self, sought: Sought) -> Iterator[_Found]:
        for block in self._candidates.blocks(sought):
            files = self._catalog.files_of([candidate.embedding_id for candidate in block], sought.condition)
            for candidate in block:
                for file in files.get(candidate.embedding_id, []):
                    yield _Found(candidate, [file])

    def _grouped(self, sought: Sought) -> list[_Found]:
        """The page of results, every photo one, whatever versions of it there are."""
        from clipsearch.grouping import VersionFinder, group_versions

        candidates: dict[int, Candidate] = {}

        def ranked() -> Iterator[int]:
            for block in self._candidates.blocks(sought):
                candidates.update((candidate.embedding_id, candidate) for candidate in block)
                yield from (candidate.embedding_id for candidate in block)

        finder = VersionFinder(
            self._catalog.store,
            self.model,
            sought.index,
            random_cosine=self._background.random_cosine(sought.index, sought.revision),
            within=sought.within,
            without=sought.own_ids,
        )
        groups = list(islice(group_versions(ranked(), finder), sought.shown.offset, sought.enough))
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
        first, assessment, part = item.files[0], item.candidate.assessment, item.candidate.part
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
            part=parts_of(first.width, first.height)[part - 1] if part else None,
        )


def _newest_first(file: FoundFile) -> tuple[bool, float, Path]:
    """A key that sorts the newest picture first and those without a date last."""
    if file.taken_at is None:
        return True, 0.0, file.path
    return False, -(file.taken_at - datetime.min).total_seconds(), file.path
