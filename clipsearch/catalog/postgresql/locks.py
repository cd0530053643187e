"""Locks of a catalog in PostgreSQL: advisory locks, which end with their connection.

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
"""First keys of the advisory locks ("clip" in ASCII, and the next numbers); the second key is a hash of the schema."""

_POLL_S = 0.2

LOCK_TRANSACTION = f"SELECT pg_advisory_xact_lock({_OF_TRANSACTION}, hashtext(current_schema()))"
"""First statement of a write transaction, which serializes these."""

_HOLDER = text(
    "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid = :number AND l.objid = hashtext(current_schema())::bit(32)::bigint::oid "
    "ORDER BY a.backend_start LIMIT 1"
)


@contextmanager
def library_lock(engine: Engine, name: str, *, shared: bool, wait_s: float, number: int = OF_LIBRARY) -> Iterator[None]:
    """Hold an advisory lock of a catalog on a separate connection.

    Args:
        engine: the catalog's engine.
        name: the catalog's name for display.
        shared: shared rather than exclusive.
        wait_s: seconds to wait for other holders.
        number: `OF_LIBRARY` or `OF_VECTORS`.

    Raises:
        LibraryLockedError: another process holds the lock.
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
    except exc.DBAPIError:  # the lock ended with the lost connection
        connection.invalidate()


def _holder(connection: Connection, number: int) -> str | None:
    """Description of the holder of the lock; ``None`` if unknown."""
    row = connection.execute(_HOLDER, {"number": number}).one_or_none()
    if row is None or not row[0]:
        return None
    return f"{row[0].removeprefix('clipsearch, ')} (since {row[1].isoformat(sep=' ', timespec='seconds')})"
