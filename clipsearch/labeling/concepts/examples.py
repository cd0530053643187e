"""Examples of a concept: pictures named by the user, and negatives drawn from the library."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.concept_records import ConceptExample
from clipsearch.catalog.records import ModelRecord
from clipsearch.config import typed_path
from clipsearch.errors import ImageReadError, QueryError
from clipsearch.media.decoding import decode_image
from clipsearch.media.loading import open_media
from clipsearch.media.thumbnails import existing_thumbnail, thumbnail_jpeg
from clipsearch.models.encoder import FloatMatrix

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.catalog.catalog import Catalog

MAX_DRAWN = 200
"""Maximum number of drawn negatives; more did not change the curves in docs/concepts.md."""

EXCLUDED_NEAREST_SHARE = 0.1
"""Share of the drawn pictures, the nearest to a positive example, that is excluded: they may show the concept."""

_SEED = 31


class Embedder(Protocol):
    """Embeds the texts and pictures of concepts with the library's model."""

    @property
    def min_side(self) -> int:
        """Minimum short side of decoded pictures, in pixels."""
        ...

    def of_text(self, text: str) -> NDArray[np.float32]:
        """float32 [dim], unit length."""
        ...

    def of_image(self, image: Image.Image) -> NDArray[np.float32]:
        """float32 [dim], unit length."""
        ...


class ExampleReader:
    """Finds and embeds examples, for one library and one model."""

    def __init__(self, store: Catalog, model: ModelRecord, embedder: Embedder) -> None:
        """Bind the parts."""
        self._store = store
        self._model = model
        self._embedder = embedder

    def read(self, picture: Path | str, *, positive: bool) -> ConceptExample:
        """Read and embed an example.

        Args:
            picture: a file, in the library (also offline) or not; or ``~#`` and the first digits of a content hash.
            positive: whether it shows the concept.

        Raises:
            ImageReadError: the file cannot be read and is not in the library.
            QueryError: a hash is unknown or ambiguous.
        """
        from clipsearch.retrieval.picture_reference import embedding_starting, picture_term

        digits = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digits is None:
            return self._read_file(typed_path(picture), positive)
        row_id, vector = embedding_starting(self._store, self._model, digits)
        files = self._store.files_of([row_id]).get(row_id)
        if not files:
            raise QueryError(f"picture #{digits} is in no file of the library any more")
        return self._known(files[0].content_hash, vector, positive)

    def _read_file(self, path: Path, positive: bool) -> ConceptExample:
        try:
            file = open_media(path)
            digest = file.content_hash
        except ImageReadError:
            known = self._store.concepts.content_at(path)
            stored = self._store.embedding_of(known, self._model.id) if known is not None else None
            if known is None or stored is None:
                raise
            return self._known(known, stored[1], positive)
        stored = self._store.embedding_of(digest, self._model.id)
        if stored is not None:
            return self._known(digest, stored[1], positive)
        image = file.picture(min_side=self._embedder.min_side)
        vector = self._embedder.of_image(image).astype(np.float16)
        preview = thumbnail_jpeg(image)
        return ConceptExample(digest, positive, str(path.absolute()), preview, vector, self._model.id)

    def _known(self, digest: str, vector: NDArray[np.floating], positive: bool) -> ConceptExample:
        return ConceptExample(digest, positive, vector=vector.astype(np.float16), model_id=self._model.id)

    def vector_of(self, example: ConceptExample) -> NDArray[np.floating] | None:
        """The embedding of an example by the model, floating [dim]; ``None`` if the picture is missing.

        It is stored with the example or in the library; otherwise the file or a preview is embedded.
        """
        if example.vector is not None and example.model_id == self._model.id:
            return example.vector
        stored = self._store.embedding_of(example.content_hash, self._model.id)
        if stored is not None:
            return stored[1]
        image = self._picture_of(example)
        return self._embedder.of_image(image) if image is not None else None

    def _picture_of(self, example: ConceptExample) -> Image.Image | None:
        thumbnail = existing_thumbnail(self._store.directory, example.content_hash)
        for path in (Path(example.path) if example.path is not None else None, thumbnail):
            try:
                file = open_media(path) if path is not None else None
                if file is not None and (path == thumbnail or file.content_hash == example.content_hash):
                    return file.picture(min_side=self._embedder.min_side)
            except ImageReadError:
                continue  # use a preview
        return decode_image(example.preview).image if example.preview is not None else None


def draw_negatives(
    store: Catalog, model: ModelRecord, positives: FloatMatrix, *, excluded: Collection[str]
) -> FloatMatrix:
    """Draw random pictures of the library that most likely do not show a concept.

    Args:
        store: the catalog.
        model: of the embedding space.
        positives: float32 [n, dim], unit rows, n ≥ 1.
        excluded: content hashes of the examples.

    Returns:
        float32 [up to `MAX_DRAWN`, dim]; deterministic for a library and examples.
    """
    _, ids = store.live_embedding_ids(model.id, wholes_only=True)
    examples = [store.embedding_of(content_hash, model.id) for content_hash in sorted(excluded)]
    ids = np.setdiff1d(ids, np.array([example[0] for example in examples if example is not None], np.int64))
    count = round(MAX_DRAWN / (1 - EXCLUDED_NEAREST_SHARE))
    if len(ids) > count:
        ids = np.sort(np.random.default_rng(_SEED).choice(ids, count, replace=False))
    blocks = [vectors.astype(np.float32) for _, vectors in store.embeddings(ids, dim=model.dim)]
    drawn: NDArray[np.float32] = np.concatenate([np.empty((0, model.dim), np.float32), *blocks])
    return drawn[drop_nearest(drawn, positives)]


def drop_nearest(drawn: FloatMatrix, positives: FloatMatrix) -> NDArray[np.int64]:
    """Rows without the `EXCLUDED_NEAREST_SHARE` nearest to a positive example, int64, ascending."""
    similarity = (drawn @ positives.T).max(axis=1, initial=-1.0)
    count = len(drawn) - int(np.ceil(EXCLUDED_NEAREST_SHARE * len(drawn)))
    return np.sort(np.argsort(similarity, kind="stable")[:count])
