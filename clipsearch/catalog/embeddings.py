"""Reading the embeddings of a catalog."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, Integer, and_, bindparam, select
from sqlalchemy.orm import aliased
from sqlalchemy.sql import visitors

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete, is_embedded
from clipsearch.catalog.database import Database
from clipsearch.catalog.portable_sql import join_in_order
from clipsearch.catalog.revision import current_revision
from clipsearch.catalog.tables import Content, Embedding, File
from clipsearch.errors import LibraryError
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind

_FILES, _IMAGES, _EMBEDDINGS = File.__table__, Content.__table__, Embedding.__table__

_KNOWN = select(Content.content_hash).where(
    Content.content_hash == bindparam("of_hash"), is_complete(bindparam("of_model", type_=Integer))
)
"""Made once, as every file that is read is asked for: to make it takes five times as long as to run it."""


class EmbeddingReader:
    """The part of `clipsearch.catalog.catalog.Catalog` that reads embeddings."""

    _database: Database

    def revision(self) -> int:
        """Rises with each commit that can change which embeddings have files."""
        with self._database.reading() as connection:
            return current_revision(connection)

    def live_embedding_ids(self, model_id: int, *, wholes_only: bool = False) -> tuple[int, NDArray[np.int64]]:
        """The revision, and at that revision the ids of the model's embeddings that a file still holds.

        Args:
            model_id: whose embeddings.
            wholes_only: one for each content, leaving out those of tiles.

        Returns:
            The revision and int64 [n], ascending.
        """
        held = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id).where(Embedding.model_id == model_id, held).order_by(Embedding.id)
        if wholes_only:
            statement = statement.where(Embedding.kind.in_(WHOLE_KINDS))
        with self._database.reading() as connection:
            revision = current_revision(connection)
            return revision, np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embedding_ids_where(self, model_id: int, condition: ColumnElement[bool]) -> NDArray[np.int64]:
        """Ids of the model's embeddings of which a file passes a condition (`FilterCompiler`), int64 [n], ascending."""
        # what fails is to be left out before its rows in other tables are looked for
        first, second = (_FILES, _IMAGES) if _asks_of_files(condition) else (_IMAGES, _FILES)
        held = join_in_order(first, second, File.content_hash == Content.content_hash)
        statement = (
            select(Embedding.id)
            .select_from(join_in_order(held, _EMBEDDINGS, Embedding.content_hash == Content.content_hash))
            .where(Embedding.model_id == model_id, condition)
            .distinct()
            .order_by(Embedding.id)
        )
        with self._database.reading() as connection:
            return np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embeddings(
        self, ids: NDArray[np.int64], *, dim: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Read embeddings by id, in blocks.

        Yields:
            int64 [n] and float16 [n, dim]; ids that the catalog does not hold are left out.

        Raises:
            LibraryError: one of them is damaged.
        """
        for chunk in chunks(ids.tolist()):
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(Embedding.id, Embedding.vector).where(Embedding.id.in_(chunk)).order_by(Embedding.id)
                ).all()
            if rows:
                blob = b"".join(vector for _, vector in rows)
                if len(blob) != 2 * dim * len(rows):
                    raise LibraryError(
                        f"{self._database.name} holds damaged embeddings; mend it with: clipsearch check --repair"
                    )
                yield np.array([row_id for row_id, _ in rows]), np.frombuffer(blob, "<f2").reshape(-1, dim)

    def embedding_of(self, content_hash: str, model_id: int) -> tuple[int, NDArray[np.float16]] | None:
        """Id and float16 [dim] of a content's embedding, if the model has embedded it."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash == content_hash, Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return (row[0], np.frombuffer(row[1], "<f2")) if row else None

    def is_embedded(self, content_hash: str, model_id: int) -> bool:
        """Whether the model has embedded a content, and its tiles if it has any, from a file that holds it."""
        statement = select(Content.content_hash).where(Content.content_hash == content_hash, is_embedded(model_id))
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def embedded_among(self, content_hashes: Collection[str], model_id: int) -> set[str]:
        """Those contents that `is_embedded`."""
        found: set[str] = set()
        for chunk in chunks(sorted(content_hashes)):
            statement = select(Content.content_hash).where(Content.content_hash.in_(chunk), is_embedded(model_id))
            with self._database.reading() as connection:
                found.update(connection.execute(statement).scalars())
        return found

    def is_known(self, content_hash: str, model_id: int) -> bool:
        """Whether a content need not be decoded: the model has embedded it, and its metadata is up to date."""
        with self._database.reading() as connection:
            return connection.execute(_KNOWN, {"of_hash": content_hash, "of_model": model_id}).first() is not None

    def complete_contents(self, model_id: int) -> Iterator[str]:
        """Every content hash that `is_known`."""
        statement = select(Content.content_hash).where(is_complete(model_id))
        with self._database.reading() as connection:
            yield from connection.execute(statement).scalars()

    def by_hash_prefix(self, content_hash: str, model_id: int) -> list[tuple[int, NDArray[np.float16]]]:
        """Id and float16 [dim] of up to two embeddings whose content hash begins so."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash >= content_hash,
            Embedding.content_hash < content_hash + "g",  # after every hex digit
            Embedding.model_id == model_id,
            Embedding.kind.in_(WHOLE_KINDS),
        )
        with self._database.reading() as connection:
            return [(row_id, np.frombuffer(blob, "<f2")) for row_id, blob in connection.execute(statement.limit(2))]

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """For those embeddings that are not of a whole content: the id of the whole's, and the segment."""
        whole = aliased(Embedding)
        of_content = and_(whole.content_hash == Embedding.content_hash, whole.model_id == Embedding.model_id)
        statement = select(Embedding.id, whole.id, Embedding.kind, Embedding.position).join(
            whole, and_(of_content, whole.kind.in_(WHOLE_KINDS))
        )
        found: dict[int, tuple[int, Segment]] = {}
        for chunk in chunks(embedding_ids):
            with self._database.reading() as connection:
                rows = connection.execute(
                    statement.where(Embedding.id.in_(chunk), Embedding.kind.not_in(WHOLE_KINDS))
                ).all()
            found.update(
                {row_id: (whole_id, Segment(SegmentKind(kind), position)) for row_id, whole_id, kind, position in rows}
            )
        return found

    def fingerprints_of(self, embedding_ids: Sequence[int]) -> dict[int, bytes]:
        """What the contents behind embeddings look like, by embedding id, for those of which it is known."""
        found: dict[int, bytes] = {}
        for chunk in chunks(embedding_ids):
            statement = select(Embedding.id, Content.fingerprint).join(
                Content, Content.content_hash == Embedding.content_hash
            )
            with self._database.reading() as connection:
                for row_id, seen in connection.execute(statement.where(Embedding.id.in_(chunk))):
                    if seen is not None:
                        found[row_id] = seen
        return found


def _asks_of_files(condition: ColumnElement[bool]) -> bool:
    """Whether a condition is of files' own columns; their content's hash leads to other tables."""
    columns = (element for element in visitors.iterate(condition) if isinstance(element, Column))
    return any(column.table is _FILES and column.name != File.content_hash.key for column in columns)
