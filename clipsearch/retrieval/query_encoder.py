"""From what is looked for to a direction in the embedding space: texts, pictures and parts of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import QueryError
from clipsearch.media.box import Box
from clipsearch.media.cropping import cut, decode_crop
from clipsearch.media.decoding import content_hash, decode_image, read_image_bytes
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.query import ConceptTerm, ImageTerm, Query, TextTerm
from clipsearch.retrieval.picture_reference import Picture, embedding_starting, picture_term
from clipsearch.retrieval.prompts import CountsTokens, embed_queries, surely_fits
from clipsearch.retrieval.relevance.calibration import load_calibration
from clipsearch.retrieval.source_files import files_of_content, read_original
from clipsearch.retrieval.text_cache import QueryCache

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.models.encoder import Encoder

_CANCELLED = 1e-3
"""Length below which a sum of unit vectors points nowhere."""


@dataclass(frozen=True)
class QueryVector:
    """What is looked for, in the embedding space.

    Attributes:
        vector: float32 [dim], unit length.
        own_ids: embeddings of the query's own pictures, which answer nothing.
        words: what matches are assessed for, the words looked for, float32 [dim], unit length; ``None`` if the query
            has more than words, or none.
    """

    vector: NDArray[np.float32]
    own_ids: frozenset[int] = frozenset()
    words: NDArray[np.float32] | None = None


class QueryEncoder:
    """Embeds queries of one library with its model, which is loaded when something has to be embedded."""

    def __init__(
        self,
        catalog: LazyCatalog,
        model: ModelRecord,
        *,
        load_encoder: Callable[[], Encoder],
        concept_vector: Callable[[ConceptTerm], NDArray[np.float32]],
        cache_texts: bool,
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts.

        Args:
            catalog: of the library, in which pictures are looked up.
            model: whose space.
            load_encoder: gives its encoder.
            concept_vector: gives what a concept looks for, float32 [dim], unit length.
            cache_texts: keep the embeddings of texts for later searches, and use those that are kept.
            notify: told in one line when a text is longer than the model reads.
        """
        self._catalog = catalog
        self._model = model
        self._load_encoder = load_encoder
        self._concept_vector = concept_vector
        self._cache_texts = cache_texts
        self._notify = notify

    @cached_property
    def encoder(self) -> Encoder:
        """The model's encoder."""
        return self._load_encoder()

    @property
    def min_side(self) -> int:
        """Pixels that pictures should have on their short side at least."""
        return self.encoder.transform.min_side

    def of_text(self, text: str) -> NDArray[np.float32]:
        """A text, float32 [dim], unit length; short ones in templates where the model gains by it."""
        return self._text(text, prompt_ensemble=load_calibration(self._model.spec).prompt_ensemble)

    def of_image(self, image: Image.Image) -> NDArray[np.float32]:
        """A picture, float32 [dim], unit length."""
        embedding: NDArray[np.float32] = self.encoder.encode_images([image])[0]
        return embedding

    def of_query(self, query: Query, *, prompt_ensemble: bool) -> QueryVector:
        """The weighted sum of a query's terms.

        Args:
            query: with a term at least.
            prompt_ensemble: whether short texts are put into templates.

        Raises:
            QueryError: it names a picture or a concept that is not there, or its terms cancel each other out.
            ImageReadError: a picture cannot be read.
        """
        texts = [term for term in query.terms if isinstance(term, TextTerm)]
        embeddings = self._texts([term.text for term in texts], prompt_ensemble=prompt_ensemble)
        total = np.zeros(self._model.dim, dtype=np.float32)
        total += np.array([term.weight for term in texts], dtype=np.float32) @ embeddings
        own_ids: set[int] = set()
        for term in query.terms:
            if isinstance(term, ConceptTerm):
                total += np.float32(term.weight) * self._concept_vector(term)
            elif isinstance(term, ImageTerm):
                embedding, own_id = self._term(term)
                total += np.float32(term.weight) * embedding
                own_ids |= {own_id} if own_id is not None else set()
        return QueryVector(_pointing_somewhere(total), frozenset(own_ids), _words(query, embeddings))

    def of_pictures(self, pictures: Sequence[Picture], *, box: Box | None = None) -> QueryVector:
        """The mean of pictures' embeddings, or the embedding of a part of one.

        Args:
            pictures: one or more.
            box: the part of the only picture.

        Raises:
            QueryError: there is no picture, a box goes with several, reaches outside or is empty, or an id is unknown
                or ambiguous.
            ImageReadError: a picture cannot be read.
        """
        if not pictures:
            raise QueryError("there is no picture to compare with; name one")
        if box is not None and len(pictures) > 1:
            raise QueryError("a box is a part of one picture; leave it out, or name one picture only")
        found = [self._picture(picture, box) for picture in pictures]
        total: NDArray[np.float32] = np.stack([embedding for embedding, _ in found]).sum(axis=0)
        own_ids = frozenset(own_id for _, own_id in found if own_id is not None)
        return QueryVector(_pointing_somewhere(total), own_ids)

    def _texts(self, texts: list[str], *, prompt_ensemble: bool) -> FloatMatrix:
        """float32 [texts, dim], unit rows."""
        if not texts:
            return np.empty((0, self._model.dim), np.float32)
        return np.stack([self._text(text, prompt_ensemble=prompt_ensemble) for text in texts])

    def _text(self, text: str, *, prompt_ensemble: bool) -> NDArray[np.float32]:
        encoder = self.encoder
        # of a text that may have to be split, that is to be told each time
        short = not isinstance(encoder, CountsTokens) or surely_fits(text, encoder.context_length)
        cache = QueryCache.of(encoder) if self._cache_texts and short else None
        embedding = cache.get(text, ensemble=prompt_ensemble) if cache is not None else None
        if embedding is None:
            embedding = embed_queries(encoder, [text], ensemble=prompt_ensemble, notify=self._notify)[0]
            if cache is not None:
                cache.put(text, embedding, ensemble=prompt_ensemble)
        return embedding

    def _picture(self, picture: Picture, box: Box | None) -> tuple[NDArray[np.float32], int | None]:
        """float32 [dim], and the id under which the library holds the picture, if it does."""
        if isinstance(picture, str):
            return self._term(picture_term(picture), box)
        if isinstance(picture, Path):
            return self._file(picture.expanduser(), box)
        return self.of_image(picture if box is None else cut(picture, box)), None

    def _term(self, term: ImageTerm, box: Box | None = None) -> tuple[NDArray[np.float32], int | None]:
        if term.path is not None:
            return self._file(Path(term.path).expanduser(), box)
        assert term.content_hash is not None
        own_id, embedding = embedding_starting(self._catalog.store, self._model, term.content_hash)
        if box is None:
            return embedding, own_id
        files = self._catalog.files_of([own_id]).get(own_id, [])
        content, path = read_original(files_of_content(self._catalog, files))
        return self._content(content, path, box), own_id

    def _file(self, path: Path, box: Box | None) -> tuple[NDArray[np.float32], int | None]:
        content = read_image_bytes(path)
        known = self._catalog.store.embedding_of(content_hash(content), self._model.id)
        own_id = known[0] if known is not None else None
        if known is not None and box is None:
            return known[1].astype(np.float32), own_id
        return self._content(content, path, box), own_id

    def _content(self, content: bytes, path: Path, box: Box | None) -> NDArray[np.float32]:
        min_side = self.min_side
        if box is not None:
            return self.of_image(decode_crop(content, box, path=path, min_side=min_side))
        return self.of_image(decode_image(content, path=path, min_side=min_side).image)


def _pointing_somewhere(total: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sum of unit vectors brought to unit length."""
    length = float(np.linalg.norm(total))
    if length < _CANCELLED:
        raise QueryError("the terms of the query cancel each other out; change a weight or leave one out")
    return total / np.float32(length)


def _words(query: Query, embeddings: FloatMatrix) -> NDArray[np.float32] | None:
    """`QueryVector.words`, from the embeddings of the query's texts, float32 [texts, dim]."""
    weights = np.array([max(term.weight, 0.0) for term in query.terms if isinstance(term, TextTerm)], np.float32)
    if len(weights) != len(query.terms) or not weights.any():
        return None
    total = (weights @ embeddings)[None]
    return l2_normalize(total)[0] if np.linalg.norm(total) > _CANCELLED else None
