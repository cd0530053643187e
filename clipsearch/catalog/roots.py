"""The folders that were given to be indexed."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, update

from clipsearch.catalog.database import Database
from clipsearch.catalog.records import RootPlace, RootRecord
from clipsearch.catalog.revision import raise_revision
from clipsearch.catalog.tables import Failure, File, Root


class RootRepository:
    """The roots of a catalog; `Catalog.roots`."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def all(self) -> list[RootRecord]:
        """Every root with its number of files, by path."""
        files = select(func.count()).where(File.root_id == Root.id).scalar_subquery()
        statement = select(Root.id, Root.path, Root.volume_id, Root.volume_path, files).order_by(Root.path)
        with self._database.reading() as connection:
            return [
                RootRecord(row_id, Path(path), volume_id, volume_path, count)
                for row_id, path, volume_id, volume_path, count in connection.execute(statement)
            ]

    def places(self) -> list[RootPlace]:
        """Every root by path, without counting its files, which takes long in large catalogs."""
        statement = select(Root.id, Root.path, Root.volume_id).order_by(Root.path)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [RootPlace(row_id, Path(path), volume_id) for row_id, path, volume_id in rows]

    def add(self, path: Path, *, volume_id: str | None = None, volume_path: str | None = None) -> int:
        """Add a root and return its id; roots inside it on the same file system become part of it.

        One that another process has added meanwhile is left as it is.
        """
        with self._database.writing() as connection:
            known = connection.execute(select(Root.id).where(Root.path == str(path))).scalar()
            if known is not None:
                return known
            inner = [
                (row_id, Path(inner_path).relative_to(path).as_posix())
                for row_id, inner_path, inner_volume in connection.execute(select(Root.id, Root.path, Root.volume_id))
                if inner_volume == volume_id and Path(inner_path).is_relative_to(path)
            ]
            values = {"path": str(path), "volume_id": volume_id, "volume_path": volume_path}
            root_id: int = connection.execute(insert(Root).values(values).returning(Root.id)).scalar_one()
            for row_id, prefix in inner:
                for table in (File, Failure):
                    moved = {"root_id": root_id, "relative_path": f"{prefix}/" + table.relative_path}
                    connection.execute(update(table).where(table.root_id == row_id).values(moved))
                connection.execute(delete(Root).where(Root.id == row_id))
        return root_id

    def move(self, root_id: int, path: Path, *, volume_id: str | None = None, volume_path: str | None = None) -> None:
        """Say that a root is elsewhere now; nothing else changes."""
        values = {"path": str(path), "volume_id": volume_id, "volume_path": volume_path}
        with self._database.writing() as connection:
            connection.execute(update(Root).where(Root.id == root_id).values(values))
            raise_revision(connection)

    def remove(self, root_id: int) -> int:
        """Forget a root and its files, and return how many files those were; embeddings stay until `compact`."""
        with self._database.writing() as connection:
            removed = _remove_rows(connection, root_id)
            connection.execute(delete(Root).where(Root.id == root_id))
            raise_revision(connection)
        return removed


def _remove_rows(connection: Connection, root_id: int) -> int:
    files = connection.execute(delete(File).where(File.root_id == root_id)).rowcount
    failures = connection.execute(delete(Failure).where(Failure.root_id == root_id)).rowcount
    return files + failures
