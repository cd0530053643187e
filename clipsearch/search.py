"""From a query to ranked files: embed, find the nearest vectors, fetch their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import QueryError
from clipsearch.images import content_hash, decode_image, read_image_bytes
from clipsearch.query import check_k, parse_query
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import ModelRecord
from clipsearch.vector_cache import current_index

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.encoders.base import Encoder
    from clipsearch.vector_index import VectorIndex


@dataclass(frozen=True)
class SearchResult:
    """A file that answers a query.

    Attributes:
        path: where it is, or was when it was indexed.
        score: cosine similarity between query and picture, -1 to 1.
        rank: 1 for the best.
        width: of the picture as it is looked at, in pixels.
        height: likewise.
        format: Pillow's name of its format, for example ``JPEG``.
        content_hash: XXH3-128 of the file's bytes, hex; the same for copies.
    """

    path: Path
    score: float
    rank: int
    width: int
    height: int
    format: str
    content_hash: str


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
        self._model = model
        self._load_encoder = load_encoder
        self._notify = notify
        self._index: tuple[VectorIndex, int] | None = None

    def search(self, line: str, *, k: int = 10) -> list[SearchResult]:
        """The k files that match a query line best, best first; see `Library.search`."""
        query = parse_query(line)
        check_k(k)
        index = self._current_index()
        return self._nearest(index, self._encoder.encode_texts([query.text])[0], k)

    def similar(self, image: Path | Image.Image, *, k: int = 10) -> list[SearchResult]:
        """The k files most like a picture, best first, without itself and its copies; see `Library.similar`."""
        check_k(k)
        index = self._current_index()
        embedding, own_id = self._image_embedding(image)
        return self._nearest(index, embedding, k, without=own_id)

    @cached_property
    def _encoder(self) -> Encoder:
        return self._load_encoder()

    def _image_embedding(self, image: Path | Image.Image) -> tuple[NDArray[np.float32], int | None]:
        """float32 [dim], and the id under which the library holds it, if it does."""
        if not isinstance(image, Path):
            return self._encoder.encode_images([image])[0], None
        content = read_image_bytes(image)
        known = self._store.embedding_of(content_hash(content), self._model.id)
        if known is not None:
            return known[1].astype(np.float32), known[0]
        decoded = decode_image(content, path=image, min_side=self._encoder.transform.min_side)
        return self._encoder.encode_images([decoded.image])[0], None

    def _current_index(self) -> VectorIndex:
        """The vector index, refreshed when the catalog has moved on."""
        if self._index is None or self._index[1] != self._store.revision():
            self._index = current_index(self._store, self._model, notify=self._notify)
        if len(self._index[0]) == 0:
            raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
        return self._index[0]

    def _nearest(
        self, index: VectorIndex, embedding: NDArray[np.float32], k: int, *, without: int | None = None
    ) -> list[SearchResult]:
        neighbors = index.search(embedding, k if without is None else k + 1)
        scored = [
            (int(row_id), float(score))
            for row_id, score in zip(neighbors.ids, neighbors.scores, strict=True)
            if row_id != without
        ]
        files = self._store.files_of([row_id for row_id, _ in scored])
        found = [(file, score) for row_id, score in scored for file in files.get(row_id, [])]
        return [
            SearchResult(
                path=file.path,
                score=score,
                rank=rank,
                width=file.width,
                height=file.height,
                format=file.format,
                content_hash=file.content_hash,
            )
            for rank, (file, score) in enumerate(found[:k], start=1)
        ]
