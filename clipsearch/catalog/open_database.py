"""Opens the database of a catalog."""

from __future__ import annotations

from pathlib import Path

from clipsearch.catalog.database import Database
from clipsearch.catalog.sqlite.database import SqliteDatabase
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.errors import NoLibraryError


def open_database(place: LibraryPlace, *, create: bool) -> Database:
    """Open a catalog.

    Args:
        place: the library's directory, or the URL of its database.
        create: create the catalog if it does not exist.

    Raises:
        LibraryError: the catalog is missing, unreachable, damaged, or belongs to another program.
        SchemaVersionError: the catalog is of another version of clipsearch.
        ConfigError: the database driver is not installed.
    """
    database = _unopened(place, create=create)
    try:
        database.prepare(create=create)
    except BaseException:
        database.close()
        raise
    return database


def _unopened(place: LibraryPlace, *, create: bool) -> Database:
    if not isinstance(place, Path):
        from clipsearch.catalog.postgresql.database import PostgresqlDatabase

        return PostgresqlDatabase(place)
    if not create and not (place / CATALOG_NAME).is_file():
        raise NoLibraryError(f"there is no library in {place}; make one with: clipsearch index FOLDER")
    return SqliteDatabase(place)
