"""From a query to ranked files: embed its terms, select by its filter, find the nearest vectors, fetch their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.calibration import (
    Assessment,
    Background,
    Calibration,
    Match,
    MatchAssessor,
    MinMatch,
    background_ids,
    load_calibration,
)
from clipsearch.caption_bank import caption_bank
from clipsearch.encoders.base import FloatMatrix, l2_normalise
from clipsearch.errors import QueryError
from clipsearch.images import content_hash, decode_image, read_image_bytes
from clipsearch.prompting import embed_queries
from clipsearch.query import ConceptTerm, ImageTerm, Query, TextTerm, parse_query
from clipsearch.results import SearchResult, Shown
from clipsearch.store.filtering import FilterCompiler
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import FoundFile, ModelRecord
from clipsearch.thumbnails import existing_thumbnail
from clipsearch.vector_cache import current_index
from clipsearch.volumes import is_online

if TYPE_CHECKING:
    from PIL import Image
    from sqlalchemy import ColumnElement

    from clipsearch.encoders.base import Encoder
    from clipsearch.vector_index import VectorIndex

_ASSESSED = 500
"""Candidates that are assessed at least when weak matches are left out: the probability is not the score alone."""

_PASSING: dict[MinMatch, frozenset[Match]] = {
    "strong": frozenset({"strong"}),
    "possible": frozenset({"strong", "possible"}),
    "any": frozenset({"strong", "possible", "none"}),
}

_CANCELLED = 1e-3
"""Length below which a sum of unit vectors points nowhere."""


@dataclass(frozen=True)
class _Found:
    """The files that are one result, the first one shown; how near they are, and what that is worth."""

    files: list[FoundFile]
    score: float | None = None
    assessment: Assessment | None = None


class Searcher:
    """The read side of one library and one model."""

    def __init__(
        self,
        store: ImageStore,
        model: ModelRecord,
        *,
        load_encoder: Callable[[], Encoder],
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts; nothing is loaded until the first query.

        Args:
            store: the catalog.
            model: the model whose space is searched.
            load_encoder: gives the encoder of that model, when a query has to be embedded.
            notify: told in one line what a person should know, for example that a cache is rebuilt.
        """
        self._store = store
        self.model = model
        self._load_encoder = load_encoder
        self._notify = notify
        self._index: tuple[VectorIndex, int] | None = None
        self._background: tuple[int, Background] | None = None

    def search(self, line: str, shown: Shown) -> list[SearchResult]:
        """The files that match a query line best, best first; see `Library.search`."""
        query = parse_query(line)
        index = self._current_index()
        condition = self._condition(query)
        if not query.terms:
            assert condition is not None
            return self._all_that_pass(condition, shown)
        embeddings = self._text_embeddings(query)
        direction, own_ids = self._direction(query, embeddings)
        words = _words(query, embeddings)
        if words is None and shown.min_match != "any":
            raise QueryError("how well pictures match can be told of words only; leave out the minimum")
        within = None if condition is None else self._store.embedding_ids_where(self.model.id, condition)
        return self._nearest(index, direction, shown, condition=condition, within=within, without=own_ids, words=words)

    def similar(self, image: Path | Image.Image, shown: Shown) -> list[SearchResult]:
        """The files most like a picture, best first, without itself and its copies; see `Library.similar`."""
        index = self._current_index()
        embedding, own_id = self._image_embedding(image)
        return self._nearest(index, embedding, shown, without=() if own_id is None else (own_id,))

    @cached_property
    def _encoder(self) -> Encoder:
        return self._load_encoder()

    def _condition(self, query: Query) -> ColumnElement[bool] | None:
        if query.filter is None:
            return None
        return FilterCompiler(self._store.roots.all(), is_online=is_online).condition(query.filter)

    @cached_property
    def _calibration(self) -> Calibration:
        return load_calibration(self.model.spec)

    @cached_property
    def _assessor(self) -> MatchAssessor:
        return MatchAssessor(self._calibration, caption_bank(self._encoder))

    def _text_embeddings(self, query: Query) -> FloatMatrix:
        """Of the text terms in their order, float32 [texts, dim], unit rows."""
        texts = [term.text for term in query.terms if isinstance(term, TextTerm)]
        if not texts:
            return np.empty((0, self.model.dim), np.float32)
        return embed_queries(self._encoder, texts, ensemble=self._calibration.prompt_ensemble, notify=self._notify)

    def _direction(self, query: Query, embeddings: FloatMatrix) -> tuple[NDArray[np.float32], list[int]]:
        """The weighted sum of the terms' embeddings, float32 [dim], unit length; and the ids of its own pictures."""
        texts = [term for term in query.terms if isinstance(term, TextTerm)]
        total = np.zeros(self.model.dim, dtype=np.float32)
        total += np.array([term.weight for term in texts], dtype=np.float32) @ embeddings
        own_ids = []
        for term in query.terms:
            if isinstance(term, ConceptTerm):
                raise QueryError(f"the library knows no concept @{term.name}")
            if isinstance(term, ImageTerm):
                embedding, own_id = self._term_embedding(term)
                total += np.float32(term.weight) * embedding
                own_ids += [own_id] if own_id is not None else []
        length = float(np.linalg.norm(total))
        if length < _CANCELLED:
            raise QueryError("the terms of the query cancel each other out; change a weight or leave one out")
        return total / np.float32(length), own_ids

    def _term_embedding(self, term: ImageTerm) -> tuple[NDArray[np.float32], int | None]:
        if term.path is not None:
            return self._image_embedding(Path(term.path).expanduser())
        assert term.content_hash is not None
        found = self._store.embeddings_starting(term.content_hash, self.model.id)
        if len(found) != 1:
            what = "more than one picture" if found else "no picture"
            raise QueryError(f"{what} of the library has a content hash that begins with {term.content_hash}")
        return found[0][1].astype(np.float32), found[0][0]

    def _image_embedding(self, image: Path | Image.Image) -> tuple[NDArray[np.float32], int | None]:
        """float32 [dim], and the id under which the library holds it, if it does."""
        if not isinstance(image, Path):
            return self._encoder.encode_images([image])[0], None
        content = read_image_bytes(image)
        known = self._store.embedding_of(content_hash(content), self.model.id)
        if known is not None:
            return known[1].astype(np.float32), known[0]
        decoded = decode_image(content, path=image, min_side=self._encoder.transform.min_side)
        return self._encoder.encode_images([decoded.image])[0], None

    def _current_index(self) -> VectorIndex:
        """The vector index, refreshed when the catalog has moved on."""
        if self._index is None or self._index[1] != self._store.revision():
            self._index = current_index(self._store, self.model, notify=self._notify)
        if len(self._index[0]) == 0:
            raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
        return self._index[0]

    def _nearest(
        self,
        index: VectorIndex,
        direction: NDArray[np.float32],
        shown: Shown,
        *,
        condition: ColumnElement[bool] | None = None,
        within: NDArray[np.int64] | None = None,
        without: Sequence[int] = (),
        words: NDArray[np.float32] | None = None,
    ) -> list[SearchResult]:
        # every content has a file at least, so that so many contents are enough
        enough = shown.offset + shown.k + len(without)
        if shown.min_match != "any":
            enough = max(enough, _ASSESSED)
        neighbors = index.search(direction, enough, within=within)
        scored = [
            (int(row_id), float(score))
            for row_id, score in zip(neighbors.ids, neighbors.scores, strict=True)
            if row_id not in without
        ]
        searched = len(index) if within is None else len(within)
        assessed = {} if words is None else self._assess(index, words, [row_id for row_id, _ in scored], searched)
        passing = _PASSING[shown.min_match]
        scored = [item for item in scored if item[0] not in assessed or assessed[item[0]].match in passing]
        files = self._store.files_of([row_id for row_id, _ in scored], condition)
        found = [
            _Found(group, score, assessed.get(row_id))
            for row_id, score in scored
            for group in _groups(files.get(row_id, []), shown)
        ]
        return self._results(found, shown)

    def _assess(
        self, index: VectorIndex, words: NDArray[np.float32], ids: list[int], searched: int
    ) -> dict[int, Assessment]:
        """How well pictures match the words of a query, by id."""
        if not ids:
            return {}
        assert self._index is not None
        revision = self._index[1]
        if self._background is None or self._background[0] != revision:
            self._background = revision, self._assessor.background(index.vectors(background_ids(index.ids())))
        candidates = index.vectors(np.array(ids, dtype=np.int64))
        found = self._assessor.assess(words, candidates, self._background[1], searched=searched)
        return dict(zip(ids, found, strict=True))

    def _all_that_pass(self, condition: ColumnElement[bool], shown: Shown) -> list[SearchResult]:
        """What passes the filter of a query without terms, the newest first unless sorted otherwise."""
        by_path, enough = shown.sort == "path", shown.offset + shown.k
        found: dict[int, list[FoundFile]] = {}
        start = 0
        while len(found) < enough:
            files = self._store.files_where(self.model.id, condition, by_path=by_path, limit=enough, offset=start)
            for file in files:
                found.setdefault(file.embedding_id if shown.group_copies else len(found), []).append(file)
            start += len(files)
            if len(files) < enough:
                break
        return self._results([_Found(group) for group in found.values()], shown)

    def _results(self, found: Sequence[_Found], shown: Shown) -> list[SearchResult]:
        page = list(enumerate(found, start=1))[shown.offset : shown.offset + shown.k]
        if shown.sort == "path":
            page.sort(key=lambda item: item[1].files[0].path)
        elif shown.sort == "date":
            page.sort(key=lambda item: _newest_first(item[1].files[0]))
        wanted = {item.files[0].root_id for _, item in page}
        online = {root.id for root in self._store.roots.all() if root.id in wanted and is_online(root)}
        return [self._result(rank, item, online) for rank, item in page]

    def _result(self, rank: int, item: _Found, online: set[int]) -> SearchResult:
        first = item.files[0]
        return SearchResult(
            path=first.path,
            score=item.score,
            rank=rank,
            width=first.width,
            height=first.height,
            format=first.format,
            content_hash=first.content_hash,
            taken_at=first.taken_at,
            online=first.root_id in online,
            thumbnail=existing_thumbnail(self._store.directory, first.content_hash),
            match=item.assessment.match if item.assessment else None,
            probability=item.assessment.probability if item.assessment else None,
            copies=tuple(copy.path for copy in item.files[1:]),
        )


def _words(query: Query, embeddings: FloatMatrix) -> NDArray[np.float32] | None:
    """What matches are assessed for: the words looked for, float32 [dim]; ``None`` if a query has more, or none."""
    weights = np.array([max(term.weight, 0.0) for term in query.terms if isinstance(term, TextTerm)], np.float32)
    if len(weights) != len(query.terms) or not weights.any():
        return None
    total = (weights @ embeddings)[None]
    return l2_normalise(total)[0] if np.linalg.norm(total) > _CANCELLED else None


def _groups(files: list[FoundFile], shown: Shown) -> list[list[FoundFile]]:
    """The files of one content, as one result or as one each."""
    if not files:
        return []
    return [files] if shown.group_copies else [[file] for file in files]


def _newest_first(file: FoundFile) -> tuple[bool, float, Path]:
    """A key that sorts the newest picture first and those without a date last."""
    if file.taken_at is None:
        return True, 0.0, file.path
    return False, -(file.taken_at - datetime.min).total_seconds(), file.path
