"""Who may write to a catalog in PostgreSQL: locks of the server's, which end with the connection that holds them.

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, exc, text

from clipsearch.errors import LibraryLockedError

OF_LIBRARY = 1_668_048_240
_OF_TRANSACTION = 1_668_048_241
OF_VECTORS = 1_668_048_242
"""First numbers of the locks: "clip" in ASCII, and the next. The second is of the schema that the tables are in."""

_POLL_S = 0.2

LOCK_TRANSACTION = f"SELECT pg_advisory_xact_lock({_OF_TRANSACTION}, hashtext(current_schema()))"
"""Begins a transaction that writes: the next one waits for its end."""

_HOLDER = text(
    "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid = :number AND l.objid = hashtext(current_schema())::bit(32)::bigint::oid "
    "ORDER BY a.backend_start LIMIT 1"
)


@contextmanager
def library_lock(engine: Engine, name: str, *, shared: bool, wait_s: float, number: int = OF_LIBRARY) -> Iterator[None]:
    """Hold the right to write to a catalog, on a connection of its own.

    Args:
        engine: the catalog's.
        name: what people call it.
        shared: beside others that ask for no more than that; otherwise alone.
        wait_s: how long to wait for others, in seconds.
        number: `OF_LIBRARY`, or `OF_VECTORS` for what an engine that all machines share holds of it.

    Raises:
        LibraryLockedError: others hold it still.
    """
    kind = "_shared" if shared else ""
    numbers = f"({number}, hashtext(current_schema()))"
    until = time.monotonic() + wait_s
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock{kind}{numbers}").scalar_one():
            if time.monotonic() >= until:
                raise LibraryLockedError(name, _holder(connection, number))
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            _unlock(connection, f"SELECT pg_advisory_unlock{kind}{numbers}")


def _unlock(connection: Connection, statement: str) -> None:
    try:
        connection.exec_driver_sql(statement)
    except exc.DBAPIError:  # the connection was lost, and the lock with it
        connection.invalidate()


def _holder(connection: Connection, number: int) -> str | None:
    """Who holds the lock, in words; ``None`` where it cannot be told."""
    row = connection.execute(_HOLDER, {"number": number}).one_or_none()
    if row is None or not row[0]:
        return None
    return f"{row[0].removeprefix('clipsearch, ')} (since {row[1].isoformat(sep=' ', timespec='seconds')})"
