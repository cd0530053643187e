"""Taking a catalog's contents out as a whole, and putting such contents back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, and_, delete, func, insert, select

from clipsearch.catalog.beside import merge_beside
from clipsearch.catalog.chunks import CHUNK, chunks
from clipsearch.catalog.database import Database, raise_revision
from clipsearch.catalog.exclusions import read_exclusions
from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.models import MODEL_COLUMNS
from clipsearch.catalog.records import ModelRecord, model_record
from clipsearch.catalog.tables import Base, CatalogState, Content, ContentKeyword, Embedding, Failure, File, Model, Root
from clipsearch.catalog.text_documents import refresh_documents
from clipsearch.catalog.texts import add_texts, exchanged_texts
from clipsearch.catalog.transfer_concepts import ExchangedConcepts, add_concepts, exchanged_concepts
from clipsearch.catalog.transfer_tags import ExchangedTag, add_tags, exchanged_tags
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind
from clipsearch.media.stacks import stack_key

IMAGE_FIELDS: dict[str, type] = {
    column.name: column.type.python_type for column in Content.__table__.columns if column.name != "content_hash"
}
"""What the catalog says of a content, by name, with its type in Python, one of `FieldValue`."""

FieldValue: TypeAlias = int | float | str | bytes | datetime | None

REQUIRED_FIELDS = frozenset({"width", "height"}).union(
    column.name for column in Content.__table__.columns if not column.nullable and column.name in IMAGE_FIELDS
)
"""Those of `IMAGE_FIELDS` that are never ``None`` for a picture."""


@dataclass(frozen=True)
class ExchangedRoot:
    """An indexed folder; see `clipsearch.catalog.records.RootRecord`."""

    path: Path
    volume_id: str | None
    volume_path: str | None
    exclusions: tuple[str, ...] = ()
    default_exclusions: bool = True


@dataclass(frozen=True)
class ExchangedFile:
    """A file that holds a content.

    Attributes:
        root: index of its root in the list of roots that goes with it.
        path: from the root, parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
        sidecar_stamp: see `clipsearch.catalog.records.SidecarRecord`.
        sidecar: metadata of the files beside it, as JSON.
    """

    root: int
    path: str
    size: int
    mtime_ns: int
    sidecar_stamp: str | None = None
    sidecar: str | None = None


@dataclass(frozen=True)
class ExchangedImage:
    """All that a catalog holds of one content.

    Attributes:
        content_hash: XXH3-128, hex.
        fields: values by the names of `IMAGE_FIELDS`; those that are ``None`` may be omitted.
        keywords: in their order.
        files: that hold it, by root and path.
        segments: that the model has embedded, the whole first; empty if it has embedded none.
        vectors: of each segment, float16 [dim], little-endian, as bytes.
        from_preview: the vectors were made from the thumbnail, because the file's drive was not there.
        tags: a person's and the model's, by name.
        text_reader: that looked for text (`clipsearch.media.ocr.READER`); ``None`` if none did.
        lines: of text that it found, in reading order.
    """

    content_hash: str
    fields: Mapping[str, FieldValue]
    keywords: tuple[str, ...]
    files: tuple[ExchangedFile, ...]
    segments: tuple[Segment, ...] = ()
    vectors: tuple[bytes, ...] = ()
    from_preview: bool = False
    tags: tuple[ExchangedTag, ...] = ()
    text_reader: str | None = None
    lines: tuple[OcrLine, ...] = ()


@dataclass(frozen=True)
class Added:
    """How much of a block was new to a catalog."""

    images: int = 0
    embeddings: int = 0
    files: int = 0


class CatalogSnapshot:
    """One state of a catalog, however much is written meanwhile."""

    def __init__(self, connection: Connection) -> None:
        """Read the roots; `roots` lists them by path, `exclusions` has the patterns of all of them."""
        self._connection = connection
        columns = (Root.id, Root.path, Root.volume_id, Root.volume_path, Root.default_exclusions)
        rows = connection.execute(select(*columns).order_by(Root.path)).all()
        excluded = read_exclusions(connection)
        self.exclusions = excluded.get(None, ())
        self.roots = [
            ExchangedRoot(Path(path), volume_id, volume_path, excluded.get(row_id, ()), defaults)
            for row_id, path, volume_id, volume_path, defaults in rows
        ]
        self._root_index = {row[0]: index for index, row in enumerate(rows)}

    def model(self) -> ModelRecord | None:
        """The active model."""
        statement = select(*MODEL_COLUMNS).join(CatalogState, CatalogState.active_model_id == Model.id)
        row = self._connection.execute(statement).one_or_none()
        return model_record(row) if row else None

    def count(self, model: ModelRecord | None) -> tuple[int, int]:
        """How many contents files hold, and how many embeddings a model has of those."""
        images = self._connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one()
        if model is None:
            return images, 0
        has_file = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(func.count()).select_from(Embedding).where(Embedding.model_id == model.id, has_file)
        return images, self._connection.execute(statement).scalar_one()

    def concepts(self) -> ExchangedConcepts:
        """The named concepts, by name."""
        return exchanged_concepts(self._connection)

    def images(self, model: ModelRecord | None) -> Iterator[list[ExchangedImage]]:
        """The contents that files hold, by hash, in blocks."""
        has_file = select(File.id).where(File.content_hash == Content.content_hash).exists()
        columns = [Content.__table__.columns[name] for name in IMAGE_FIELDS]
        last = ""
        while True:
            page = select(Content.content_hash, *columns).where(Content.content_hash > last, has_file)
            rows = self._connection.execute(page.order_by(Content.content_hash).limit(CHUNK)).all()
            if not rows:
                return
            last = rows[-1][0]
            yield self._block(rows, model)

    def _block(self, rows: Sequence[Any], model: ModelRecord | None) -> list[ExchangedImage]:
        hashes = [row[0] for row in rows]
        keywords: dict[str, list[str]] = {}
        words = select(ContentKeyword.content_hash, ContentKeyword.keyword).where(
            ContentKeyword.content_hash.in_(hashes)
        )
        for content_hash, keyword in self._connection.execute(words.order_by(ContentKeyword.position)):
            keywords.setdefault(content_hash, []).append(keyword)
        files: dict[str, list[ExchangedFile]] = {}
        seen = (File.relative_path, File.size, File.mtime_ns, File.sidecar_stamp, File.sidecar)
        statement = select(File.content_hash, File.root_id, *seen)
        for row in self._connection.execute(statement.where(File.content_hash.in_(hashes))):
            files.setdefault(row[0], []).append(ExchangedFile(self._root_index[row[1]], *row[2:]))
        segments: dict[str, list[tuple[Segment, bytes]]] = {}
        previews: set[str] = set()
        if model is not None:
            columns = (Embedding.content_hash, Embedding.kind, Embedding.position, Embedding.vector)
            blobs = select(*columns, Embedding.from_preview).order_by(
                Embedding.kind.not_in(WHOLE_KINDS), Embedding.kind, Embedding.position
            )
            blobs = blobs.where(Embedding.content_hash.in_(hashes), Embedding.model_id == model.id)
            for content_hash, kind, position, vector, from_preview in self._connection.execute(blobs):
                segments.setdefault(content_hash, []).append((Segment(SegmentKind(kind), position), vector))
                previews |= {content_hash} if from_preview else set()
        tags = exchanged_tags(self._connection, hashes, model.id if model is not None else None)
        texts = exchanged_texts(self._connection, hashes)
        return [
            ExchangedImage(
                content_hash=row[0],
                fields=dict(zip(IMAGE_FIELDS, row[1:], strict=True)),
                keywords=tuple(keywords.get(row[0], ())),
                files=tuple(sorted(files.get(row[0], ()), key=lambda file: (file.root, file.path))),
                segments=tuple(segment for segment, _ in segments.get(row[0], ())),
                vectors=tuple(vector for _, vector in segments.get(row[0], ())),
                from_preview=row[0] in previews,
                tags=tags.get(row[0], ()),
                text_reader=texts[row[0]][0] if row[0] in texts else None,
                lines=texts[row[0]][1] if row[0] in texts else (),
            )
            for row in rows
        ]


class TransferRepository:
    """Export and import of a catalog; `Catalog.exchange`."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    @contextmanager
    def snapshot(self) -> Iterator[CatalogSnapshot]:
        """Read one state of the catalog, from beginning to end."""
        with self._database.reading() as connection:
            yield CatalogSnapshot(connection)

    def add(self, images: Sequence[ExchangedImage], roots: Sequence[tuple[int, str]], model_id: int | None) -> Added:
        """Add contents and their files in one transaction; what the catalog knows already stays as it is.

        Args:
            images: the contents.
            roots: for each root that their files name, its row and what comes before its files' paths.
            model_id: whose embeddings they bring.
        """
        with self._database.writing() as connection:
            added = Added(
                images=_add_images(connection, images),
                embeddings=_add_embeddings(connection, images, model_id) if model_id is not None else 0,
                files=_add_files(connection, images, roots),
            )
            hashes = [image.content_hash for image in images]
            merge_beside(connection, hashes)
            add_texts(connection, {image.content_hash: (image.text_reader, image.lines) for image in images})
            refresh_documents(connection, hashes)
            add_tags(connection, {image.content_hash: image.tags for image in images}, model_id)
            raise_revision(connection)
        return added

    def add_concepts(self, concepts: ExchangedConcepts) -> int:
        """Add concepts in one transaction, and to those of the same name what they lack; returns how many changed."""
        with self._database.writing() as connection:
            return add_concepts(connection, concepts)


