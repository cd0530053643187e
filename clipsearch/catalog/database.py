"""A catalog's database as the rest of the package sees it; what each does in its own way, its subclass says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, exc, inspect, text

from clipsearch.catalog.schema import SCHEMA_VERSION
from clipsearch.catalog.tables import create_tables
from clipsearch.errors import LibraryError, NoLibraryError, SchemaVersionError

WRITE = "clipsearch_write"
"""The execution option of connections whose transactions write."""


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


class Database(ABC):
    """An open catalog. Safe to use from several threads.

    Attributes:
        name: what people call it: a path, or an address without user and password.
        shared: whether several processes may index at once, each with leases on its files.
    """

    name: str
    shared: bool = False
    _failures: tuple[type[Exception], ...] = (exc.DatabaseError,)

    def __init__(self, engine: Engine, name: str) -> None:
        """Bind an engine that nothing was read with yet; use `clipsearch.catalog.open_database.open_database`."""
        self._engine = engine
        self.name = name

    @property
    @abstractmethod
    def directory(self) -> Path:
        """Where what is computed from the catalog is kept."""

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    # --- transactions ---------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the catalog from its first statement to its end."""
        with self.translated(), self._connect(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed whole at its end, or not at all; one at a time, whoever writes."""
        with self.translated(), self._connect(write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the database's errors into ours, in one line that says what to do."""
        try:
            yield
        except self._failures as error:
            raise LibraryError(self._explain(error)) from error

    @abstractmethod
    def _connect(self, *, write: bool) -> Connection:
        """A connection whose transactions read, or write."""

    @abstractmethod
    def _explain(self, error: Exception) -> str:
        """What went wrong, in one line."""

    # --- one writer -----------------------------------------------------------------------------

    @abstractmethod
    def writer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """The right to change anything, alone; see `Catalog.writer_lock`."""

    @abstractmethod
    def indexer_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """The right to index; see `Catalog.indexer_lock`."""

    @abstractmethod
    def cache_lock(self) -> AbstractContextManager[None]:
        """The right to change `directory`, for a holder of the indexer's lock."""

    def vectors_lock(self, *, wait_s: float) -> AbstractContextManager[None]:
        """The right to change what an engine that all machines share holds; see `Catalog.vectors_lock`."""
        return nullcontext()  # one writer at a time is one anyway

    # --- upkeep ---------------------------------------------------------------------------------

    @abstractmethod
    def find_damage(self) -> CatalogDamage:
        """Have the database check itself; damage is an answer, not an error.

        Raises:
            LibraryError: it cannot be read, whatever is in it.
        """

    @abstractmethod
    def rebuild_indexes(self) -> None:
        """Make every index again from its table."""

    @abstractmethod
    def delete_rows(self, connection: Connection, rows: Iterable[DanglingRow]) -> None:
        """Delete rows that `find_damage` found."""

    @abstractmethod
    def pack(self) -> None:
        """Give the room of deleted rows back."""

    # --- schema ---------------------------------------------------------------------------------

    def prepare(self, *, create: bool) -> None:
        """Make the tables of a new catalog; refuse one of another version.

        Raises:
            NoLibraryError: there are none, and none are to be made.
            LibraryError: they are another program's.
            SchemaVersionError: another version of clipsearch wrote them.
        """
        with self.reading() as connection:
            version = self._schema_version(connection)
        if version == SCHEMA_VERSION:
            return
        if version is None and not create:
            raise NoLibraryError(f"there is no library in {self.name}; make one with: clipsearch index FOLDER")
        if version is None:
            with self.writing() as connection:  # where another process was faster, nothing is left to do
                if self._schema_version(connection) is None:
                    create_tables(connection)
            return
        if version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{self.name} was written by a newer clipsearch (schema {version}, this one knows {SCHEMA_VERSION}); "
                "update with: pip install --upgrade clipsearch"
            )
        raise SchemaVersionError(
            f"{self.name} was written by a clipsearch from before version 1 of the catalog, which this one cannot "
            "read; index again into a new library with --library DIR, or export it with the old version and import it"
        )

    def _schema_version(self, connection: Connection) -> int | None:
        """The version of the tables; 0 for those of before version 1, ``None`` if there are none."""
        inspector = inspect(connection)
        tables = inspector.get_table_names()
        if "alembic_version" in tables:
            return 0
        if "catalog_state" in tables:
            version: int = connection.execute(text("SELECT schema_version FROM catalog_state")).scalar_one()
            return version
        if tables:
            raise LibraryError(f"{self.name} is a database of another program; name another library")
        return None
