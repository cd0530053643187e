"""What one commit of the indexer writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, delete, insert

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.leases import end_leases
from clipsearch.catalog.portable_sql import upsert
from clipsearch.catalog.records import METADATA_VERSION, FailureRecord, FileRecord, NewEmbedding, NewImage
from clipsearch.catalog.tables import Content, ContentKeyword, Embedding, Failure, File


@dataclass(frozen=True)
class Batch:
    """What one commit of the indexer brings: all of it is seen afterwards, or nothing.

    Attributes:
        root_id: the root that its files are in; ``None`` if it brings only contents.
        images: contents that are new, or whose metadata was read again.
        embeddings: the model's embeddings of contents in `images` or already in the catalog.
        files: files seen, whose contents are in `images` or already in the catalog.
        failures: files that could not be read.
        removed: relative paths that are no longer there.
        job_id: the job whose count of files it raises.
        leased: that job had leases on its files, which end with the commit.
    """

    root_id: int | None
    images: Sequence[NewImage] = ()
    embeddings: Sequence[NewEmbedding] = ()
    files: Sequence[FileRecord] = ()
    failures: Sequence[FailureRecord] = ()
    removed: Sequence[str] = ()
    job_id: int | None = None
    leased: bool = False


def write_batch(connection: Connection, batch: Batch, model_id: int) -> None:
    """Write a batch in the transaction of `connection`."""
    _write_images(connection, batch.images)
    _write_embeddings(connection, batch.embeddings, model_id)
    if batch.root_id is not None:
        _write_files(connection, batch, batch.root_id)
    if batch.leased:
        seen: list[FileRecord | FailureRecord] = [*batch.files, *batch.failures]
        end_leases(connection, batch.root_id, [item.relative_path for item in seen])


def image_values(image: NewImage) -> dict[str, Any]:
    """What the catalog says of a content, by column, but its keywords."""
    known = asdict(image.metadata)
    del known["keywords"]
    header = {name: getattr(image, name) for name in ("width", "height", "format", "fingerprint")}
    return {**header, **known, "metadata_version": METADATA_VERSION}


def to_blob(embedding: NDArray[np.floating]) -> bytes:
    """An embedding as it is stored: float16, little-endian, [dim]."""
    return embedding.astype("<f2").tobytes()


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
        # not updated in place: the vector index knows a vector by its id
        preview = and_(Embedding.model_id == model_id, Embedding.from_preview, Embedding.content_hash.in_(chunk))
        connection.execute(delete(Embedding).where(preview))
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


def _write_files(connection: Connection, batch: Batch, root_id: int) -> None:
    readable = ("size", "mtime_ns", "content_hash")
    _write_seen(connection, root_id, batch.files, table=File, fresh=readable, instead_of=Failure)
    failed = ("size", "mtime_ns", "reason", "failed_at")
    # not every database takes such a character, which a broken file may put into its decoder's mouth
    failures = [replace(item, reason=item.reason.replace("\x00", "\ufffd")) for item in batch.failures]
    _write_seen(connection, root_id, failures, table=Failure, fresh=failed, instead_of=File)
    for chunk in chunks(batch.removed):
        for table in (File, Failure):
            connection.execute(delete(table).where(table.root_id == root_id, table.relative_path.in_(chunk)))


def _write_seen(
    connection: Connection,
    root_id: int,
    items: Sequence[FileRecord | FailureRecord],
    *,
    table: type[File | Failure],
    fresh: tuple[str, ...],
    instead_of: type[File | Failure],
) -> None:
    """Write files as they are now: a path is in one of the two tables, never in both."""
    if not items:
        return
    statement = upsert(connection, table)
    statement = statement.on_conflict_do_update(
        index_elements=["root_id", "relative_path"], set_={name: statement.excluded[name] for name in fresh}
    )
    connection.execute(statement, [{"root_id": root_id, **asdict(item)} for item in items])
    for chunk in chunks([item.relative_path for item in items]):
        before = and_(instead_of.root_id == root_id, instead_of.relative_path.in_(chunk))
        connection.execute(delete(instead_of).where(before))