def _add_images(connection: Connection, images: Sequence[ExchangedImage]) -> int:
    hashes = [image.content_hash for image in images]
    known = _values(connection, select(Content.content_hash), Content.content_hash, hashes)
    fresh = [image for image in images if image.content_hash not in known]
    empty = dict.fromkeys(IMAGE_FIELDS)
    _insert(connection, Content, [{**empty, **image.fields, "content_hash": image.content_hash} for image in fresh])
    keywords = [
        {"content_hash": image.content_hash, "position": position, "keyword": keyword}
        for image in fresh
        for position, keyword in enumerate(image.keywords)
    ]
    _insert(connection, ContentKeyword, keywords)
    return len(fresh)


def _add_embeddings(connection: Connection, images: Sequence[ExchangedImage], model_id: int) -> int:
    hashes = [image.content_hash for image in images]
    of_model = select(Embedding.content_hash).where(Embedding.model_id == model_id)
    known = _values(connection, of_model, Embedding.content_hash, hashes)
    fresh = [
        {
            "content_hash": image.content_hash,
            "model_id": model_id,
            "kind": segment.kind,
            "position": segment.position,
            "vector": vector,
            "from_preview": image.from_preview,
        }
        for image in images
        if image.content_hash not in known
        for segment, vector in zip(image.segments, image.vectors, strict=True)
    ]
    _insert(connection, Embedding, fresh)
    return len(fresh)


