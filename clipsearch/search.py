"""From a query to ranked files: embed its terms, select by its filter, find the nearest vectors, fetch their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import QueryError
from clipsearch.images import content_hash, decode_image, read_image_bytes
from clipsearch.query import ConceptTerm, ImageTerm, Query, TextTerm, check_k, parse_query
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

Sort: TypeAlias = Literal["score", "date", "path"]
SORTS: tuple[str, ...] = get_args(Sort)

_CANCELLED = 1e-3
"""Length below which a sum of unit vectors points nowhere."""


@dataclass(frozen=True)
class SearchResult:
    """A file that answers a query.

    Attributes:
        path: where it is, or was when it was indexed.
        score: cosine similarity between query and picture, -1 to 1; ``None`` if the query has filters only.
        rank: 1 for the best.
        width: of the picture as it is looked at, in pixels.
        height: likewise.
        format: Pillow's name of its format, for example ``JPEG``.
        content_hash: XXH3-128 of the file's bytes, hex; the same for copies.
        taken_at: when the picture was taken, on the camera's clock; ``None`` if the file does not tell.
        online: whether the drive it is on is there now.
        thumbnail: a preview in the library, there also when the drive is not; ``None`` if there is none.
        copies: further files with the same content that answer the query, where these are grouped.
    """

    path: Path
    score: float | None
    rank: int
    width: int
    height: int
    format: str
    content_hash: str
    taken_at: datetime | None = None
    online: bool = True
    thumbnail: Path | None = None
    copies: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Shown:
    """Which results are wanted and how they are shown.

    Attributes:
        k: how many at most, from 1.
        offset: how many of the best to pass over, from 0.
        sort: ``score``, or the results shown in the order of ``date`` (newest first) or ``path``.
        group_copies: one result for all files of the same content.
    """

    k: int = 10
    offset: int = 0
    sort: Sort = "score"
    group_copies: bool = False

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.offset < 0:
            raise QueryError(f"the offset must be at least 0, not {self.offset}")
        if self.sort not in SORTS:
            raise QueryError(f"results can be sorted by {', '.join(SORTS)}, not by {self.sort}")


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

    def search(self, line: str, shown: Shown) -> list[SearchResult]:
        """The files that match a query line best, best first; see `Library.search`."""
        query = parse_query(line)
        index = self._current_index()
        condition = self._condition(query)
        if not query.terms:
            assert condition is not None
            return self._all_that_pass(condition, shown)
        direction, own_ids = self._direction(query)
        within = None if condition is None else self._store.embedding_ids_where(self.model.id, condition)
        return self._nearest(index, direction, shown, condition=condition, within=within, without=own_ids)

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

    def _direction(self, query: Query) -> tuple[NDArray[np.float32], list[int]]:
        """The weighted sum of the terms' embeddings, float32 [dim], unit length; and the ids of its own pictures."""
        texts = [term for term in query.terms if isinstance(term, TextTerm)]
        total = np.zeros(self.model.dim, dtype=np.float32)
        if texts:
            embeddings = self._encoder.encode_texts([term.text for term in texts])
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
    ) -> list[SearchResult]:
        # every content has a file at least, so that so many contents are enough
        enough = shown.offset + shown.k + len(without)
        neighbors = index.search(direction, enough, within=within)
        scored = [
            (int(row_id), float(score))
            for row_id, score in zip(neighbors.ids, neighbors.scores, strict=True)
            if row_id not in without
        ]
        files = self._store.files_of([row_id for row_id, _ in scored], condition)
        found = [(group, score) for row_id, score in scored for group in _groups(files.get(row_id, []), shown)]
        return self._results(found, shown)

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
        return self._results([(group, None) for group in found.values()], shown)

    def _results(self, found: Sequence[tuple[list[FoundFile], float | None]], shown: Shown) -> list[SearchResult]:
        page = list(enumerate(found, start=1))[shown.offset : shown.offset + shown.k]
        if shown.sort == "path":
            page.sort(key=lambda item: item[1][0][0].path)
        elif shown.sort == "date":
            page.sort(key=lambda item: _newest_first(item[1][0][0]))
        wanted = {group[0].root_id for _, (group, _) in page}
        online = {root.id for root in self._store.roots.all() if root.id in wanted and is_online(root)}
        return [
            SearchResult(
                path=group[0].path,
                score=score,
                rank=rank,
                width=group[0].width,
                height=group[0].height,
                format=group[0].format,
                content_hash=group[0].content_hash,
                taken_at=group[0].taken_at,
                online=group[0].root_id in online,
                thumbnail=existing_thumbnail(self._store.directory, group[0].content_hash),
                copies=tuple(copy.path for copy in group[1:]),
            )
            for rank, (group, score) in page
        ]


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
