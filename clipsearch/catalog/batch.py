"""Writes a batch of the indexer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from clipsearch.catalog.beside import merge_beside
from clipsearch.catalog.blobs import to_blob
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.leases import end_leases
from clipsearch.catalog.portable_sql import upsert
from clipsearch.catalog.records import (
    METADATA_VERSION,
    FailureRecord,
    FileRecord,
    NewEmbedding,
    NewImage,
    OtherRecord,
    SidecarRecord,
)
from clipsearch.catalog.tables import Content, ContentKeyword, Embedding, Failure, File, OtherFile
from clipsearch.catalog.text_documents import refresh_documents
from clipsearch.media.segments import WHOLE_VIDEO
from clipsearch.media.stacks import stack_key


@dataclass(frozen=True)
class Batch:
    """The changes of one transaction of the indexer.

    Attributes:
        root_id: root of the files; ``None`` if there are only contents.
        images: new contents, or contents whose metadata was read again.
        embeddings: embeddings of contents in `images` or in the catalog.
        files: files whose contents are in `images` or in the catalog.
        failures: unreadable files.
        removed: relative paths of files that no longer exist.
        others: files that are not readable pictures.
        sidecars: files whose sidecars have changed, by relative path.
        job_id: the job whose count of files is incremented.
        leased: end the job's leases on the files.
    """

    root_id: int | None
    images: Sequence[NewImage] = ()
    embeddings: Sequence[NewEmbedding] = ()
    files: Sequence[FileRecord] = ()
    failures: Sequence[FailureRecord] = ()
    removed: Sequence[str] = ()
    others: Sequence[OtherRecord] = ()
    sidecars: Mapping[str, SidecarRecord] = field(default_factory=dict)
    job_id: int | None = None
    leased: bool = False


def write_batch(connection: Connection, batch: Batch, model_id: int) -> None:
    """Write a batch within a transaction."""
    changed = {image.content_hash for image in batch.images} | {file.content_hash for file in batch.files}
    if batch.root_id is not None:
        changed |= _contents_before(connection, batch, batch.root_id)
    _write_images(connection, batch.images)
    _write_embeddings(connection, batch.embeddings, model_id)
    if batch.root_id is not None:
        _write_files(connection, batch, batch.root_id)
        _write_sidecars(connection, batch.root_id, batch.sidecars)
    merge_beside(connection, changed)
    refresh_documents(connection, changed)
    if batch.leased:
        seen: list[FileRecord | FailureRecord] = [*batch.files, *batch.failures]
        end_leases(connection, batch.root_id, [item.relative_path for item in seen])


_HEADER = ("width", "height", "format", "fingerprint", "duration_ms", "frame_rate", "codec")


def image_values(image: NewImage) -> dict[str, Any]:
    """Column values of a content, except its keywords."""
    metadata = dict(vars(image.metadata))  # `asdict` copies every value, a quarter of the time of a commit
    del metadata["keywords"]
    header = {name: getattr(image, name) for name in _HEADER}
    return {**header, **metadata, "metadata_version": METADATA_VERSION, "embedded": None}


def _write_images(connection: Connection, images: Sequence[NewImage]) -> None:
    if not images:
        return
    rows = [{"content_hash": item.content_hash, **image_values(item)} for item in images]
    statement = upsert(connection, Content)
    fresh = {name: statement.excluded[name] for name in rows[0] if name != "content_hash"}
    connection.execute(statement.on_conflict_do_update(index_elements=["content_hash"], set_=fresh), rows)
    for chunk in chunks([item.content_hash for item in images]):
        connection.execute(delete(ContentKeyword).where(ContentKeyword.content_hash.in_(chunk)))
    keywords = [
        {"content_hash": item.content_hash, "position": position, "keyword": keyword}
        for item in images
        for position, keyword in enumerate(item.metadata.keywords)
    ]
    if keywords:
        connection.execute(insert(ContentKeyword), keywords)


def _write_embeddings(connection: Connection, embeddings: Sequence[NewEmbedding], model_id: int) -> None:
    if not embeddings:
        return
    for chunk in chunks([item.content_hash for item in embeddings if not item.from_preview]):
        # not updated in place, here and below: a changed embedding needs a new id for the vector index
        preview = and_(Embedding.model_id == model_id, Embedding.from_preview, Embedding.content_hash.in_(chunk))
        connection.execute(delete(Embedding).where(preview))
    for chunk in chunks([item.content_hash for item in embeddings if item.segment == WHOLE_VIDEO]):
        whole = and_(Embedding.model_id == model_id, Embedding.kind == WHOLE_VIDEO.kind)
        connection.execute(delete(Embedding).where(whole, Embedding.content_hash.in_(chunk)))
    rows = [
        {
            "content_hash": item.content_hash,
            "model_id": model_id,
            "kind": item.segment.kind,
            "position": item.segment.position,
            "vector": to_blob(item.embedding),
            "from_preview": item.from_preview,
        }
        for item in embeddings
    ]
    connection.execute(upsert(connection, Embedding).on_conflict_do_nothing(), rows)


def _contents_before(connection: Connection, batch: Batch, root_id: int) -> set[str]:
    """The contents of the batch's files as they are in the catalog, which may lose a file or what is beside it."""
    paths = [file.relative_path for file in batch.files] + [failure.relative_path for failure in batch.failures]
    content_hashes: set[str] = set()
    for chunk in chunks([*paths, *batch.removed, *batch.sidecars]):
        of_files = select(File.content_hash).where(File.root_id == root_id, File.relative_path.in_(chunk))
        content_hashes.update(connection.execute(of_files).scalars())
    return content_hashes


