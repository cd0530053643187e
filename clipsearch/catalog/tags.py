"""The tags of a catalog's contents: those that its models gave, and what a person has said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Database
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.tables import CatalogState, Content, ContentTag, Embedding, File, TagDecision, TagState
from clipsearch.catalog.vocabulary import Folding, canonical, parse_vocabulary
from clipsearch.errors import LibraryError
from clipsearch.media.segments import WHOLE_KINDS

Source = Literal["model", "person"]


@dataclass(frozen=True)
class TagRecord:
    """A tag of a content.

    Attributes:
        tag: its one name.
        source: who gave it.
        score: the probability that it fits, 0–1; ``None`` from a person.
    """

    tag: str
    source: Source
    score: float | None = None


@dataclass(frozen=True)
class TagCount:
    """How many contents that files hold have a tag, and how many of these got it from a person."""

    tag: str
    images: int
    by_person: int


@dataclass(frozen=True)
class TagProgress:
    """How far a model's tags have come; see `clipsearch.catalog.tables.TagState`."""

    vocabulary: str | None
    digest: str
    embedding_id: int
    pictures: int


@dataclass(frozen=True)
class EmbeddedContents:
    """A block of embeddings of whole pictures.

    Attributes:
        ids: int64 [n], ascending.
        content_hashes: of the pictures.
        vectors: float16 [n, dim], unit rows.
    """

    ids: NDArray[np.int64]
    content_hashes: tuple[str, ...]
    vectors: NDArray[np.float16]


