"""Reading and writing the catalog: what is known of which file, and each content's embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from clipsearch.store.database import open_database, reading, writing
from clipsearch.store.records import (
    CatalogCounts,
    FailureRecord,
    FileRecord,
    FoundFile,
    ModelRecord,
    NewImage,
    RootRecord,
    SeenFile,
)
from clipsearch.store.tables import CatalogState, Embedding, Failure, File, Image, Model, Root

CATALOG_NAME = "catalog.sqlite3"
_Item = TypeVar("_Item")
_CHUNK = 500  # bound parameters of one statement; SQLite's old limit is 999


@dataclass(frozen=True)
class Batch:
    """What one commit of the indexer brings: all of it is seen afterwards, or nothing.

    Attributes:
        root_id: the root that its files are in.
        images: contents not yet embedded by the model, with their embeddings.
        files: files seen, whose contents are in `images` or already in the catalog.
        failures: files that could not be read.
        removed: relative paths that are no longer there.
    """

    root_id: int
    images: Sequence[NewImage] = ()
    files: Sequence[FileRecord] = ()
    failures: Sequence[FailureRecord] = ()
    removed: Sequence[str] = ()


class ImageStore:
    """The catalog of one library. Safe to use from several threads."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Open (or create) `catalog.sqlite3`; see `open_database` for the errors."""
        self.directory = directory
        self.path = directory / CATALOG_NAME
        self._engine = open_database(self.path, create=create)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    # --- models ---------------------------------------------------------------------------------

    def active_model(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        statement = select(Model.id, Model.spec, Model.fingerprint, Model.dim, Model.precision).join(
            CatalogState, CatalogState.active_model_id == Model.id
        )
        with reading(self._engine, self.path) as connection:
            row = connection.execute(statement).one_or_none()
        return ModelRecord(*row) if row else None

    def activate_model(self, *, spec: str, fingerprint: str, dim: int, precision: str) -> ModelRecord:
        """Make a model the one that searches use, adding it where it is new."""
        values = {"spec": spec, "fingerprint": fingerprint, "dim": dim, "precision": precision}
        with writing(self._engine, self.path) as connection:
            known = and_(Model.spec == spec, Model.fingerprint == fingerprint)
            model_id = connection.execute(select(Model.id).where(known)).scalar()
            if model_id is None:
                model_id = connection.execute(insert(Model).values(values).returning(Model.id)).scalar_one()
            connection.execute(update(CatalogState).values(active_model_id=model_id))
        return ModelRecord(model_id, spec, fingerprint, dim, precision)

    # --- roots and files ------------------------------------------------------------------------

    def roots(self) -> list[RootRecord]:
        """Every root with its number of files, by path."""
        files = select(func.count()).where(File.root_id == Root.id).scalar_subquery()
        with reading(self._engine, self.path) as connection:
            rows = connection.execute(select(Root.id, Root.path, Root.volume_id, files).order_by(Root.path))
            return [RootRecord(row_id, Path(path), volume_id, count) for row_id, path, volume_id, count in rows]

    def add_root(self, path: Path, volume_id: str | None) -> int:
        """Add a root and return its id; roots inside it become part of it."""
        with writing(self._engine, self.path) as connection:
            inner = [
                (row_id, Path(inner_path).relative_to(path).as_posix())
                for row_id, inner_path in connection.execute(select(Root.id, Root.path))
                if Path(inner_path).is_relative_to(path)
            ]
            statement = insert(Root).values(path=str(path), volume_id=volume_id)
            root_id: int = connection.execute(statement.returning(Root.id)).scalar_one()
            for row_id, prefix in inner:
                for table in (File, Failure):
                    moved = {"root_id": root_id, "relative_path": f"{prefix}/" + table.relative_path}
                    connection.execute(update(table).where(table.root_id == row_id).values(moved))
                connection.execute(delete(Root).where(Root.id == row_id))
        return root_id

    def files_in(self, root_id: int, prefix: str = "") -> Iterator[SeenFile]:
        """Files of a root below a relative folder (all of them by default), failed ones included."""
        for table, failed in ((File, False), (Failure, True)):
            statement = select(table.relative_path, table.size, table.mtime_ns).where(table.root_id == root_id)
            with reading(self._engine, self.path) as connection:
                for relative, size, mtime_ns in connection.execute(statement):
                    # compared here, not by LIKE, which ignores case in SQLite and would mix up Cats/ and cats/
                    if not prefix or relative.startswith(f"{prefix}/"):
                        yield SeenFile(relative, size, mtime_ns, failed)

    def unembedded_files(self, root_id: int, model_id: int) -> set[str]:
        """Relative paths of a root's files whose content the model has not embedded yet."""
        known = select(Embedding.id).where(Embedding.content_hash == File.content_hash, Embedding.model_id == model_id)
        statement = select(File.relative_path).where(File.root_id == root_id, ~known.exists())
        with reading(self._engine, self.path) as connection:
            return set(connection.execute(statement).scalars())

    def failures(self) -> list[tuple[Path, str]]:
        """Every file that could not be read, with the reason, by path."""
        statement = select(Root.path, Failure.relative_path, Failure.reason).join(Root, Root.id == Failure.root_id)
        with reading(self._engine, self.path) as connection:
            rows = connection.execute(statement)
            return sorted((Path(root) / relative, reason) for root, relative, reason in rows)

    def counts(self) -> CatalogCounts:
        """How much the catalog holds."""
        with reading(self._engine, self.path) as connection:
            return CatalogCounts(
                files=connection.execute(select(func.count()).select_from(File)).scalar_one(),
                images=connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one(),
                failures=connection.execute(select(func.count()).select_from(Failure)).scalar_one(),
            )

    # --- writing --------------------------------------------------------------------------------

    def commit(self, batch: Batch, model_id: int) -> None:
        """Write a batch in one transaction and raise the revision."""
        with writing(self._engine, self.path) as connection:
            self._write_images(connection, batch.images, model_id)
            readable = ("size", "mtime_ns", "content_hash")
            self._write_seen(connection, batch.root_id, batch.files, table=File, fresh=readable, instead_of=Failure)
            failed = ("size", "mtime_ns", "reason", "failed_at")
            self._write_seen(connection, batch.root_id, batch.failures, table=Failure, fresh=failed, instead_of=File)
            for chunk in _chunks(batch.removed):
                for table in (File, Failure):
                    gone = and_(table.root_id == batch.root_id, table.relative_path.in_(chunk))
                    connection.execute(delete(table).where(gone))
            connection.execute(update(CatalogState).values(revision=CatalogState.revision + 1))

    def _write_images(self, connection: Connection, images: Sequence[NewImage], model_id: int) -> None:
        if not images:
            return
        rows = [
            {"content_hash": item.content_hash, "width": item.width, "height": item.height, "format": item.format}
            for item in images
        ]
        connection.execute(upsert(Image).on_conflict_do_nothing(), rows)
        vectors = [
            {"content_hash": item.content_hash, "model_id": model_id, "vector": to_blob(item.embedding)}
            for item in images
        ]
        connection.execute(upsert(Embedding).on_conflict_do_nothing(), vectors)

    def _write_seen(
        self,
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
        statement = upsert(table)
        statement = statement.on_conflict_do_update(
            index_elements=["root_id", "relative_path"], set_={name: statement.excluded[name] for name in fresh}
        )
        connection.execute(statement, [{"root_id": root_id, **asdict(item)} for item in items])
        for chunk in _chunks([item.relative_path for item in items]):
            before = and_(instead_of.root_id == root_id, instead_of.relative_path.in_(chunk))
            connection.execute(delete(instead_of).where(before))

    # --- embeddings -----------------------------------------------------------------------------

    def revision(self) -> int:
        """Rises with each commit that can change which embeddings have files."""
        with reading(self._engine, self.path) as connection:
            return _revision(connection)

    def live_embedding_ids(self, model_id: int) -> tuple[int, NDArray[np.int64]]:
        """The revision, and at that revision the ids of the model's embeddings that a file still holds.

        Returns:
            The revision and int64 [n], ascending.
        """
        held = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id).where(Embedding.model_id == model_id, held).order_by(Embedding.id)
        with reading(self._engine, self.path) as connection:
            revision = _revision(connection)
            return revision, np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embeddings(
        self, ids: NDArray[np.int64], *, dim: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Read embeddings by id, in blocks.

        Yields:
            int64 [n] and float16 [n, dim]; ids that the catalog does not hold are left out.
        """
        for chunk in _chunks(ids.tolist()):
            with reading(self._engine, self.path) as connection:
                rows = connection.execute(
                    select(Embedding.id, Embedding.vector).where(Embedding.id.in_(chunk)).order_by(Embedding.id)
                ).all()
            if rows:
                blob = b"".join(vector for _, vector in rows)
                yield np.array([row_id for row_id, _ in rows]), np.frombuffer(blob, "<f2").reshape(-1, dim)

    def embedding_of(self, content_hash: str, model_id: int) -> tuple[int, NDArray[np.float16]] | None:
        """Id and float16 [dim] of a content's embedding, if the model has embedded it."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash == content_hash, Embedding.model_id == model_id
        )
        with reading(self._engine, self.path) as connection:
            row = connection.execute(statement).one_or_none()
        return (row[0], np.frombuffer(row[1], "<f2")) if row else None

    def files_of(self, embedding_ids: Sequence[int]) -> dict[int, list[FoundFile]]:
        """The files behind embeddings, by embedding id; copies by path."""
        columns = (Embedding.id, Root.path, File.relative_path, Image.content_hash)
        found: dict[int, list[FoundFile]] = {}
        for chunk in _chunks(embedding_ids):
            statement = (
                select(*columns, Image.width, Image.height, Image.format)
                .join(File, File.content_hash == Embedding.content_hash)
                .join(Root, Root.id == File.root_id)
                .join(Image, Image.content_hash == Embedding.content_hash)
                .where(Embedding.id.in_(chunk))
                .order_by(Root.path, File.relative_path)
            )
            with reading(self._engine, self.path) as connection:
                for row_id, root, relative, content_hash, width, height, format_ in connection.execute(statement):
                    file = FoundFile(Path(root) / relative, content_hash, width, height, format_)
                    found.setdefault(row_id, []).append(file)
        return found


def to_blob(embedding: NDArray[np.floating]) -> bytes:
    """An embedding as it is stored: float16, little-endian, [dim]."""
    return embedding.astype("<f2").tobytes()


def _revision(connection: Connection) -> int:
    return connection.execute(select(CatalogState.revision)).scalar_one()


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
