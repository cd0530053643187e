"""Tags of contents: assigned by models, and decided by the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Subquery,
    and_,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast

from clipsearch.catalog.blobs import from_blobs
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Repository
from clipsearch.catalog.portable_sql import folded
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.tables import CatalogState, Content, ContentTag, Embedding, File, TagDecision, TagState
from clipsearch.catalog.vocabulary import Folding, canonical, parse_vocabulary
from clipsearch.media.segments import WHOLE_KINDS

Source = Literal["model", "person"]


@dataclass(frozen=True)
class TagRecord:
    """A tag of a content.

    Attributes:
        tag: canonical name.
        source: who assigned it.
        score: probability, 0–1; ``None`` for a user's tag.
    """

    tag: str
    source: Source
    score: float | None = None


@dataclass(frozen=True)
class TagCount:
    """A tag with its number of images, and the number of those tagged by the user."""

    tag: str
    images: int
    by_person: int


@dataclass(frozen=True)
class TagProgress:
    """Progress of a model's tagging; see `clipsearch.catalog.tables.TagState`."""

    vocabulary: str | None
    digest: str
    embedding_id: int
    pictures: int


@dataclass(frozen=True)
class EmbeddedContents:
    """A block of embeddings of whole images.

    Attributes:
        ids: int64 [n], ascending.
        content_hashes: of the images.
        vectors: float16 [n, dim], unit rows.
    """

    ids: NDArray[np.int64]
    content_hashes: tuple[str, ...]
    vectors: NDArray[np.float16]


