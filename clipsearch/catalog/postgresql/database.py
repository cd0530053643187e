"""A catalog in a PostgreSQL database."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, create_engine, event, exc, func, select, text

from clipsearch.catalog.database import WRITE, CatalogDamage, DanglingRow, Database
from clipsearch.catalog.postgresql.errors import explain, is_damage
from clipsearch.catalog.postgresql.full_text import PostgresqlFullText, create_full_text
from clipsearch.catalog.postgresql.locks import LOCK_TRANSACTION, OF_VECTORS, library_lock
from clipsearch.catalog.tables import Base, CatalogState
from clipsearch.config import DatabaseUrl, cache_dir
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.system.file_lock import writer_lock
from clipsearch.system.optional_packages import require_extra

_CONNECT_TIMEOUT_S = 10
_LOCK_TIMEOUT_S = 30

_SETTINGS = (
    # timestamps are returned in the session's time zone; the catalog expects UTC
    "SET timezone = 'UTC'",
    f"SET lock_timeout = '{_LOCK_TIMEOUT_S}s'",
    # release the locks of an unreachable machine after 90 seconds
    "SET tcp_keepalives_idle = 60",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)


class PostgresqlDatabase(Database):
    """A schema of a PostgreSQL database, shared by any number of machines with local caches of derived data."""

    shared = True
    _failures = (exc.DBAPIError, exc.TimeoutError)

    def __init__(self, url: DatabaseUrl) -> None:
        """Create the engine without connecting.

        Raises:
            ConfigError: the driver is not installed, or the URL is invalid.
        """
        self._url = url
        self._directory = Path()
        super().__init__(_engine(url), str(url))

    @property
    def directory(self) -> Path:
        """A cache on this machine, specific to the URL and the catalog."""
        return self._directory

    def prepare(self, *, create: bool) -> None:
        """See `Database.prepare`; also creates the cache directory."""
        super().prepare(create=create)
        with self.reading() as connection:
            library_id = connection.execute(select(CatalogState.library_id)).scalar_one()
        self._directory = _cache_of(self._url, library_id)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(f"cannot make the cache {self._directory}: {error.strerror or error}") from error

    def _connect(self, *, write: bool) -> Connection:
        connection = self._engine.connect()
        if write:
            return connection.execution_options(**{WRITE: True})
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def _explain(self, error: Exception) -> str:
        return explain(error, self.name)

    # --- locks ----------------------------------------------------------------------------------

    @contextmanager
    def writer_lock(self, *, wait_s: float) -> Iterator[None]:
        """An exclusive advisory lock, and the lock of this machine's cache."""
        with (
            self.translated(),
            library_lock(self._engine, self.name, shared=False, wait_s=wait_s),
            writer_lock(self.directory, wait_s=wait_s),
        ):
            yield

    @contextmanager
    def indexer_lock(self, *, wait_s: float) -> Iterator[None]:
        """The same advisory lock, shared with other indexers."""
        with self.translated(), library_lock(self._engine, self.name, shared=True, wait_s=wait_s):
            yield

    @contextmanager
    def cache_lock(self) -> Iterator[None]:
        """The lock of this machine's cache."""
        with writer_lock(self.directory):
            yield

    @contextmanager
    def vectors_lock(self, *, wait_s: float) -> Iterator[None]:
        """A separate advisory lock."""
        with self.translated(), library_lock(self._engine, self.name, shared=False, wait_s=wait_s, number=OF_VECTORS):
            yield

    # --- upkeep ---------------------------------------------------------------------------------

    def find_damage(self) -> CatalogDamage:
        """Read all tables and list invalid indexes; the server enforces foreign keys."""
        pages: list[str] = []
        for table in Base.metadata.sorted_tables:
            try:
                with self.reading() as connection:
                    connection.execute(select(func.count()).select_from(table))
            except LibraryError as error:
                if not is_damage(error.__cause__):
                    raise
                pages.append(f"{error} (table {table.name})")
        unusable = text(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace"
        )
        with self.reading() as connection:
            indexes = [f"index {name} is not valid" for name in connection.execute(unusable).scalars()]
        return CatalogDamage(pages, indexes, [])

    def rebuild_indexes(self) -> None:
        """Rebuild all indexes."""
        with self.writing() as connection:
            for table in Base.metadata.sorted_tables:
                connection.exec_driver_sql(f"REINDEX TABLE {table.name}")

    def delete_rows(self, connection: Connection, rows: Iterable[DanglingRow]) -> None:
        """Do nothing: the server enforces foreign keys."""

    def pack(self) -> None:
        """Vacuum and analyze all tables."""
        with self.translated(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in Base.metadata.sorted_tables:
                connection.exec_driver_sql(f"VACUUM (ANALYZE) {table.name}")

    # --- full text ------------------------------------------------------------------------------

    def create_full_text(self, connection: Connection) -> None:
        """A trigram index, if the server has the extension; without it each search reads all rows."""
        create_full_text(connection)

    def full_text(self) -> PostgresqlFullText:
        """LIKE, by that index."""
        return PostgresqlFullText(self.rows)


def _engine(url: DatabaseUrl) -> Engine:
    who = re.sub(r"[^ -~]", "?", f"clipsearch, process {os.getpid()} on {socket.gethostname()}")
    require_extra("scale", "psycopg", what="a library in PostgreSQL")
    try:
        engine = create_engine(
            url.text,
            connect_args={"application_name": who[:63], "connect_timeout": _CONNECT_TIMEOUT_S},
            hide_parameters=True,
            pool_pre_ping=True,  # survive a restart of the server
        )
    except (exc.ArgumentError, ValueError) as error:
        raise ConfigError(f"invalid library URL {url}") from error

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.execute("; ".join(_SETTINGS))
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # serialized, as in SQLite, so that ids become visible in ascending order
        if connection.get_execution_options().get(WRITE, False):
            connection.exec_driver_sql(LOCK_TRANSACTION)

    return engine


def _cache_of(url: DatabaseUrl, library_id: str) -> Path:
    digest = hashlib.sha256(f"{url.identity}#{library_id}".encode()).hexdigest()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", urlsplit(url.text).path).strip("-.")
    return cache_dir() / "libraries" / f"{name}-{digest[:16]}"
