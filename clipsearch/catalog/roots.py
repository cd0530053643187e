"""The roots: indexed folders."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, update

from clipsearch.catalog.database import Repository, raise_revision
from clipsearch.catalog.exclusion_patterns import anchored
from clipsearch.catalog.exclusions import add_exclusions, read_exclusions
from clipsearch.catalog.records import RootPlace, RootRecord
from clipsearch.catalog.tables import Failure, File, OtherFile, Root
from clipsearch.catalog.text_documents import contents_of_root, refresh_documents


class RootRepository(Repository):
    """The roots of a catalog; `Catalog.roots`."""

    def all(self) -> list[RootRecord]:
        """All roots with their numbers of files, by path."""
        files = select(func.count()).where(File.root_id == Root.id).scalar_subquery()
        columns = (Root.id, Root.path, Root.volume_id, Root.volume_path, files, Root.default_exclusions)
        with self._database.reading() as connection:
            excluded = read_exclusions(connection)
            return [
                RootRecord(row_id, Path(path), volume_id, volume_path, count, excluded.get(row_id, ()), defaults)
                for row_id, path, volume_id, volume_path, count, defaults in connection.execute(
                    select(*columns).order_by(Root.path)
                )
            ]

    def places(self) -> list[RootPlace]:
        """All roots by path, without the slow count of files."""
        statement = select(Root.id, Root.path, Root.volume_id).order_by(Root.path)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [RootPlace(row_id, Path(path), volume_id) for row_id, path, volume_id in rows]

    def add(self, path: Path, *, volume_id: str | None = None, volume_path: str | None = None) -> int:
        """Add a root, unless it exists, and return its id; roots inside it on the same volume are merged into it."""
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
            excluded = read_exclusions(connection)
            for row_id, prefix in inner:
                for table in (File, Failure, OtherFile):
                    moved = {"root_id": root_id, "relative_path": f"{prefix}/" + table.relative_path}
                    if table is File or table is OtherFile:
                        moved["stack"] = f"{prefix}/" + table.stack
                    connection.execute(update(table).where(table.root_id == row_id).values(moved))
                patterns = [anchored(pattern, prefix) for pattern in excluded.get(row_id, ())]
                add_exclusions(connection, patterns, root_id)
                connection.execute(delete(Root).where(Root.id == row_id))
            if inner:
                refresh_documents(connection, contents_of_root(connection, root_id))
        return root_id

    def move(self, root_id: int, path: Path, *, volume_id: str | None = None, volume_path: str | None = None) -> None:
        """Change the path of a root."""
        values = {"path": str(path), "volume_id": volume_id, "volume_path": volume_path}
        with self._database.writing() as connection:
            connection.execute(update(Root).where(Root.id == root_id).values(values))
            refresh_documents(connection, contents_of_root(connection, root_id))
            raise_revision(connection)

    def remove(self, root_id: int) -> int:
        """Delete a root with its files and return their number; embeddings remain until `compact`."""
        with self._database.writing() as connection:
            contents = contents_of_root(connection, root_id)
            removed = _remove_rows(connection, root_id)
            refresh_documents(connection, contents)
            connection.execute(delete(Root).where(Root.id == root_id))
            raise_revision(connection)
        return removed


def _remove_rows(connection: Connection, root_id: int) -> int:
    files = connection.execute(delete(File).where(File.root_id == root_id)).rowcount
    failures = connection.execute(delete(Failure).where(Failure.root_id == root_id)).rowcount
    return files + failures
