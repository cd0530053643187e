"""From what is looked for to a direction in the embedding space: texts, pictures and parts of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.config import typed_path
from clipsearch.errors import QueryError, UnknownTextError
from clipsearch.media.box import Box
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.video_heads import pool_frames
from clipsearch.query import ConceptTerm, ImageTerm, Query, Term, TextTerm, shown
from clipsearch.retrieval.picture_reference import Picture, embedding_starting, picture_term
from clipsearch.retrieval.prompts import CountsTokens, embed_queries, known_part, surely_fits
from clipsearch.retrieval.query_text import query_text
from clipsearch.retrieval.relevance.calibration import load_calibration
from clipsearch.retrieval.source_files import files_of_content, open_original
from clipsearch.retrieval.text_cache import QueryCache
from clipsearch.text import Notify, clock_time

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.media.loading import MediaFile
    from clipsearch.models.encoder import Encoder

MULTILINGUAL = "multilingual"
"""The preset whose model knows many languages."""

_CANCELLED = 1e-3
"""Length below which a sum of unit vectors points nowhere."""


@dataclass(frozen=True)
class QueryVector:
    """What is looked for, in the embedding space.

    Attributes:
        vector: float32 [dim], unit length.
        own_ids: embeddings of the query's own pictures, which answer nothing.
        notices: what a person should know, in lines: unknown words, which were ignored.
        words: what matches are assessed for, the words looked for, float32 [dim], unit length; ``None`` if the query
            has more than words, or none.
    """

    vector: NDArray[np.float32]
    own_ids: frozenset[int] = frozenset()
    words: NDArray[np.float32] | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """What of a picture or video is looked for; all of it by default."""

    box: Box | None = None
    at_s: float | None = None


_WHOLE = _Part()


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
        notify: Notify,
    ) -> None:
        """Bind the parts.

        Args:
            catalog: of the library, in which pictures are looked up.
            model: whose space.
            load_encoder: returns its encoder.
            concept_vector: returns the vector of a concept, float32 [dim], unit length.
            cache_texts: keep the embeddings of texts for later searches, and use those that are kept.
            notify: callback for one-line user notices: a text is too long for the model, or has unknown words.
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
        """A text, float32 [dim], unit length; short ones in templates where the model gains by it.

        Raises:
            UnknownTextError: the model knows none of its words.
        """
        embedding, notices = self._text(text, prompt_ensemble=load_calibration(self._model.spec).prompt_ensemble)
        for notice in notices:
            self._notify(notice)
        return embedding

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
            UnknownTextError: the model knows no word of what is looked for.
            ImageReadError: a picture cannot be read.
        """
        query, embeddings, notices = self._known(query, prompt_ensemble=prompt_ensemble)
        texts = [term for term in query.terms if isinstance(term, TextTerm)]
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
        words = _words(query, embeddings)
        return QueryVector(_pointing_somewhere(total), frozenset(own_ids), words, tuple(notices))

    def of_pictures(
        self, pictures: Sequence[Picture], *, box: Box | None = None, at_s: float | None = None
    ) -> QueryVector:
        """The mean of pictures' embeddings, or the embedding of a part of one, or of a video's frame.

        Args:
            pictures: one or more.
            box: the part of the only picture.
            at_s: time of the frame in the only video, in seconds.

        Raises:
            QueryError: there is no picture, a box goes with several, reaches outside or is empty, or an id is unknown
                or ambiguous.
            ImageReadError: a picture cannot be read.
        """
        if not pictures:
            raise QueryError("a picture to compare with is required")
        if box is not None and len(pictures) > 1:
            raise QueryError("--box needs exactly one picture")
        if at_s is not None and (len(pictures) > 1 or at_s < 0):
            raise QueryError("--at needs exactly one video, and a time from its start")
        part = _Part(box, at_s)
        embedded = [self._picture(picture, part) for picture in pictures]
        total: NDArray[np.float32] = np.stack([embedding for embedding, _ in embedded]).sum(axis=0)
        own_ids = frozenset(own_id for _, own_id in embedded if own_id is not None)
        return QueryVector(_pointing_somewhere(total), own_ids)

    def _known(self, query: Query, *, prompt_ensemble: bool) -> tuple[Query, FloatMatrix, list[str]]:
        """The query without the texts that the model knows no word of, the others' embeddings, and notices."""
        kept: list[Term] = []
        embeddings: list[NDArray[np.float32]] = []
        notices: list[str] = []
        for term in query.terms:
            if isinstance(term, TextTerm):
                try:
                    embedding, of_text = self._text(term.text, prompt_ensemble=prompt_ensemble)
                except UnknownTextError as error:
                    notices.append(str(error))
                    continue
                embeddings.append(embedding)
                notices += of_text
            kept.append(term)
        has_positive = any(term.weight > 0 for term in query.terms)
        if not kept or (has_positive and not any(term.weight > 0 for term in kept)):
            raise UnknownTextError(notices[0])
        rows = np.stack(embeddings) if embeddings else np.empty((0, self._model.dim), np.float32)
        return replace(query, terms=tuple(kept)), rows, notices

    def _text(self, typed: str, *, prompt_ensemble: bool) -> tuple[NDArray[np.float32], list[str]]:
        """The embedding of a text, float32 [dim], and what is to be known of it.

        Raises:
            UnknownTextError: the model knows none of its words.
        """
        text = query_text(typed)
        if not text:
            raise UnknownTextError(f"there are no words in {shown(typed)}; describe the pictures, or use a filter")
        cached = self._cached(text, prompt_ensemble=prompt_ensemble)
        if cached is not None:
            return cached, []
        encoder, notices = self.encoder, list[str]()
        known, unknown = known_part(encoder, text)
        if not known:
            raise UnknownTextError(self._says_unknown(shown(text)))
        if unknown:
            notices.append(self._says_unknown(f"{', '.join(map(shown, unknown))}, and searches for {shown(known)}"))
        embedding = embed_queries(encoder, [known], ensemble=prompt_ensemble, notify=notices.append)[0]
        cache = self._cache_for(known)
        if cache is not None:
            cache.put(known, embedding, ensemble=prompt_ensemble)
        return embedding, notices

    def _cached(self, text: str, *, prompt_ensemble: bool) -> NDArray[np.float32] | None:
        cache = self._cache_for(text)
        return cache.get(text, ensemble=prompt_ensemble) if cache is not None else None

    def _cache_for(self, text: str) -> QueryCache | None:
        """Where a text's embedding is kept; of one that may have to be split, that has to be reported each time."""
        encoder = self.encoder
        short = not isinstance(encoder, CountsTokens) or surely_fits(text, encoder.context_length)
        return QueryCache.of(encoder) if self._cache_texts and short else None

    def _says_unknown(self, words: str) -> str:
        return (
            f"the model {self._model.spec} does not know {words}; "
            f"for other languages: clipsearch migrate --model {MULTILINGUAL}"
        )

    def _picture(self, picture: Picture, part: _Part) -> tuple[NDArray[np.float32], int | None]:
        """float32 [dim], and the id under which the library holds the picture, if it does."""
        if isinstance(picture, str):
            return self._term(picture_term(picture), part)
        if isinstance(picture, Path):
            return self._file(typed_path(picture), part)
        if part.at_s is not None:
            raise QueryError("--at needs a video")
        if part.box is not None:
            from clipsearch.media.cropping import cut

            picture = cut(picture, part.box)
        return self.of_image(picture), None

    def _term(self, term: ImageTerm, part: _Part = _WHOLE) -> tuple[NDArray[np.float32], int | None]:
        if term.path is not None:
            return self._file(typed_path(term.path), part)
        assert term.content_hash is not None
        own_id, embedding = embedding_starting(self._catalog.store, self._model, term.content_hash)
        known = self._known_part(own_id, embedding, part)
        if known is not None:
            return known, own_id
        files = self._catalog.files_of([own_id]).get(own_id, [])
        return self._embedded(open_original(files_of_content(self._catalog, files)), part), own_id

    def _file(self, path: Path, part: _Part) -> tuple[NDArray[np.float32], int | None]:
        from clipsearch.media.loading import open_media

        file = open_media(path)
        stored = self._catalog.store.embedding_of(file.content_hash, self._model.id)
        if stored is not None:
            own_id, vector = stored
            known = self._known_part(own_id, vector.astype(np.float32), part)
            if known is not None:
                return known, own_id
        return self._embedded(file, part), stored[0] if stored is not None else None

    def _known_part(self, own_id: int, whole: NDArray[np.float32], part: _Part) -> NDArray[np.float32] | None:
        """The library's embedding of a part of a content: of the frame that is shown at a time; ``None`` of a box."""
        if part.box is not None:
            return None
        if part.at_s is None:
            return whole
        frames = self._catalog.frames_of([own_id], dim=self._model.dim).get(own_id)
        if frames is None:
            raise QueryError("--at needs a video")
        duration_ms = self._catalog.store.durations_of([own_id]).get(own_id)
        if duration_ms is not None and 1000 * part.at_s > duration_ms:
            length = clock_time(duration_ms / 1000)
            raise QueryError(f"{clock_time(part.at_s)} is after the end: the video is {length} long")
        place = max(0, int(np.searchsorted(frames.positions, round(1000 * part.at_s), side="right")) - 1)
        frame: NDArray[np.float32] = frames.vectors[place].astype(np.float32)
        return frame

    def _embedded(self, file: MediaFile, part: _Part) -> NDArray[np.float32]:
        """The embedding of a part of a file; of a whole video the mean of its frames."""
        if part.box is not None:
            return self.of_image(file.part(part.box, at_s=part.at_s, min_side=self.min_side))
        if file.content is not None or part.at_s is not None:
            return self.of_image(file.picture(at_s=part.at_s, min_side=self.min_side))
        from clipsearch.media.video.reading import frames_of_video

        frames = [self.encoder.encode_pixels(pixels) for pixels in frames_of_video(file.path, self.encoder.transform)]
        return pool_frames(self.encoder, np.concatenate(frames))


def _pointing_somewhere(total: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sum of unit vectors brought to unit length."""
    length = float(np.linalg.norm(total))
    if length < _CANCELLED:
        raise QueryError("the terms of the query cancel each other out; change a weight or remove one")
    return total / np.float32(length)


def _words(query: Query, embeddings: FloatMatrix) -> NDArray[np.float32] | None:
    """`QueryVector.words`, from the embeddings of the query's texts, float32 [texts, dim]."""
    weights = np.array([max(term.weight, 0.0) for term in query.terms if isinstance(term, TextTerm)], np.float32)
    if len(weights) != len(query.terms) or not weights.any():
        return None
    total = (weights @ embeddings)[None]
    return l2_normalize(total)[0] if np.linalg.norm(total) > _CANCELLED else None
