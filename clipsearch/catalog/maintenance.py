"""Maintenance of the catalog: damage, unused contents, and forgetting of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, delete, func, select, tuple_

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import CatalogDamage, Repository, raise_revision
from clipsearch.catalog.models import MODEL_COLUMNS
from clipsearch.catalog.records import ModelRecord, model_record
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
    TextDocument,
    TextLine,
    TextState,
)
from clipsearch.catalog.text_documents import refresh_documents

_REPLACEABLE = frozenset(
    {
        ("files", "roots"),
        ("files", "contents"),
        ("failures", "roots"),
        ("embeddings", "contents"),
        ("content_keywords", "contents"),
        ("text_lines", "contents"),
        ("text_states", "contents"),
        ("text_documents", "contents"),
        ("content_tags", "contents"),
        ("content_tags", "models"),
        ("tag_states", "models"),
    }
)
"""Pairs of tables and referenced tables whose dangling rows may be deleted, because indexing recreates them."""


_OfContent: TypeAlias = (
    Content | Embedding | ContentKeyword | ContentTag | TagDecision | TextLine | TextState | TextDocument
)


class MaintenanceRepository(Repository):
    """Maintenance of a catalog; `Catalog.upkeep`. Writing needs the writer's lock."""

    # --- damage ---------------------------------------------------------------------------------

    def damage(self) -> CatalogDamage:
        """Result of the database's integrity check."""
        return self._database.find_damage()

    def rebuild_indexes(self) -> None:
        """Rebuild all indexes."""
        self._database.rebuild_indexes()

    def delete_dangling(self, damage: CatalogDamage) -> None:
        """Delete foreign key violations that the indexer can recreate."""
        rows = [row for row in damage.dangling if is_replaceable(row.table, row.parent)]
        with self._database.writing() as connection:
            self._database.delete_rows(connection, rows)
            raise_revision(connection)

    # --- embeddings -----------------------------------------------------------------------------

    def models(self) -> list[ModelRecord]:
        """All models."""
        statement = select(*MODEL_COLUMNS).order_by(Model.id)
        with self._database.reading() as connection:
            return [model_record(row) for row in connection.execute(statement)]

    def embedding_ids(self, model: ModelRecord) -> tuple[NDArray[np.int64], list[int]]:
        """Ids of a model's embeddings with the correct length, int64 [n] ascending, and of the others."""
        statement = select(Embedding.id, func.length(Embedding.vector)).where(Embedding.model_id == model.id)
        good: list[int] = []
        bad: list[int] = []
        with self._database.reading() as connection:
            for row_id, length in connection.execute(statement.order_by(Embedding.id)):
                (good if length == 2 * model.dim else bad).append(row_id)
        return np.array(good, dtype=np.int64), bad

    def delete_embeddings(self, ids: Sequence[int]) -> None:
        """Delete embeddings, with the others of the same contents; the next indexing recreates them."""
        with self._database.writing() as connection:
            for chunk in chunks(ids):
                named = select(Embedding.content_hash, Embedding.model_id).where(Embedding.id.in_(chunk))
                pair = tuple_(Embedding.content_hash, Embedding.model_id)
                connection.execute(delete(Embedding).where(pair.in_(named)))
            raise_revision(connection)

    def path_of_embedding(self, embedding_id: int) -> Path | None:
        """A file of an embedding's content, if there is one."""
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
        """Number of contents with files that the model has not embedded, and an example."""
        known = select(Embedding.id).where(Embedding.content_hash == File.content_hash, Embedding.model_id == model_id)
        missing = select(func.count(File.content_hash.distinct())).where(~known.exists())
        example = select(Root.path, File.relative_path).join(File, File.root_id == Root.id).where(~known.exists())
        with self._database.reading() as connection:
            count = connection.execute(missing).scalar_one()
            row = connection.execute(example.limit(1)).one_or_none()
        return count, Path(row[0]) / row[1] if row else None

    def count_embeddings(self) -> int:
        """Number of embeddings of all models."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(Embedding)).scalar_one()

    # --- contents -------------------------------------------------------------------------------

    def count_unreferenced(self) -> tuple[int, int]:
        """Numbers of images and embeddings without files."""
        with self._database.reading() as connection:
            contents = select(func.count()).select_from(Content).where(~_has_file(Content))
            embeddings = select(func.count()).select_from(Embedding).where(~_has_file(Embedding))
            return connection.execute(contents).scalar_one(), connection.execute(embeddings).scalar_one()

    def known_contents(self, prefix: str) -> dict[str, bool]:
        """Contents by hash prefix, and whether they have files."""
        # "g" sorts after all hex digits; unlike LIKE, BETWEEN uses the index
        within = Content.content_hash.between(prefix, f"{prefix}g")
        with self._database.reading() as connection:
            rows = connection.execute(select(Content.content_hash, _has_file(Content)).where(within))
            return {content_hash: bool(has_file) for content_hash, has_file in rows}

    def files_holding(self, content_hashes: Sequence[str]) -> Iterator[tuple[str, Path]]:
        """Contents with their files, grouped by content."""
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

    def drop_unreferenced(self) -> tuple[int, int]:
        """Delete all images without files, with embeddings, keywords and tags, in one transaction.

        Returns:
            Numbers of deleted images and embeddings.
        """
        with self._database.writing() as connection:
            embeddings = connection.execute(delete(Embedding).where(~_has_file(Embedding))).rowcount
            for table in (ContentKeyword, ContentTag, TagDecision, TextLine, TextState, TextDocument):
                connection.execute(delete(table).where(~_has_file(table)))
            images = connection.execute(delete(Content).where(~_has_file(Content))).rowcount
            if images or embeddings:
                raise_revision(connection)
        return images, embeddings

    def pack(self) -> None:
        """Reclaim the space of deleted rows."""
        self._database.pack()

    # --- forgetting -----------------------------------------------------------------------------

    def rows_below(self, root_id: int, relative: str) -> dict[type[File | Failure], list[int]]:
        """Row ids of files and failures at or below a relative path; all for an empty path."""
        tables = (File, Failure)
        with self._database.reading() as connection:
            at_path: dict[type[File | Failure], list[int]] = {}
            for table in tables:
                exact = select(table.id).where(table.root_id == root_id, table.relative_path == relative)
                at_path[table] = list(connection.execute(exact).scalars())
            if any(at_path.values()):
                return at_path  # a file; the query below reads the whole table
            below_path: dict[type[File | Failure], list[int]] = {}
            for table in tables:
                statement = select(table.id, table.relative_path).where(table.root_id == root_id)
                if relative:
                    statement = statement.where(table.relative_path.startswith(relative, autoescape=True, escape="^"))
                # LIKE ignores case in SQLite, and encoded bytes contain slashes
                prefix = f"{relative}/" if relative else ""
                rows = connection.execute(statement)
                below_path[table] = [row_id for row_id, path in rows if path.startswith(prefix)]
        return below_path

    def forget(self, rows: Sequence[dict[type[File | Failure], list[int]]]) -> int:
        """Delete rows returned by `rows_below`, in one transaction, and return their number."""
        forgotten = 0
        with self._database.writing() as connection:
            contents: set[str] = set()
            for ids in (by_table.get(File, ()) for by_table in rows):
                for chunk in chunks(ids):
                    of_files = select(File.content_hash).where(File.id.in_(chunk))
                    contents.update(connection.execute(of_files).scalars())
            for by_table in rows:
                for table, ids in by_table.items():
                    for chunk in chunks(ids):
                        forgotten += connection.execute(delete(table).where(table.id.in_(chunk))).rowcount
            refresh_documents(connection, contents)
            raise_revision(connection)
        return forgotten


def is_replaceable(table: str, parent: str) -> bool:
    """Whether dangling rows of a table that refer to `parent` may be deleted."""
    return (table, parent) in _REPLACEABLE


def _has_file(table: type[_OfContent]) -> ColumnElement[bool]:
    return select(File.id).where(File.content_hash == table.content_hash).exists()
