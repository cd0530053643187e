"""Tags of a whole library: every word of a vocabulary is compared with every picture, and what fits is kept.

They are kept current: after an indexing run, pictures that are new get theirs. What a person has said of a tag is
kept apart (`clipsearch.catalog.tags`), so that nothing here can change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.tags import TagProgress
from clipsearch.catalog.vocabulary import Word, load_vocabulary, more_general, parse_vocabulary, vocabulary_text
from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.labeling.tag_scores import TagCalibration, TagScorer, load_tag_calibration
from clipsearch.labeling.zero_shot import class_embeddings
from clipsearch.media.decoding import content_hash, read_image_bytes
from clipsearch.models.encoder import FloatMatrix, TextEncoder
from clipsearch.retrieval.picture_reference import picture_term
from clipsearch.retrieval.relevance.calibration import background_ids
from clipsearch.retrieval.relevance.caption_bank import bank_name, kept_bank

GROWTH = 2.0
"""How many times as many pictures a library must have for all to be compared with it anew."""


@dataclass(frozen=True)
class TagReport:
    """What was tagged.

    Attributes:
        pictures: that were compared with the vocabulary.
        tagged: those of them that got tags.
        tags: that they got, altogether.
        words: of the vocabulary.
        everything: whether these were all pictures of the library.
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
    """Compare every picture with a vocabulary, and give it the tags that fit.

    Args:
        store: the catalog.
        model: whose embeddings are compared.
        encoder: gives the model's, if the vocabulary has to be embedded.
        vocabulary: a file as for `load_vocabulary`; the shipped one by default. It is kept in the catalog.
        progress: told now and then how many pictures are done.

    Raises:
        ConfigError: the vocabulary is wrong.
        LibraryLockedError: another process is writing to this library.
    """
    text = vocabulary_text(load_vocabulary(vocabulary)) if vocabulary is not None else None
    with store.writer_lock():
        return _Run(store, model, encoder, text).everything(progress)


def keep_tags_current(store: Catalog, model: ModelRecord, *, encoder: Callable[[], TextEncoder]) -> TagReport | None:
    """Tag what has come since the last time, or everything if the library has changed much or the method has.

    Returns:
        ``None`` if there was nothing to do, in particular if the library was never tagged.

    Raises:
        LibraryLockedError: another process is writing to this library.
    """
    held = store.tags.progress(model.id)
    if held is None:
        return None
    run = _Run(store, model, encoder, held.vocabulary)
    if held.digest == run.digest and store.tags.newest_embedding(model.id) <= held.embedding_id:
        return None
    with store.writer_lock():
        if held.digest != run.digest or run.count() > GROWTH * held.pictures:
            return run.everything(lambda _: None)
        return run.newer_than(held)


def carry_tags_over(
    store: Catalog, before: TagProgress, model: ModelRecord, *, encoder: Callable[[], TextEncoder]
) -> TagReport:
    """Tag everything with a new model, by the vocabulary that another one's tags were of.

    Raises:
        LibraryLockedError: another process is writing to this library.
    """
    with store.writer_lock():
        return _Run(store, model, encoder, before.vocabulary).everything(lambda _: None)


def contents_named(store: Catalog, pictures: Sequence[Path | str]) -> list[str]:
    """The content hashes of pictures of a library.

    Args:
        store: the catalog.
        pictures: files, also ones whose drive is not there; or ``~#`` and the first digits of a content hash.

    Raises:
        ConfigError: the library holds no such picture, or several.
    """
    return [_content_named(store, picture) for picture in pictures]


def _content_named(store: Catalog, picture: Path | str) -> str:
    digits = picture_term(picture).content_hash if isinstance(picture, str) else None
    if digits is None:
        path = Path(picture).expanduser()
        try:
            digits = content_hash(read_image_bytes(path))
        except ImageReadError:  # its drive is not there; the catalog may know it
            digits = store.concepts.content_at(path) or ""
    found = [known for known, held in store.upkeep.known_contents(digits).items() if held] if digits else []
    if len(found) != 1:
        what = "more than one picture" if found else "no picture"
        raise ConfigError(f"the library holds {what} {picture}; index its folder first with: clipsearch index FOLDER")
    return found[0]


def embed_words(encoder: TextEncoder, words: Sequence[Word], templates: Sequence[str]) -> FloatMatrix:
    """A direction for each word of a vocabulary, float32 [words, dim], unit rows."""
    return class_embeddings(encoder, [word.name for word in words], templates)


def words_file(encoder: TextEncoder, words: Sequence[Word], templates: Sequence[str]) -> str:
    """Name of the file that keeps the embeddings of a vocabulary."""
    return "words-" + bank_name(encoder.fingerprint, (*templates, *(word.name for word in words)))


class _Run:
    """One model, one library, one vocabulary."""

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
        """Pictures that files hold."""
        return len(self._ids())

    def everything(self, progress: Callable[[int], None]) -> TagReport:
        """Tag all pictures."""
        report = self._tag(after=0, progress=progress)
        self._store.tags.set_progress(
            self._model.id, TagProgress(self._text, self.digest, self._newest, report.pictures)
        )
        return report

    def newer_than(self, held: TagProgress) -> TagReport:
        """Tag the pictures that were embedded since."""
        report = self._tag(after=held.embedding_id, progress=lambda _: None)
        newer = TagProgress(held.vocabulary, held.digest, self._newest, held.pictures)
        self._store.tags.set_progress(self._model.id, newer)
        return report

    def _tag(self, *, after: int, progress: Callable[[int], None]) -> TagReport:
        scorer = self._scorer()
        pictures = tagged = tags = 0
        self._newest = after
        for block in self._store.tags.embedded(self._model, after=after):
            own = scorer.tags(block.vectors)
            self._store.tags.write(
                self._model.id,
                {
                    content: [(self._words[word].name, score) for word, score in fitting]
                    for content, fitting in zip(block.content_hashes, own, strict=True)
                },
            )
            pictures += len(own)
            tagged += sum(1 for fitting in own if fitting)
            tags += sum(len(fitting) for fitting in own)
            self._newest = int(block.ids[-1])
            progress(pictures)
        return TagReport(pictures, tagged, tags, len(self._words), everything=after == 0)

    def _scorer(self) -> TagScorer:
        shipped = self._embedded(load_vocabulary())
        own = self._embedded(self._words) if self._text is not None else shipped
        return TagScorer(
            self._calibration, own, self._background(), others=shipped, more_general=more_general(self._words)
        )

    def _embedded(self, words: Sequence[Word]) -> FloatMatrix:
        encoder, templates = self._encoder(), self._calibration.templates
        name, shape = words_file(encoder, words, templates), (len(words), self._model.dim)
        return kept_bank(name, shape, lambda: embed_words(encoder, words, templates))

    def _background(self) -> NDArray[np.float16]:
        blocks = self._store.embeddings(background_ids(self._ids()), dim=self._model.dim)
        return np.concatenate([np.empty((0, self._model.dim), np.float16), *(vectors for _, vectors in blocks)])

    def _ids(self) -> NDArray[np.int64]:
        return self._store.live_embedding_ids(self._model.id, wholes_only=True)[1]


def _digest(words: Sequence[Word], calibration: TagCalibration) -> str:
    """Of all that tags depend on but the pictures."""
    return hashlib.sha256(f"{vocabulary_text(words)}{calibration}".encode()).hexdigest()
