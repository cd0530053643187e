"""The file of a catalog as SQLite has it: how it is opened, and its errors in our words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

CATALOG_NAME = "catalog.sqlite3"
"""The file in a library's directory."""

BUSY_TIMEOUT_S = 30.0
"""How long a statement waits for another process before it gives up."""


def is_read_only(path: Path) -> bool:
    """Whether a catalog, or the directory that its log would go to, cannot be written to."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection that begins no transaction by itself, and that any one thread at a time may use.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    uri = path.resolve().as_uri() + (_read_only_flags(path) if read_only else "")
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def explain(reason: str, path: Path) -> str:
    """What SQLite says of a catalog, in one line that says what to do."""
    if "full" in reason:
        return f"the disk that holds {path.parent} is full; what was committed is safe: make room and run it again"
    if is_damage(reason):
        return f"{path} is damaged ({reason}); restore it from a backup, or delete it and index again"
    if "readonly" in reason or "unable to open" in reason:
        return f"{path} cannot be opened for writing ({reason}); check the permissions of {path.parent}"
    if "locked" in reason:
        return f"{path} stays locked by another program; wait for it to end and try again"
    return f"{path}: {reason}"


def is_damage(reason: str) -> bool:
    """Whether what SQLite says means that the file itself is damaged."""
    return "not a database" in reason or "malformed" in reason


def _read_only_flags(path: Path) -> str:
    """A read-only directory cannot hold the shared memory that WAL readers need; nothing changes there anyway.

    With commits left in the write-ahead log, they have to be read all the same, which needs that memory.
    """
    log = path.with_name(f"{path.name}-wal")
    return "?mode=ro" if log.exists() and log.stat().st_size else "?immutable=1"
