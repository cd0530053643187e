"""Looking after a catalog: finding damage and what nobody needs any more, mending and dropping it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, delete, func, select, tuple_

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import CatalogDamage, Database
from clipsearch.catalog.models import MODEL_COLUMNS
from clipsearch.catalog.records import ModelRecord, model_record
from clipsearch.catalog.revision import raise_revision
from clipsearch.catalog.tables import (
    Content,
    ContentKeyword,
    ContentTag,
    Embedding,
    Failure,
    File,
    Model,
    Root,
    TagDecision,
)

_REPLACEABLE = frozenset(
    {
        ("files", "roots"),
        ("files", "contents"),
        ("failures", "roots"),
        ("embeddings", "contents"),
        ("content_keywords", "contents"),
        ("content_tags", "contents"),
        ("content_tags", "models"),
        ("tag_states", "models"),
    }
)
"""Tables, each with one that its rows name: without that row, theirs can go, and indexing makes them again."""


class MaintenanceRepository:
    """Upkeep of a catalog; `Catalog.upkeep`. Whoever changes something holds the writer's lock."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    # --- damage ---------------------------------------------------------------------------------

    def damage(self) -> CatalogDamage:
        """What the database finds wrong with its own file."""
        return self._database.find_damage()

    def rebuild_indexes(self) -> None:
        """Make every index again from its table."""
        self._database.rebuild_indexes()

    def delete_dangling(self, damage: CatalogDamage) -> None:
        """Delete rows that name others which are not there, where the indexer can make them again."""
        rows = [row for row in damage.dangling if is_replaceable(row.table, row.parent)]
        with self._database.writing() as connection:
            self._database.delete_rows(connection, rows)
            raise_revision(connection)

    # --- embeddings -----------------------------------------------------------------------------

    def models(self) -> list[ModelRecord]:
        """Every model that the catalog has known."""
        statement = select(*MODEL_COLUMNS).order_by(Model.id)
        with self._database.reading() as connection:
            return [model_record(row) for row in connection.execute(statement)]

    def embedding_ids(self, model: ModelRecord) -> tuple[NDArray[np.int64], list[int]]:
        """Ids of a model's embeddings: those of the right length in bytes, int64 [n] ascending, and the others."""
        statement = select(Embedding.id, func.length(Embedding.vector)).where(Embedding.model_id == model.id)
        good: list[int] = []
        bad: list[int] = []
        with self._database.reading() as connection:
            for row_id, length in connection.execute(statement.order_by(Embedding.id)):
                (good if length == 2 * model.dim else bad).append(row_id)
        return np.array(good, dtype=np.int64), bad

    def delete_embeddings(self, ids: Sequence[int]) -> None:
        """Delete embeddings by id, with the others of the same content; the next indexing makes them again."""
        with self._database.writing() as connection:
            for chunk in chunks(ids):
                named = select(Embedding.content_hash, Embedding.model_id).where(Embedding.id.in_(chunk))
                pair = tuple_(Embedding.content_hash, Embedding.model_id)
                connection.execute(delete(Embedding).where(pair.in_(named)))
            raise_revision(connection)

    def path_of_embedding(self, embedding_id: int) -> Path | None:
        """A file whose content an embedding is of, if there is one."""
        statement = (
            select(Root.path, File.relative_path)
            .join(File, File.root_id == Root.id)
            .join(Embedding, Embedding.content_hash == File.content_hash)
            .where(Embedding.id == embedding_id)
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return Path(row[0]) / row[1] if row else None

    def without_embedding(self, model_id: int) -> tuple[int, Path | None]:
        """How many contents that files hold the model has not embedded, and a file that holds one of them."""
        known = select(Embedding.id).where(Embedding.content_hash == File.content_hash, Embedding.model_id == model_id)
        lacking = select(func.count(File.content_hash.distinct())).where(~known.exists())
        example = select(Root.path, File.relative_path).join(File, File.root_id == Root.id).where(~known.exists())
        with self._database.reading() as connection:
            count = connection.execute(lacking).scalar_one()
            row = connection.execute(example.limit(1)).one_or_none()
        return count, Path(row[0]) / row[1] if row else None

    def count_embeddings(self) -> int:
        """How many embeddings there are, of all models."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(Embedding)).scalar_one()

    # --- contents -------------------------------------------------------------------------------

    def count_unheld(self) -> tuple[int, int]:
        """How many images and how many embeddings of them are in the catalog although no file holds them."""
        with self._database.reading() as connection:
            contents = select(func.count()).select_from(Content).where(~_is_held(Content))
            embeddings = select(func.count()).select_from(Embedding).where(~_is_held(Embedding))
            return connection.execute(contents).scalar_one(), connection.execute(embeddings).scalar_one()

    def known_contents(self, prefix: str) -> dict[str, bool]:
        """The contents of the catalog whose hash begins with hex digits, and whether a file holds them."""
        # "g" comes after every hex digit, so that an index serves, which LIKE does not use
        within = Content.content_hash.between(prefix, f"{prefix}g")
        with self._database.reading() as connection:
            rows = connection.execute(select(Content.content_hash, _is_held(Content)).where(within))
            return {content_hash: bool(held) for content_hash, held in rows}

    def files_holding(self, content_hashes: Sequence[str]) -> Iterator[tuple[str, Path]]:
        """Contents and the files that hold them, copies one after the other."""
        for chunk in chunks(content_hashes):
            statement = (
                select(File.content_hash, Root.path, File.relative_path)
                .join(Root, Root.id == File.root_id)
                .where(File.content_hash.in_(chunk))
                .order_by(File.content_hash)
            )
            with self._database.reading() as connection:
                rows = connection.execute(statement).all()
            yield from ((content_hash, Path(root) / relative) for content_hash, root, relative in rows)

    def drop_unheld(self) -> tuple[int, int]:
        """Drop every image that no file holds, with its embeddings, keywords and tags, in one transaction.

        Returns:
            How many images and how many embeddings that were.
        """
        with self._database.writing() as connection:
            embeddings = connection.execute(delete(Embedding).where(~_is_held(Embedding))).rowcount
            for table in (ContentKeyword, ContentTag, TagDecision):
                connection.execute(delete(table).where(~_is_held(table)))
            images = connection.execute(delete(Content).where(~_is_held(Content))).rowcount
            if images or embeddings:
                raise_revision(connection)
        return images, embeddings

    def pack(self) -> None:
        """Give the room of deleted rows back to the disk."""
        self._database.pack()

    # --- forgetting -----------------------------------------------------------------------------

    def rows_below(self, root_id: int, relative: str) -> dict[type[File | Failure], list[int]]:
        """Rows of the files, readable and not, that are a relative path or lie below it; all for an empty one."""
        tables = (File, Failure)
        with self._database.reading() as connection:
            named: dict[type[File | Failure], list[int]] = {}
            for table in tables:
                exact = select(table.id).where(table.root_id == root_id, table.relative_path == relative)
                named[table] = list(connection.execute(exact).scalars())
            if any(named.values()):
                return named  # without the search below, which reads the whole table
            found: dict[type[File | Failure], list[int]] = {}
            for table in tables:
                statement = select(table.id, table.relative_path).where(table.root_id == root_id)
                if relative:
                    statement = statement.where(table.relative_path.startswith(relative, autoescape=True, escape="^"))
                # LIKE ignores case in SQLite, and takes an encoded byte for the beginning of a folder
                below = f"{relative}/" if relative else ""
                found[table] = [row_id for row_id, path in connection.execute(statement) if path.startswith(below)]
        return found

    def forget(self, rows: Sequence[dict[type[File | Failure], list[int]]]) -> int:
        """Delete rows that `rows_below` found, in one transaction, and return how many there were."""
        forgotten = 0
        with self._database.writing() as connection:
            for found in rows:
                for table, ids in found.items():
                    for chunk in chunks(ids):
                        forgotten += connection.execute(delete(table).where(table.id.in_(chunk))).rowcount
            raise_revision(connection)
        return forgotten


def is_replaceable(table: str, parent: str) -> bool:
    """Whether a row of a table may go because the row of `parent` that it names is not there."""
    return (table, parent) in _REPLACEABLE


def _is_held(table: type[Content | Embedding | ContentKeyword | ContentTag | TagDecision]) -> ColumnElement[bool]:
    return select(File.id).where(File.content_hash == table.content_hash).exists()