class TagRepository:
    """The tags of a catalog; `Catalog.tags`.

    A person's decisions are single rows that no cache depends on, so the writer's lock is not asked for; whoever
    writes a model's tags holds it.
    """

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    # --- a model's tags -------------------------------------------------------------------------

    def progress(self, model_id: int) -> TagProgress | None:
        """How far a model's tags have come; ``None`` if it gives none."""
        columns = (TagState.vocabulary, TagState.digest, TagState.embedding_id, TagState.pictures)
        with self._database.reading() as connection:
            row = connection.execute(select(*columns).where(TagState.model_id == model_id)).one_or_none()
        return TagProgress(*row) if row else None

    def newest_embedding(self, model_id: int) -> int:
        """The newest embedding of a whole picture by a model; 0 if there is none."""
        newest = select(func.coalesce(func.max(Embedding.id), 0))
        with self._database.reading() as connection:
            return connection.execute(
                newest.where(Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS))
            ).scalar_one()

    def embedded(self, model: ModelRecord, *, after: int = 0) -> Iterator[EmbeddedContents]:
        """The model's embeddings of whole pictures that are newer than one, in blocks.

        Raises:
            LibraryError: one of them is damaged.
        """
        statement = select(Embedding.id, Embedding.content_hash, Embedding.vector).order_by(Embedding.id)
        statement = statement.where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS))
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(statement.where(Embedding.id > after).limit(_BLOCK)).all()
            if not rows:
                return
            after = rows[-1][0]
            yield _block(rows, model.dim, self._database.name)

    def embedded_as(self, content_hashes: Sequence[str], model: ModelRecord) -> dict[str, NDArray[np.float16]]:
        """Embeddings of whole pictures by content hash, float16 [dim]; without those that the model has not embedded.

        Raises:
            LibraryError: one of them is damaged.
        """
        found: dict[str, NDArray[np.float16]] = {}
        statement = select(Embedding.id, Embedding.content_hash, Embedding.vector)
        statement = statement.where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS))
        for chunk in chunks(content_hashes):
            with self._database.reading() as connection:
                rows = connection.execute(statement.where(Embedding.content_hash.in_(chunk))).all()
            if rows:
                block = _block(rows, model.dim, self._database.name)
                found.update(zip(block.content_hashes, block.vectors, strict=True))
        return found

    def write(self, model_id: int, tags: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        """Give contents a model's tags, with their scores, instead of those that it gave them before."""
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
        """Say how far a model's tags have come."""
        with self._database.writing() as connection:
            connection.execute(delete(TagState).where(TagState.model_id == model_id))
            connection.execute(insert(TagState).values(model_id=model_id, **vars(progress)))

    def drop(self, model_id: int) -> int:
        """Take a model's tags back, and give no more; returns how many pictures had some."""
        with self._database.writing() as connection:
            tagged = select(func.count(ContentTag.content_hash.distinct())).where(_given(model_id))
            count = connection.execute(tagged).scalar_one()
            connection.execute(delete(ContentTag).where(_given(model_id)))
            connection.execute(delete(TagState).where(TagState.model_id == model_id))
        return count

    # --- a person's -----------------------------------------------------------------------------

    def decide(self, content_hashes: Sequence[str], tag: str, *, present: bool | None) -> None:
        """Say that a tag fits contents or does not; with ``None``, leave it to the models again."""
        with self._database.writing() as connection:
            for chunk in chunks(list(dict.fromkeys(content_hashes))):
                of_chunk = and_(TagDecision.content_hash.in_(chunk), TagDecision.tag == tag)
                connection.execute(delete(TagDecision).where(of_chunk))
                if present is not None:
                    rows = [{"content_hash": content, "tag": tag, "present": present} for content in chunk]
                    connection.execute(insert(TagDecision), rows)

    # --- what holds -----------------------------------------------------------------------------

    def canonical(self, name: str) -> str:
        """The one name of a tag, by the vocabulary that the active model's tags are of.

        Raises:
            ConfigError: it is no name of a tag (`clipsearch.catalog.vocabulary.Folding.canonical`).
        """
        statement = select(TagState.vocabulary).join(CatalogState, CatalogState.active_model_id == TagState.model_id)
        with self._database.reading() as connection:
            own = connection.execute(statement).scalar()
        return Folding(parse_vocabulary(own, "of the library")).canonical(name) if own else canonical(name)

    def of(self, content_hash: str) -> list[TagRecord]:
        """The tags of a content: a person's by name, then the active model's, the surest first."""
        tags = effective_tags()
        statement = select(tags.c.tag, tags.c.score).where(tags.c.content_hash == content_hash)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        found = [TagRecord(tag, "person" if score is None else "model", score) for tag, score in rows]
        return sorted(found, key=lambda item: (-1.0 if item.score is None else -item.score + 1, item.tag))

    def counts(self, condition: ColumnElement[bool] | None = None) -> list[TagCount]:
        """The tags of contents that files hold, or of which a file passes a condition, the most frequent first."""
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
"""Embeddings that are in memory at a time."""


def effective_tags() -> Subquery:
    """Rows content_hash, tag, score of all tags that hold: a person's (their score is NULL), and the active model's
    of which no person has said anything."""
    active = select(CatalogState.active_model_id).scalar_subquery()
    decided = select(TagDecision.tag).where(
        TagDecision.content_hash == ContentTag.content_hash, TagDecision.tag == ContentTag.tag
    )
    given = select(ContentTag.content_hash, ContentTag.tag, ContentTag.score)
    said = select(TagDecision.content_hash, TagDecision.tag, sql_cast(null(), Float).label("score"))
    return union_all(
        given.where(ContentTag.model_id == active, ~decided.exists()), said.where(TagDecision.present)
    ).subquery()


def has_tag(names: Sequence[str]) -> ColumnElement[bool]:
    """Whether the content of a `File` has a tag of one of these names."""
    active = select(CatalogState.active_model_id).scalar_subquery()
    said = select(TagDecision.tag).where(
        TagDecision.content_hash == File.content_hash, TagDecision.tag.in_(names), TagDecision.present
    )
    decided = select(TagDecision.tag).where(
        TagDecision.content_hash == File.content_hash, TagDecision.tag == ContentTag.tag
    )
    given = select(ContentTag.tag).where(
        ContentTag.content_hash == File.content_hash,
        ContentTag.tag.in_(names),
        ContentTag.model_id == active,
        ~decided.correlate(File, ContentTag).exists(),
    )
    return or_(said.exists(), given.exists())


def drop_tags_of_others(connection: Connection, model_id: int) -> None:
    """Forget the tags of every model but one, before these models go."""
    connection.execute(delete(ContentTag).where(ContentTag.model_id != model_id))
    connection.execute(delete(TagState).where(TagState.model_id != model_id))


def _given(model_id: int) -> ColumnElement[bool]:
    return ContentTag.model_id == model_id


def _block(rows: Sequence[Any], dim: int, catalog: str) -> EmbeddedContents:
    blob = b"".join(vector for _, _, vector in rows)
    if len(blob) != 2 * dim * len(rows):
        raise LibraryError(f"{catalog} holds damaged embeddings; mend it with: clipsearch check --repair")
    ids = np.array([row_id for row_id, _, _ in rows], np.int64)
    return EmbeddedContents(ids, tuple(row[1] for row in rows), np.frombuffer(blob, "<f2").reshape(-1, dim))
