"""A catalog in a SQLite file."""

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
from clipsearch.catalog.portable_sql import FOLD
from clipsearch.catalog.sqlite.file import BUSY_TIMEOUT_S, CATALOG_NAME, connect, explain, is_read_only
from clipsearch.catalog.sqlite.full_text import COMPACT_FULL_TEXT, CREATE_FULL_TEXT, REBUILD_FULL_TEXT, SqliteFullText
from clipsearch.catalog.sqlite.integrity import find_damage
from clipsearch.system.file_lock import writer_lock
from clipsearch.text import fold

_CHECKPOINT_TIMEOUT_MS = 1000

_MOMENT_S = 1.0
"""Seconds an indexer waits for a search that saves the vector index; searches never train, which takes longer."""

_KEPT_CONNECTIONS = 24
"""Size of the connection pool, for the threads of a server. Each connection caches up to 2 MB of pages; connections
beyond the pool are opened and closed for each search."""


class SqliteDatabase(Database):
    """`catalog.sqlite3` in a library's directory, with one writer and any number of readers."""

    _failures = (exc.DatabaseError, sqlite3.DatabaseError)

    def __init__(self, directory: Path) -> None:
        """Create the engine of an existing or new file."""
        self._path = directory / CATALOG_NAME
        super().__init__(_engine(self._path), str(self._path))

    @property
    def directory(self) -> Path:
        """The library's directory."""
        return self._path.parent

    def _connect(self, *, write: bool) -> Connection:
        return self._engine.connect().execution_options(**{WRITE: write})

    def _explain(self, error: Exception) -> str:
        reason = error.orig if isinstance(error, exc.DBAPIError) else error
        return explain(str(reason).strip(), self._path)

    # --- locks ----------------------------------------------------------------------------------

    def writer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """A file lock in the library."""
        return writer_lock(self.directory, wait_s=wait_s)

    def indexer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """The same lock, waiting at least for a search that saves the vector index."""
        return writer_lock(self.directory, wait_s=max(wait_s, _MOMENT_S))

    def cache_lock(self) -> AbstractContextManager[None]:
        """No further lock: the indexer's lock is exclusive."""
        return contextlib.nullcontext()

    # --- upkeep ---------------------------------------------------------------------------------

    def find_damage(self) -> CatalogDamage:
        """Check the file, its indexes and foreign keys."""
        return find_damage(self, self._engine)

    def rebuild_indexes(self) -> None:
        """Rebuild all indexes."""
        with self.writing() as connection:
            connection.exec_driver_sql("REINDEX")
            connection.exec_driver_sql(REBUILD_FULL_TEXT)

    def delete_rows(self, connection: Connection, rows: Iterable[DanglingRow]) -> None:
        """Delete rows by table and rowid."""
        for row in rows:
            connection.execute(text(f"DELETE FROM {row.table} WHERE rowid = :row_id"), {"row_id": row.row_id})

    def pack(self) -> None:
        """Vacuum the file and truncate its write-ahead log."""
        # without SQLAlchemy's connection, which begins a transaction: VACUUM must run outside of one
        with self.translated(), contextlib.closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(COMPACT_FULL_TEXT)
            cursor.execute("VACUUM")
            # a reader may block the truncation; the last connection deletes the log anyway
            cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_TIMEOUT_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")
            cursor.close()

    # --- full text ------------------------------------------------------------------------------

    def create_full_text(self, connection: Connection) -> None:
        """An FTS5 table with triggers."""
        for statement in CREATE_FULL_TEXT:
            connection.exec_driver_sql(statement)

    def full_text(self) -> SqliteFullText:
        """FTS5."""
        return SqliteFullText(self.rows)


def _engine(path: Path) -> Engine:
    read_only = is_read_only(path)
    # unlimited connections, because waiting for one gains nothing with a file
    kept: dict[str, Any] = {"poolclass": QueuePool, "pool_size": _KEPT_CONNECTIONS, "max_overflow": -1}
    pool = {"poolclass": NullPool} if read_only else kept
    engine = create_engine("sqlite+pysqlite://", creator=lambda: connect(path, read_only=read_only), **pool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL, because a commit lost in a power cut would allow its revision to be reused
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _add_functions(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # explicit, because the driver's own transactions (isolation_level) exclude DDL
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _add_functions(connection: Any) -> None:
    """Register functions that SQLite lacks or supports only for ASCII; NULL for NULL."""
    functions: dict[str, Callable[[Any], Any]] = {
        FOLD: fold,
        "sin": math.sin,
        "cos": math.cos,
        "radians": math.radians,
    }
    for name, function in functions.items():
        connection.create_function(name, 1, _passing_null(function), deterministic=True)


def _passing_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)
