"""Connections, transactions and schema versions: the one module that knows SQLite from other databases."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.pool import NullPool, QueuePool

from clipsearch.errors import LibraryError, SchemaVersionError

SCHEMA_HEAD = "0001"
"""The newest migration; a test holds it to the files in `migrations/versions`."""

SCHEMA_REVISIONS = frozenset({"0001"})
"""Every schema version that this program can open, by upgrading it where it is older."""

_WRITE = "clipsearch_write"
_BUSY_TIMEOUT_S = 30.0


def open_database(path: Path, *, create: bool) -> Engine:
    """Open the catalog of a library, creating or upgrading its tables.

    Args:
        path: of the SQLite file.
        create: make it if it does not exist.

    Raises:
        LibraryError: it does not exist, is no catalog, or is damaged.
        SchemaVersionError: a newer clipsearch wrote it.
    """
    if not create and not path.is_file():
        raise LibraryError(f"there is no library in {path.parent}; make one with: clipsearch index FOLDER")
    engine = _engine(path)
    try:
        with translated(path):
            _bring_up_to_date(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _engine(path: Path) -> Engine:
    read_only = path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))

    def connect() -> sqlite3.Connection:
        uri = path.resolve().as_uri() + (_read_only_flags(path) if read_only else "")
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool if read_only else QueuePool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL, not NORMAL: a commit lost to a power cut would let its revision number be used again
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # the driver is told to stay out of transactions (isolation_level=None), so that DDL is atomic too
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _read_only_flags(path: Path) -> str:
    """A read-only directory cannot hold the shared memory that WAL readers need; nothing changes there anyway.

    With commits left in the write-ahead log, they have to be read all the same, which needs that memory.
    """
    log = path.with_name(f"{path.name}-wal")
    return "?mode=ro" if log.exists() and log.stat().st_size else "?immutable=1"


@contextmanager
def reading(engine: Engine, path: Path) -> Iterator[Connection]:
    """A transaction that sees one state of the catalog from its first statement to its end."""
    with translated(path), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine, path: Path) -> Iterator[Connection]:
    """A transaction that is committed whole at its end, or not at all."""
    with translated(path), engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        yield connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the database's errors into ours, in one line that says what to do."""
    try:
        yield
    except exc.DatabaseError as error:
        raise LibraryError(_explain(str(error.orig).strip(), path)) from error
    except sqlite3.DatabaseError as error:
        raise LibraryError(_explain(str(error).strip(), path)) from error


def _explain(reason: str, path: Path) -> str:
    if "full" in reason:
        return f"the disk that holds {path.parent} is full; what was committed is safe: make room and run it again"
    if "not a database" in reason or "malformed" in reason:
        return f"{path} is damaged ({reason}); restore it from a backup, or delete it and index again"
    if "readonly" in reason or "unable to open" in reason:
        return f"{path} cannot be opened for writing ({reason}); check the permissions of {path.parent}"
    if "locked" in reason:
        return f"{path} stays locked by another program; wait for it to end and try again"
    return f"{path}: {reason}"


def _bring_up_to_date(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        version = _schema_version(connection, path)
    if version == SCHEMA_HEAD:
        return
    if version is not None and version not in SCHEMA_REVISIONS:
        raise SchemaVersionError(
            f"{path} was written by a newer clipsearch (schema {version}, this one knows {SCHEMA_HEAD}); "
            "update with: pip install --upgrade clipsearch"
        )
    with writing(engine, path) as connection:
        _migrate(connection)


def _schema_version(connection: Connection, path: Path) -> str | None:
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version
    if tables:
        raise LibraryError(f"{path} is a database of another program; name another library directory")
    return None


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
