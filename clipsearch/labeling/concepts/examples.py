"""Examples of a concept: from what a person names to contents and their embeddings, by whichever model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.concept_records import ConceptExample
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ImageReadError, QueryError
from clipsearch.media.decoding import content_hash, decode_image, read_image_bytes
from clipsearch.media.thumbnails import existing_thumbnail, thumbnail_jpeg

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.catalog.catalog import Catalog

Embed = Callable[["Image.Image"], NDArray[np.float32]]


class Embedder(Protocol):
    """What embeds the texts and pictures of concepts, with the library's model."""

    @property
    def min_side(self) -> int:
        """Pixels that pictures should have on their short side at least."""
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
        """What a person names as an example.

        Args:
            picture: a file, in the library or not, also one whose drive is not there; or ``~#`` and the first digits
                of the content hash of one that is in the library.
            positive: whether it shows the concept.

        Raises:
            ImageReadError: the file cannot be read, and the library does not know it.
            QueryError: a hash is unknown or ambiguous.
        """
        from clipsearch.retrieval.picture_reference import embedding_starting, picture_term

        digits = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digits is None:
            return self._read_file(Path(picture).expanduser(), positive)
        row_id, vector = embedding_starting(self._store, self._model, digits)
        files = self._store.files_of([row_id]).get(row_id)
        if not files:
            raise QueryError(f"no file of the library holds the picture #{digits} any more")
        return self._known(files[0].content_hash, vector, positive)

    def _read_file(self, path: Path, positive: bool) -> ConceptExample:
        try:
            content = read_image_bytes(path)
        except ImageReadError:
            known = self._store.concepts.content_at(path)
            found = self._store.embedding_of(known, self._model.id) if known is not None else None
            if known is None or found is None:
                raise
            return self._known(known, found[1], positive)
        digest = content_hash(content)
        found = self._store.embedding_of(digest, self._model.id)
        if found is not None:
            return self._known(digest, found[1], positive)
        image = decode_image(content, path=path, min_side=self._embedder.min_side).image
        vector = self._embedder.of_image(image).astype(np.float16)
        preview = thumbnail_jpeg(image)
        return ConceptExample(digest, positive, str(path.absolute()), preview, vector, self._model.id)

    def _known(self, digest: str, vector: NDArray[np.floating], positive: bool) -> ConceptExample:
        return ConceptExample(digest, positive, vector=vector.astype(np.float16), model_id=self._model.id)

    def vector_of(self, example: ConceptExample) -> NDArray[np.floating] | None:
        """The embedding of an example by the model, floating [dim]; ``None`` if the picture is nowhere any more.

        It is the one that is kept with it, or the library's; else the picture is embedded, from its file or from a
        preview.
        """
        if example.vector is not None and example.model_id == self._model.id:
            return example.vector
        found = self._store.embedding_of(example.content_hash, self._model.id)
        if found is not None:
            return found[1]
        image = self._picture_of(example)
        return self._embedder.of_image(image) if image is not None else None

    def _picture_of(self, example: ConceptExample) -> Image.Image | None:
        thumbnail = existing_thumbnail(self._store.directory, example.content_hash)
        for path in (Path(example.path) if example.path is not None else None, thumbnail):
            try:
                content = read_image_bytes(path) if path is not None else b""
                if path is not None and (path == thumbnail or content_hash(content) == example.content_hash):
                    return decode_image(content, path=path, min_side=self._embedder.min_side).image
            except ImageReadError:
                continue  # its preview may serve
        return decode_image(example.preview).image if example.preview is not None else None
