"""Automatic tags: score every word of a vocabulary on every picture of a library, and store those that fit.

After an indexing run new pictures are tagged. Tags set or rejected by the user are stored separately
(`clipsearch.catalog.tags`) and never changed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.tags import TagProgress
from clipsearch.catalog.vocabulary import Word, load_vocabulary, more_general, parse_vocabulary, vocabulary_text
from clipsearch.config import typed_path
from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.labeling.tag_scores import TagCalibration, TagScorer, load_tag_calibration
from clipsearch.labeling.zero_shot import class_embeddings
from clipsearch.media.loading import open_media
from clipsearch.models.encoder import FloatMatrix, TextEncoder
from clipsearch.retrieval.picture_reference import picture_term
from clipsearch.retrieval.relevance.calibration import background_ids
from clipsearch.retrieval.relevance.caption_bank import bank_name, cached_embeddings

GROWTH = 2.0
"""Factor of library growth at which all pictures are tagged again."""


@dataclass(frozen=True)
class TagReport:
    """Result of a tagging run.

    Attributes:
        pictures: number of pictures scored.
        tagged: number of pictures with tags.
        tags: total number of tags.
        words: size of the vocabulary.
        everything: whether all pictures of the library were scored.
    """

    pictures: int
    tagged: int
    tags: int
    words: int
    everything: bool


def tag_library(
    store: Catalog,
    model: ModelRecord,
    *,
    encoder: Callable[[], TextEncoder],
    vocabulary: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> TagReport:
    """See `Library.tags.assign`; the vocabulary is stored in the catalog."""
    text = vocabulary_text(load_vocabulary(vocabulary)) if vocabulary is not None else None
    with store.writer_lock():
        return _Run(store, model, encoder, text).everything(progress)


def keep_tags_current(store: Catalog, model: ModelRecord, *, encoder: Callable[[], TextEncoder]) -> TagReport | None:
    """Tag new pictures, or all if the library has grown by `GROWTH` or the calibration has changed.

    Returns:
        ``None`` if there was nothing to do or the library was never tagged.

    Raises:
        LibraryLockedError: another process is writing to this library.
    """
    progress = store.tags.progress(model.id)
    if progress is None:
        return None
    run = _Run(store, model, encoder, progress.vocabulary)
    if progress.digest == run.digest and store.tags.newest_embedding(model.id) <= progress.embedding_id:
        return None
    with store.writer_lock():
        if progress.digest != run.digest or run.count() > GROWTH * progress.pictures:
            return run.everything(lambda _: None)
        return run.newer_than(progress)


def carry_tags_over(
    store: Catalog, before: TagProgress, model: ModelRecord, *, encoder: Callable[[], TextEncoder]
) -> TagReport:
    """Tag everything with a new model and the vocabulary of the previous one.

    Raises:
        LibraryLockedError: another process is writing to this library.
    """
    with store.writer_lock():
        return _Run(store, model, encoder, before.vocabulary).everything(lambda _: None)


def contents_named(store: Catalog, pictures: Sequence[Path | str]) -> list[str]:
    """The content hashes of pictures of a library.

    Args:
        store: the catalog.
        pictures: files, also offline; or ``~#`` and the first digits of a content hash.

    Raises:
        ConfigError: a picture is not in the library or ambiguous.
    """
    return [_content_named(store, picture) for picture in pictures]


def _content_named(store: Catalog, picture: Path | str) -> str:
    digits = picture_term(picture).content_hash if isinstance(picture, str) else None
    if digits is None:
        path = typed_path(picture)
        try:
            digits = open_media(path).content_hash
        except ImageReadError:  # offline; the catalog may know it
            digits = store.concepts.content_at(path) or ""
    matches = [known for known, has_file in store.upkeep.known_contents(digits).items() if has_file] if digits else []
    if len(matches) != 1:
        what = "more than one picture" if matches else "no picture"
        raise ConfigError(f"the library has {what} {picture}; index its folder first with: clipsearch index FOLDER")
    return matches[0]


def embed_words(encoder: TextEncoder, words: Sequence[Word], templates: Sequence[str]) -> FloatMatrix:
    """Embeddings of a vocabulary, float32 [words, dim], unit rows."""
    return class_embeddings(encoder, [word.name for word in words], templates)


def words_file(encoder: TextEncoder, words: Sequence[Word], templates: Sequence[str]) -> str:
    """File name of a vocabulary's cached embeddings."""
    return "words-" + bank_name(encoder.fingerprint, (*templates, *(word.name for word in words)))


class _Run:
    """A tagging run with one model, library and vocabulary."""

    def __init__(
        self, store: Catalog, model: ModelRecord, encoder: Callable[[], TextEncoder], text: str | None
    ) -> None:
        self._store = store
        self._model = model
        self._encoder = encoder
        self._text = text
        self._words = parse_vocabulary(text, "of the library") if text is not None else load_vocabulary()
        self._calibration = load_tag_calibration(model.spec)
        self.digest = _digest(self._words, self._calibration)

    def count(self) -> int:
        """Number of pictures."""
        return len(self._ids())

    def everything(self, progress: Callable[[int], None]) -> TagReport:
        """Tag all pictures."""
        report = self._tag(after=0, progress=progress)
        self._store.tags.set_progress(
            self._model.id, TagProgress(self._text, self.digest, self._newest, report.pictures)
        )
        return report

    def newer_than(self, done: TagProgress) -> TagReport:
        """Tag the pictures embedded since."""
        report = self._tag(after=done.embedding_id, progress=lambda _: None)
        self._store.tags.set_progress(self._model.id, replace(done, embedding_id=self._newest))
        return report

    def _tag(self, *, after: int, progress: Callable[[int], None]) -> TagReport:
        scorer = self._scorer()
        pictures = tagged = tags = 0
        self._newest = after
        for block in self._store.tags.embedded(self._model, after=after):
            block_tags = scorer.tags(block.vectors)
            self._store.tags.write(
                self._model.id,
                {
                    content: [(self._words[word].name, score) for word, score in fitting]
                    for content, fitting in zip(block.content_hashes, block_tags, strict=True)
                },
            )
            pictures += len(block_tags)
            tagged += sum(1 for fitting in block_tags if fitting)
            tags += sum(len(fitting) for fitting in block_tags)
            self._newest = int(block.ids[-1])
            progress(pictures)
        return TagReport(pictures, tagged, tags, len(self._words), everything=after == 0)

    def _scorer(self) -> TagScorer:
        shipped = self._embedded(load_vocabulary())
        words = self._embedded(self._words) if self._text is not None else shipped
        return TagScorer(
            self._calibration, words, self._background(), others=shipped, more_general=more_general(self._words)
        )

    def _embedded(self, words: Sequence[Word]) -> FloatMatrix:
        encoder, templates = self._encoder(), self._calibration.templates
        name, shape = words_file(encoder, words, templates), (len(words), self._model.dim)
        return cached_embeddings(name, shape, lambda: embed_words(encoder, words, templates))

    def _background(self) -> NDArray[np.float16]:
        blocks = self._store.embeddings(background_ids(self._ids()), dim=self._model.dim)
        return np.concatenate([np.empty((0, self._model.dim), np.float16), *(vectors for _, vectors in blocks)])

    def _ids(self) -> NDArray[np.int64]:
        return self._store.live_embedding_ids(self._model.id, wholes_only=True)[1]


def _digest(words: Sequence[Word], calibration: TagCalibration) -> str:
    """Digest of vocabulary and calibration."""
    return hashlib.sha256(f"{vocabulary_text(words)}{calibration}".encode()).hexdigest()
