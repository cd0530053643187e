"""Opening the catalog of a library, whatever database it is in."""

from __future__ import annotations

from pathlib import Path

from clipsearch.catalog.database import Database
from clipsearch.catalog.sqlite.database import SqliteDatabase
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.errors import NoLibraryError


def open_database(place: LibraryPlace, *, create: bool) -> Database:
    """Open a catalog, creating or upgrading its tables.

    Args:
        place: the library's directory, or the address of its database.
        create: make the catalog if there is none.

    Raises:
        LibraryError: there is none, it cannot be reached, is no catalog, or is damaged.
        SchemaVersionError: a newer clipsearch wrote it.
        ConfigError: what speaks to its database is not installed.
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
