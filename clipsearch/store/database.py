"""Connections, transactions and schema versions; beside `sqlite_file`, what knows SQLite from other databases."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, exc, func, inspect, select, text
from sqlalchemy.pool import NullPool, QueuePool

from clipsearch.errors import LibraryError, SchemaVersionError
from clipsearch.store.sqlite_file import (
    BUSY_TIMEOUT_S,
    SCHEMA_HEAD,
    SCHEMA_REVISIONS,
    connect,
    explain,
    is_damage,
    is_read_only,
)
from clipsearch.store.tables import Base

_WRITE = "clipsearch_write"
_CHECKPOINT_TIMEOUT_MS = 1000

_MOST_PROBLEMS = 100
"""Lines of an integrity check that are asked for."""

_HARMLESS_PROBLEM = re.compile("index|is never used")
"""Problems that making the indexes and the file anew does away with; no name of a table has these words in it."""


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
    read_only = is_read_only(path)
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: connect(path, read_only=read_only),
        poolclass=NullPool if read_only else QueuePool,
    )

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
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _add_functions(connection: Any) -> None:
    """What other databases have and SQLite lacks, or knows for ASCII only; NULL in, NULL out."""
    functions: dict[str, Callable[[Any], Any]] = {
        "lower": str.lower,
        "sin": math.sin,
        "cos": math.cos,
        "radians": math.radians,
    }
    for name, function in functions.items():
        connection.create_function(name, 1, _passing_null(function), deterministic=True)


def _passing_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)


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
        raise LibraryError(explain(str(error.orig).strip(), path)) from error
    except sqlite3.DatabaseError as error:
        raise LibraryError(explain(str(error).strip(), path)) from error


def is_one_of(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """The condition that a column's text is one of many: more than a statement may have parameters."""
    listed = func.json_each(json.dumps(list(values))).table_valued("value")
    found: ColumnElement[bool] = column.in_(select(listed.c.value))
    return found


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


@dataclass(frozen=True)
class DanglingRow:
    """A row that names another which is not there."""

    table: str
    row_id: int
    parent: str


@dataclass(frozen=True)
class CatalogDamage:
    """What a database finds wrong with its own file.

    Attributes:
        pages: damage of the tables themselves, in the database's words; nothing but a backup mends it.
        indexes: damage of indexes, which are made again from their tables.
        dangling: rows that name others which are not there; not looked for where `pages` are damaged.
    """

    pages: list[str]
    indexes: list[str]
    dangling: list[DanglingRow]


def find_damage(engine: Engine, path: Path) -> CatalogDamage:
    """Have the database check its file; damage is an answer, not an error.

    Raises:
        LibraryError: the file cannot be read, whatever is in it.
    """
    pages: list[str] = []
    indexes: list[str] = []
    try:
        with reading(engine, path) as connection:
            rows = connection.execute(text("SELECT rootpage, type || ' ' || name AS owner FROM sqlite_master"))
            trees = {int(row.rootpage): str(row.owner) for row in rows}
            for problem in _problems(connection):
                owner = _owner(connection, problem, trees)
                of_index = owner.startswith("index ") or _HARMLESS_PROBLEM.search(problem)
                (indexes if of_index else pages).append(f"{problem} ({owner})" if owner else problem)
            if pages:
                return CatalogDamage(pages, indexes, [])
            violations = connection.exec_driver_sql("PRAGMA foreign_key_check")
            dangling = [DanglingRow(table, row_id, parent) for table, row_id, parent, _ in violations]
    except LibraryError as error:
        reason = str(error.__cause__.orig) if isinstance(error.__cause__, exc.DBAPIError) else str(error)
        if not is_damage(reason):
            raise
        # a check that breaks off names nothing
        unreadable = [f"{reason} (table {name})" for name in _unreadable_tables(engine)]
        if unreadable or pages:
            return CatalogDamage([*pages, *unreadable], indexes, [])
        return CatalogDamage([], [*indexes, f"{reason} (every table can be read)"], [])
    return CatalogDamage(pages, indexes, dangling)


def _unreadable_tables(engine: Engine) -> list[str]:
    """Which tables cannot be read from beginning to end without their indexes."""
    found = []
    for table in Base.metadata.sorted_tables:
        try:
            with engine.connect() as connection:
                for _ in connection.exec_driver_sql(f"SELECT * FROM {table.name} NOT INDEXED"):
                    pass
        except exc.DatabaseError:
            found.append(table.name)
    return found


def _problems(connection: Connection) -> list[str]:
    lines = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_PROBLEMS})").scalars().all()
    problems = [problem.strip() for line in lines for problem in line.splitlines()]
    return [problem for problem in problems if problem not in ("", "ok", "*** in database main ***")]


def _owner(connection: Connection, problem: str, trees: dict[int, str]) -> str:
    """Which table or index a damaged page is of, in words; empty where that cannot be told."""
    if tree := re.match(r"Tree (\d+)", problem):  # SQLite 3.42 and newer
        return trees.get(int(tree[1]), "")
    page = re.match(r"(?:On tree page|On page|Page) (\d+)", problem)
    if page is None:
        return ""
    try:  # not every SQLite is built with this table
        statement = text("SELECT name FROM dbstat WHERE pageno = :page")
        found = connection.execute(statement, {"page": int(page[1])}).scalar()
    except exc.DatabaseError:
        return ""
    return next((tree for tree in trees.values() if tree.endswith(f" {found}")), "")


def rebuild_indexes(engine: Engine, path: Path) -> None:
    """Make every index again from its table."""
    with writing(engine, path) as connection:
        connection.exec_driver_sql("REINDEX")


def delete_rows(connection: Connection, rows: Iterable[tuple[str, int]]) -> None:
    """Delete rows by table and SQLite's own row id."""
    for table, row_id in rows:
        connection.execute(text(f"DELETE FROM {table} WHERE rowid = :row_id"), {"row_id": row_id})


def pack(engine: Engine, path: Path) -> None:
    """Write the file anew without the room of deleted rows, whole or not at all, and empty its log."""
    # not through SQLAlchemy's connection, which begins a transaction: SQLite packs outside of one only
    with translated(path), contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        # a reader may keep the log for as long as it likes; whoever closes the catalog last deletes it anyway
        cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_TIMEOUT_MS}")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")
        cursor.close()
