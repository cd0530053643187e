"""Reads the embeddings of a catalog."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, Column, ColumnElement, Integer, String, and_, bindparam, exists, func, select
from sqlalchemy.orm import aliased
from sqlalchemy.sql import visitors

from clipsearch.catalog.blobs import from_blobs
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete, is_embedded
from clipsearch.catalog.database import Database, current_revision
from clipsearch.catalog.portable_sql import join_in_order
from clipsearch.catalog.records import FrameEmbeddings, ModelRecord
from clipsearch.catalog.tables import Content, Embedding, File
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind

_FILES, _IMAGES, _EMBEDDINGS = File.__table__, Content.__table__, Embedding.__table__


class EmbeddingReader:
    """The part of `clipsearch.catalog.catalog.Catalog` that reads embeddings."""

    _database: Database

    def revision(self) -> int:
        """The revision, which every commit increments that may change which embeddings have files."""
        with self._database.reading() as connection:
            return current_revision(connection)

    def live_embedding_ids(self, model_id: int, *, wholes_only: bool = False) -> tuple[int, NDArray[np.int64]]:
        """The revision, and the ids of the model's embeddings that have files.

        Args:
            model_id: the model.
            wholes_only: exclude embeddings of tiles.

        Returns:
            The revision, and int64 [n], ascending.
        """
        has_file = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id).where(Embedding.model_id == model_id, has_file).order_by(Embedding.id)
        if wholes_only:
            statement = statement.where(Embedding.kind.in_(WHOLE_KINDS))
        with self._database.reading() as connection:
            revision = current_revision(connection)
            return revision, np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embedding_ids_where(self, model_id: int, condition: ColumnElement[bool]) -> NDArray[np.int64]:
        """Ids of the model's embeddings with a file that passes a `FilterCompiler` condition, int64 [n], ascending."""
        # filter before joining the other tables
        first, second = (_FILES, _IMAGES) if _has_file_columns(condition) else (_IMAGES, _FILES)
        files = join_in_order(first, second, File.content_hash == Content.content_hash)
        statement = (
            select(Embedding.id)
            .select_from(join_in_order(files, _EMBEDDINGS, Embedding.content_hash == Content.content_hash))
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
            int64 [n] and float16 [n, dim]; unknown ids are ignored.

        Raises:
            LibraryError: an embedding is damaged.
        """
        for chunk in chunks(ids.tolist()):
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(Embedding.id, Embedding.vector).where(Embedding.id.in_(chunk)).order_by(Embedding.id)
                ).all()
            if rows:
                ids_of_rows, blobs = zip(*rows, strict=True)
                yield np.array(ids_of_rows, np.int64), from_blobs(blobs, dim, catalog=self._database.name)

    def embeddings_by_hash(self, content_hashes: Sequence[str], model: ModelRecord) -> dict[str, NDArray[np.float16]]:
        """The model's embeddings of whole images by content hash, float16 [dim], in the order of the hashes.

        Raises:
            LibraryError: an embedding is damaged.
        """
        vectors: dict[str, NDArray[np.float16]] = {}
        statement = select(Embedding.content_hash, Embedding.vector)
        statement = statement.where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS))
        for chunk in chunks(content_hashes):
            with self._database.reading() as connection:
                rows = connection.execute(statement.where(Embedding.content_hash.in_(chunk))).all()
            if rows:
                digests, blobs = zip(*rows, strict=True)
                vectors.update(zip(digests, from_blobs(blobs, model.dim, catalog=self._database.name), strict=True))
        return {digest: vectors[digest] for digest in content_hashes if digest in vectors}

    def embedding_of(self, content_hash: str, model_id: int) -> tuple[int, NDArray[np.float16]] | None:
        """Id and embedding, float16 [dim], of a content; ``None`` if the model has not embedded it."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash == content_hash, Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return (row[0], np.frombuffer(row[1], "<f2")) if row else None

    def is_embedded(self, content_hash: str, model_id: int) -> bool:
        """Whether the model has embedded a content and its tiles from a file."""
        statement = select(Content.content_hash).where(Content.content_hash == content_hash, is_embedded(model_id))
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def embedded_among(self, content_hashes: Collection[str], model_id: int) -> set[str]:
        """The contents for which `is_embedded` holds."""
        embedded: set[str] = set()
        for chunk in chunks(sorted(content_hashes)):
            statement = select(Content.content_hash).where(Content.content_hash.in_(chunk), is_embedded(model_id))
            with self._database.reading() as connection:
                embedded.update(connection.execute(statement).scalars())
        return embedded

    def wanted_from(self, content_hash: str, model_id: int) -> int | None:
        """The first position of a content that a model has yet to embed: of a video after the frames that it has.

        Returns:
            The position, 0 for all of it; ``None`` if it need not be decoded: it is embedded, and its metadata is up to
            date.
        """
        with self._database.reading() as connection:
            of = {"of_hash": content_hash, "of_model": model_id}
            is_known, last_position = connection.execute(_KNOWN_AND_LAST, of).one()
        if is_known:
            return None
        return 0 if last_position is None else int(last_position) + 1

    def complete_contents(self, model_id: int) -> Iterator[str]:
        """The hashes of all contents that need not be decoded."""
        statement = select(Content.content_hash).where(is_complete(model_id))
        with self._database.reading() as connection:
            yield from connection.execute(statement).scalars()

    def by_hash_prefix(self, content_hash: str, model_id: int) -> list[tuple[int, NDArray[np.float16]]]:
        """Ids and embeddings, float16 [dim], of up to two contents whose hash has a prefix."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash >= content_hash,
            Embedding.content_hash < content_hash + "g",  # after every hex digit
            Embedding.model_id == model_id,
            Embedding.kind.in_(WHOLE_KINDS),
        )
        with self._database.reading() as connection:
            return [(row_id, np.frombuffer(blob, "<f2")) for row_id, blob in connection.execute(statement.limit(2))]

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """Of embeddings of tiles: the id of the whole image's embedding, and the segment."""
        whole = aliased(Embedding)
        of_content = and_(whole.content_hash == Embedding.content_hash, whole.model_id == Embedding.model_id)
        statement = select(Embedding.id, whole.id, Embedding.kind, Embedding.position).join(
            whole, and_(of_content, whole.kind.in_(WHOLE_KINDS))
        )
        parents: dict[int, tuple[int, Segment]] = {}
        for chunk in chunks(embedding_ids):
            with self._database.reading() as connection:
                rows = connection.execute(
                    statement.where(Embedding.id.in_(chunk), Embedding.kind.not_in(WHOLE_KINDS))
                ).all()
            parents.update(
                {row_id: (whole_id, Segment(SegmentKind(kind), position)) for row_id, whole_id, kind, position in rows}
            )
        return parents

    def frames_of(self, embedding_ids: Sequence[int], *, dim: int) -> dict[int, FrameEmbeddings]:
        """The frames of videos by the ids of the embeddings of the whole; pictures have none.

        Raises:
            LibraryError: an embedding is damaged.
        """
        frames: dict[int, FrameEmbeddings] = {}
        for row_id in embedding_ids:
            of_content = select(Embedding.content_hash, Embedding.model_id).where(Embedding.id == row_id)
            with self._database.reading() as connection:
                whole = connection.execute(of_content).one_or_none()
            if whole is not None and len((found := self.frames_of_content(*whole, dim=dim)).positions):
                frames[row_id] = found
        return frames

    def frames_of_content(self, content_hash: str, model_id: int, *, dim: int) -> FrameEmbeddings:
        """The frames of a video that a model has embedded, all or, while it is read, the first ones.

        Raises:
            LibraryError: an embedding is damaged.
        """
        frames = select(Embedding.id, Embedding.position, Embedding.vector).where(_is_frame(content_hash, model_id))
        with self._database.reading() as connection:
            rows = connection.execute(frames.order_by(Embedding.position)).all()
        ids, positions, blobs = zip(*rows, strict=True) if rows else ((), (), ())
        vectors = from_blobs(blobs, dim, catalog=self._database.name)
        return FrameEmbeddings(np.array(ids, np.int64), np.array(positions, np.int64), vectors)

    def videos_of(self, model_id: int) -> list[str]:
        """Content hashes of the videos that a model has embedded."""
        whole = select(Embedding.content_hash).where(
            Embedding.model_id == model_id, Embedding.kind == SegmentKind.VIDEO, ~Embedding.from_preview
        )
        with self._database.reading() as connection:
            return list(connection.execute(whole.order_by(Embedding.id)).scalars())

    def durations_of(self, embedding_ids: Sequence[int]) -> dict[int, int]:
        """Durations of videos in milliseconds, by embedding id."""
        statement = select(Embedding.id, Content.duration_ms).join(
            Content, Content.content_hash == Embedding.content_hash
        )
        durations: dict[int, int] = {}
        for chunk in chunks(embedding_ids):
            of_videos = statement.where(Embedding.id.in_(chunk), Content.duration_ms.is_not(None))
            with self._database.reading() as connection:
                rows = connection.execute(of_videos).all()
            durations |= {row_id: duration for row_id, duration in rows if duration is not None}
        return durations

    def fingerprints_of(self, embedding_ids: Sequence[int]) -> dict[int, bytes]:
        """Perceptual fingerprints by embedding id, if known."""
        fingerprints: dict[int, bytes] = {}
        for chunk in chunks(embedding_ids):
            statement = select(Embedding.id, Content.fingerprint).join(
                Content, Content.content_hash == Embedding.content_hash
            )
            with self._database.reading() as connection:
                for row_id, fingerprint in connection.execute(statement.where(Embedding.id.in_(chunk))):
                    if fingerprint is not None:
                        fingerprints[row_id] = fingerprint
        return fingerprints


def _is_frame(content_hash: str | BindParameter[str], model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    return and_(
        Embedding.content_hash == content_hash, Embedding.model_id == model_id, Embedding.kind == SegmentKind.FRAME
    )


_OF_HASH, _OF_MODEL = bindparam("of_hash", type_=String), bindparam("of_model", type_=Integer)

_KNOWN_AND_LAST = select(
    exists().where(Content.content_hash == _OF_HASH, is_complete(_OF_MODEL)),
    select(func.max(Embedding.position)).where(_is_frame(_OF_HASH, _OF_MODEL)).scalar_subquery(),
)
"""Made once, because it runs for every file, and making it takes five times as long."""


def _has_file_columns(condition: ColumnElement[bool]) -> bool:
    """Whether a condition uses columns of files other than the content hash, which joins other tables."""
    columns = (element for element in visitors.iterate(condition) if isinstance(element, Column))
    return any(column.table is _FILES and column.name != File.content_hash.key for column in columns)