def _write_sidecars(connection: Connection, root_id: int, sidecars: Mapping[str, SidecarRecord]) -> None:
    if not sidecars:
        return
    of_file = update(File).where(File.root_id == root_id, File.relative_path == bindparam("path"))
    statement = of_file.values(sidecar_stamp=bindparam("stamp"), sidecar=bindparam("said"))
    connection.execute(statement, [{"path": path, **record._asdict()} for path, record in sidecars.items()])


def _write_files(connection: Connection, batch: Batch, root_id: int) -> None:
    readable = ("size", "mtime_ns", "content_hash", "sidecar_stamp", "sidecar")
    _write_seen(connection, root_id, batch.files, table=File, fresh=readable, instead_of=Failure)
    failed = ("size", "mtime_ns", "reason", "failed_at")
    # PostgreSQL rejects NUL characters, which a damaged file may bring into an error message
    failures = [replace(item, reason=item.reason.replace("\x00", "\ufffd")) for item in batch.failures]
    _write_seen(connection, root_id, failures, table=Failure, fresh=failed, instead_of=File)
    for chunk in chunks(batch.removed):
        for table in (File, Failure, OtherFile):
            connection.execute(delete(table).where(table.root_id == root_id, table.relative_path.in_(chunk)))
    if batch.others:
        upserted = upsert(connection, OtherFile)
        fresh = {name: upserted.excluded[name] for name in ("size", "mtime_ns", "kind")}
        upserted = upserted.on_conflict_do_update(index_elements=["root_id", "relative_path"], set_=fresh)
        connection.execute(
            upserted,
            [{"root_id": root_id, **item._asdict(), "stack": stack_key(item.relative_path)} for item in batch.others],
        )


def _write_seen(
    connection: Connection,
    root_id: int,
    items: Sequence[FileRecord | FailureRecord],
    *,
    table: type[File | Failure],
    fresh: tuple[str, ...],
    instead_of: type[File | Failure],
) -> None:
    """Write files or failures; a path is in only one of the two tables."""
    if not items:
        return
    statement = upsert(connection, table)
    statement = statement.on_conflict_do_update(
        index_elements=["root_id", "relative_path"], set_={name: statement.excluded[name] for name in fresh}
    )
    rows = [{"root_id": root_id, **vars(item)} for item in items]
    if table is File:
        rows = [{**row, "stack": stack_key(row["relative_path"])} for row in rows]
    connection.execute(statement, rows)
    for chunk in chunks([item.relative_path for item in items]):
        before = and_(instead_of.root_id == root_id, instead_of.relative_path.in_(chunk))
        connection.execute(delete(instead_of).where(before))