class TagRepository(Repository):
    """The tags of a catalog; `Catalog.tags`.

    Writing a model's tags needs the writer's lock; a user's decisions do not, because no cache depends on them.
    """

    # --- a model's tags -------------------------------------------------------------------------

    def progress(self, model_id: int) -> TagProgress | None:
        """Progress of a model's tagging; ``None`` if it does not tag."""
        columns = (TagState.vocabulary, TagState.digest, TagState.embedding_id, TagState.pictures)
        with self._database.reading() as connection:
            row = connection.execute(select(*columns).where(TagState.model_id == model_id)).one_or_none()
        return TagProgress(*row) if row else None

    def newest_embedding(self, model_id: int) -> int:
        """Id of a model's newest embedding of a whole image; 0 if there is none."""
        newest = select(func.coalesce(func.max(Embedding.id), 0))
        with self._database.reading() as connection:
            return connection.execute(
                newest.where(Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS))
            ).scalar_one()

    def embedded(self, model: ModelRecord, *, after: int = 0) -> Iterator[EmbeddedContents]:
        """The model's embeddings of whole images after an id, in blocks.

        Raises:
            LibraryError: an embedding is damaged.
        """
        statement = select(Embedding.id, Embedding.content_hash, Embedding.vector).order_by(Embedding.id)
        statement = statement.where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS))
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(statement.where(Embedding.id > after).limit(_BLOCK)).all()
            if not rows:
                return
            after = rows[-1][0]
            ids, hashes, blobs = zip(*rows, strict=True)
            vectors = from_blobs(blobs, model.dim, catalog=self._database.name)
            yield EmbeddedContents(np.array(ids, np.int64), hashes, vectors)

    def write(self, model_id: int, tags: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        """Replace a model's tags of contents, with their scores."""
        with self._database.writing() as connection:
            for chunk in chunks(list(tags)):
                connection.execute(delete(ContentTag).where(_given(model_id), ContentTag.content_hash.in_(chunk)))
                rows = [
                    {"content_hash": content, "model_id": model_id, "tag": tag, "score": score}
                    for content in chunk
                    for tag, score in tags[content]
                ]
                if rows:
                    connection.execute(insert(ContentTag), rows)

    def set_progress(self, model_id: int, progress: TagProgress) -> None:
        """Record the progress of a model's tagging."""
        with self._database.writing() as connection:
            connection.execute(delete(TagState).where(TagState.model_id == model_id))
            connection.execute(insert(TagState).values(model_id=model_id, **vars(progress)))

    def drop(self, model_id: int) -> int:
        """Delete a model's tags and stop its tagging; returns the number of tagged images."""
        with self._database.writing() as connection:
            tagged = select(func.count(ContentTag.content_hash.distinct())).where(_given(model_id))
            count = connection.execute(tagged).scalar_one()
            connection.execute(delete(ContentTag).where(_given(model_id)))
            connection.execute(delete(TagState).where(TagState.model_id == model_id))
        return count

    # --- the user's -----------------------------------------------------------------------------

    def decide(self, content_hashes: Sequence[str], tag: str, *, present: bool | None) -> None:
        """Decide whether a tag fits contents; ``None`` deletes the decision."""
        with self._database.writing() as connection:
            for chunk in chunks(list(dict.fromkeys(content_hashes))):
                of_chunk = and_(TagDecision.content_hash.in_(chunk), TagDecision.tag == tag)
                connection.execute(delete(TagDecision).where(of_chunk))
                if present is not None:
                    rows = [{"content_hash": content, "tag": tag, "present": present} for content in chunk]
                    connection.execute(insert(TagDecision), rows)

    # --- effective tags -------------------------------------------------------------------------

    def canonical(self, name: str) -> str:
        """The canonical name of a tag, by the vocabulary of the active model's tags.

        Raises:
            ConfigError: the name is invalid (`clipsearch.catalog.vocabulary.Folding.canonical`).
        """
        statement = select(TagState.vocabulary).join(CatalogState, CatalogState.active_model_id == TagState.model_id)
        with self._database.reading() as connection:
            vocabulary = connection.execute(statement).scalar()
        if not vocabulary:
            return canonical(name)
        return Folding(parse_vocabulary(vocabulary, "of the library")).canonical(name)

    def of(self, content_hash: str) -> list[TagRecord]:
        """Tags of a content: the user's by name, then the active model's by descending score."""
        tags = effective_tags()
        statement = select(tags.c.tag, tags.c.score).where(tags.c.content_hash == content_hash)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        records = [TagRecord(tag, "person" if score is None else "model", score) for tag, score in rows]
        return sorted(records, key=lambda item: (-1.0 if item.score is None else -item.score + 1, item.tag))

    def counts(self, condition: ColumnElement[bool] | None = None) -> list[TagCount]:
        """Tags of contents with files, optionally with a file that passes a condition, by descending frequency."""
        tags = effective_tags()
        images, by_person = func.count(tags.c.content_hash.distinct()), func.count(tags.c.content_hash.distinct())
        statement = select(tags.c.tag, images, by_person.filter(tags.c.score.is_(None))).join(
            File, File.content_hash == tags.c.content_hash
        )
        if condition is not None:
            statement = statement.join(Content, Content.content_hash == File.content_hash).where(condition)
        with self._database.reading() as connection:
            rows = connection.execute(statement.group_by(tags.c.tag)).all()
        return sorted((TagCount(*row) for row in rows), key=lambda item: (-item.images, item.tag))


_BLOCK = 2000
"""Embeddings per block."""


def effective_tags() -> Subquery:
    """Subquery of content_hash, tag and score: the user's tags (score NULL), and the active model's undecided ones."""
    active = select(CatalogState.active_model_id).scalar_subquery()
    decided = select(TagDecision.tag).where(
        TagDecision.content_hash == ContentTag.content_hash, TagDecision.tag == ContentTag.tag
    )
    model_tags = select(ContentTag.content_hash, ContentTag.tag, ContentTag.score)
    decisions = select(TagDecision.content_hash, TagDecision.tag, sql_cast(null(), Float).label("score"))
    return union_all(
        model_tags.where(ContentTag.model_id == active, ~decided.exists()), decisions.where(TagDecision.present)
    ).subquery()


def has_tag(names: Sequence[str]) -> ColumnElement[bool]:
    """Whether the content of a `File` has a tag of one of these names, in the form of `clipsearch.text.fold`."""
    active = select(CatalogState.active_model_id).scalar_subquery()
    decision = select(TagDecision.tag).where(
        TagDecision.content_hash == File.content_hash, folded(TagDecision.tag).in_(names), TagDecision.present
    )
    decided = select(TagDecision.tag).where(
        TagDecision.content_hash == File.content_hash, TagDecision.tag == ContentTag.tag
    )
    model_tag = select(ContentTag.tag).where(
        ContentTag.content_hash == File.content_hash,
        folded(ContentTag.tag).in_(names),
        ContentTag.model_id == active,
        ~decided.correlate(File, ContentTag).exists(),
    )
    return or_(decision.exists(), model_tag.exists())


def drop_tags_of_others(connection: Connection, model_id: int) -> None:
    """Delete the tags of all models but one."""
    connection.execute(delete(ContentTag).where(ContentTag.model_id != model_id))
    connection.execute(delete(TagState).where(TagState.model_id != model_id))


def _given(model_id: int) -> ColumnElement[bool]:
    return ContentTag.model_id == model_id
