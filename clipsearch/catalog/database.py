"""The interface of the catalog's database, and the base class of repositories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, exc, inspect, select, text, update

from clipsearch.catalog.full_text import FullText
from clipsearch.catalog.schema import SCHEMA_VERSION
from clipsearch.catalog.tables import CatalogState, create_tables
from clipsearch.errors import LibraryError, NoLibraryError, SchemaVersionError

WRITE = "clipsearch_write"
"""Execution option of connections for write transactions."""


@dataclass(frozen=True)
class DanglingRow:
    """A row whose foreign key refers to a missing row."""

    table: str
    row_id: int
    parent: str


@dataclass(frozen=True)
class CatalogDamage:
    """Result of the database's integrity check.

    Attributes:
        pages: damage of tables, as reported by the database; only a backup repairs it.
        indexes: damage of indexes, repaired by rebuilding them.
        dangling: foreign key violations; not checked if `pages` are damaged.
    """

    pages: list[str]
    indexes: list[str]
    dangling: list[DanglingRow]


class Database(ABC):
    """An open catalog database. Thread-safe.

    Attributes:
        name: for display: a path, or a URL without user and password.
        shared: whether several processes may index concurrently, with leases on files.
    """

    name: str
    shared: bool = False
    _failures: tuple[type[Exception], ...] = (exc.DatabaseError,)

    def __init__(self, engine: Engine, name: str) -> None:
        """Use `clipsearch.catalog.open_database.open_database`."""
        self._engine = engine
        self.name = name

    @property
    @abstractmethod
    def directory(self) -> Path:
        """Directory of data derived from the catalog."""

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # --- transactions ---------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction with snapshot isolation."""
        with self.translated(), self._connect(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block; write transactions are serialized."""
        with self.translated(), self._connect(write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate the database's exceptions to `LibraryError`."""
        try:
            yield
        except self._failures as error:
            raise LibraryError(self._explain(error)) from error

    @abstractmethod
    def _connect(self, *, write: bool) -> Connection:
        """A connection for read or write transactions."""

    @abstractmethod
    def _explain(self, error: Exception) -> str:
        """One-line message with what to do."""

    # --- locks ----------------------------------------------------------------------------------

    @abstractmethod
    def writer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """See `Catalog.writer_lock`."""

    @abstractmethod
    def indexer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """See `Catalog.indexer_lock`."""

    @abstractmethod
    def cache_lock(self) -> AbstractContextManager[None]:
        """See `Catalog.cache_lock`."""

    def vectors_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """See `Catalog.vectors_lock`."""
        return nullcontext()  # the writer's lock suffices

    # --- upkeep ---------------------------------------------------------------------------------

    @abstractmethod
    def find_damage(self) -> CatalogDamage:
        """Run the database's integrity check.

        Raises:
            LibraryError: the database cannot be read for other reasons than damage.
        """

    @abstractmethod
    def rebuild_indexes(self) -> None:
        """Rebuild all indexes."""

    @abstractmethod
    def delete_rows(self, connection: Connection, rows: Iterable[DanglingRow]) -> None:
        """Delete rows returned by `find_damage`."""

    @abstractmethod
    def pack(self) -> None:
        """Reclaim the space of deleted rows."""

    # --- schema ---------------------------------------------------------------------------------

    def prepare(self, *, create: bool) -> None:
        """Create the tables of a new catalog, or check the version of an existing one.

        Raises:
            NoLibraryError: there is no catalog, and `create` is False.
            LibraryError: the tables belong to another program.
            SchemaVersionError: the catalog is of another version of clipsearch.
        """
        with self.reading() as connection:
            version = self._schema_version(connection)
        if version == SCHEMA_VERSION:
            return
        if version is None and not create:
            raise NoLibraryError(f"there is no library in {self.name}; make one with: clipsearch index FOLDER")
        if version is None:
            with self.writing() as connection:  # another process may have created them
                if self._schema_version(connection) is None:
                    create_tables(connection)
                    self.create_full_text(connection)
            return
        if version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{self.name} was written by a newer clipsearch (schema {version}, this one knows {SCHEMA_VERSION}); "
                "update with: pip install --upgrade clipsearch"
            )
        raise SchemaVersionError(
            f"{self.name} was written by an older clipsearch (schema {version}, this one reads {SCHEMA_VERSION}); "
            "index again into a new library with --library DIR, or export it with the old version and import it"
        )

    @abstractmethod
    def create_full_text(self, connection: Connection) -> None:
        """Create the index over the rows of `TextDocument`, which the database then keeps current."""

    @abstractmethod
    def full_text(self) -> FullText:
        """The full-text search of this database."""

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement in the driver's own syntax."""
        with self.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement, tuple(values))]

    def _schema_version(self, connection: Connection) -> int | None:
        """Version of the tables; 0 for those before version 1, ``None`` if there are none."""
        inspector = inspect(connection)
        tables = inspector.get_table_names()
        if "alembic_version" in tables:
            return 0
        if "catalog_state" in tables:
            version: int = connection.execute(text("SELECT schema_version FROM catalog_state")).scalar_one()
            return version
        if tables:
            raise LibraryError(f"{self.name} is the database of another program; choose another library")
        return None


class Repository:
    """Reads and writes a group of tables of an open catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database


def current_revision(connection: Connection) -> int:
    """The catalog's revision, as seen by a transaction."""
    return connection.execute(select(CatalogState.revision)).scalar_one()


def raise_revision(connection: Connection) -> None:
    """Increment the revision; in every transaction that may change which embeddings have files, or their paths."""
    connection.execute(update(CatalogState).values(revision=CatalogState.revision + 1))
