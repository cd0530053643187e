"""A catalog in a SQLite file: what SQLite does in its own way."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.pool import NullPool, QueuePool

from clipsearch.catalog.database import WRITE, CatalogDamage, DanglingRow, Database
from clipsearch.catalog.portable_sql import LOWER
from clipsearch.catalog.sqlite.file import BUSY_TIMEOUT_S, CATALOG_NAME, connect, explain, is_read_only
from clipsearch.catalog.sqlite.integrity import find_damage
from clipsearch.system.file_lock import writer_lock

_CHECKPOINT_TIMEOUT_MS = 1000

_MOMENT_S = 1.0
"""Seconds in which a search has long saved the vectors of what was indexed since; training takes longer, and is left to
who indexes."""

_KEPT_CONNECTIONS = 24
"""Connections that stay open for the next reader: the threads of a server that search and read previews. Each keeps up
to 2 MB of pages; with fewer, those beyond are opened and closed again with each search."""


class SqliteDatabase(Database):
    """`catalog.sqlite3` in a library's directory, which several processes of a machine may read while one writes."""

    _failures = (exc.DatabaseError, sqlite3.DatabaseError)

    def __init__(self, directory: Path) -> None:
        """Bind the file, there or not."""
        self._path = directory / CATALOG_NAME
        super().__init__(_engine(self._path), str(self._path))

    @property
    def directory(self) -> Path:
        """The library."""
        return self._path.parent

    def _connect(self, *, write: bool) -> Connection:
        return self._engine.connect().execution_options(**{WRITE: write})

    def _explain(self, error: Exception) -> str:
        reason = error.orig if isinstance(error, exc.DBAPIError) else error
        return explain(str(reason).strip(), self._path)

    # --- one writer -----------------------------------------------------------------------------

    def writer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """A file in the library, locked: there is one writer, whatever it does."""
        return writer_lock(self.directory, wait_s=wait_s)

    def indexer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """The same, and a search that saves the vectors is waited for: it holds the lock for a moment."""
        return writer_lock(self.directory, wait_s=max(wait_s, _MOMENT_S))

    def cache_lock(self) -> AbstractContextManager[None]:
        """Nothing more: who may index may write to the library."""
        return contextlib.nullcontext()

    # --- upkeep ---------------------------------------------------------------------------------

    def find_damage(self) -> CatalogDamage:
        """Have SQLite check the file, its indexes and its references."""
        return find_damage(self, self._engine)

    def rebuild_indexes(self) -> None:
        """Make every index again from its table."""
        with self.writing() as connection:
            connection.exec_driver_sql("REINDEX")

    def delete_rows(self, connection: Connection, rows: Iterable[DanglingRow]) -> None:
        """Delete rows by table and SQLite's own row id."""
        for row in rows:
            connection.execute(text(f"DELETE FROM {row.table} WHERE rowid = :row_id"), {"row_id": row.row_id})

    def pack(self) -> None:
        """Write the file anew without the room of deleted rows, whole or not at all, and empty its log."""
        # not through SQLAlchemy's connection, which begins a transaction: SQLite packs outside of one only
        with self.translated(), contextlib.closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            # a reader may keep the log for as long as it likes; whoever closes the catalog last deletes it anyway
            cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_TIMEOUT_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")
            cursor.close()


def _engine(path: Path) -> Engine:
    read_only = is_read_only(path)
    # as many connections as there are threads that read: one that waits for another gains nothing in a file
    kept: dict[str, Any] = {"poolclass": QueuePool, "pool_size": _KEPT_CONNECTIONS, "max_overflow": -1}
    pool = {"poolclass": NullPool} if read_only else kept
    engine = create_engine("sqlite+pysqlite://", creator=lambda: connect(path, read_only=read_only), **pool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL, not NORMAL: a commit lost to a power cut would let its revision number be used again
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _add_functions(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # the driver is told to stay out of transactions (isolation_level=None), so that DDL is atomic too
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _add_functions(connection: Any) -> None:
    """What other databases have and SQLite lacks, or knows for ASCII only; NULL in, NULL out."""
    functions: dict[str, Callable[[Any], Any]] = {
        LOWER: str.lower,
        "sin": math.sin,
        "cos": math.cos,
        "radians": math.radians,
    }
    for name, function in functions.items():
        connection.create_function(name, 1, _passing_null(function), deterministic=True)


def _passing_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)