def _add_files(connection: Connection, images: Sequence[ExchangedImage], roots: Sequence[tuple[int, str]]) -> int:
    by_root: dict[int, dict[str, dict[str, Any]]] = {}
    for image in images:
        for file in image.files:
            root_id, prefix = roots[file.root]
            row = {name: getattr(file, name) for name in ("size", "mtime_ns", "sidecar_stamp", "sidecar")}
            by_root.setdefault(root_id, {})[prefix + file.path] = {**row, "content_hash": image.content_hash}
    added = 0
    for root_id, rows in by_root.items():
        of_root = select(File.relative_path).where(File.root_id == root_id)
        known = _values(connection, of_root, File.relative_path, list(rows))
        fresh = [
            {"root_id": root_id, "relative_path": path, "stack": stack_key(path), **rows[path]}
            for path in rows
            if path not in known
        ]
        _insert(connection, File, fresh)
        for chunk in chunks(list(rows)):  # a path is in one of the two tables, never in both
            failed = and_(Failure.root_id == root_id, Failure.relative_path.in_(chunk))
            connection.execute(delete(Failure).where(failed))
        added += len(fresh)
    return added


def _values(connection: Connection, statement: Select[Any], column: Any, wanted: Sequence[str]) -> set[str]:
    """Which of the wanted values of a column are there."""
    values: set[str] = set()
    for chunk in chunks(wanted):
        values.update(connection.execute(statement.where(column.in_(chunk))).scalars())
    return values


def _insert(connection: Connection, table: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
