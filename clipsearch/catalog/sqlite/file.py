"""The SQLite file of a catalog: opening it, and messages for its errors."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

CATALOG_NAME = "catalog.sqlite3"
"""File name in a library's directory."""

BUSY_TIMEOUT_S = 30.0
"""Seconds a statement waits for another process."""


def is_read_only(path: Path) -> bool:
    """Whether a catalog or its directory, which has the write-ahead log, is not writable."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection without implicit transactions, usable by one thread at a time.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    uri = path.resolve().as_uri() + (_read_only_flags(path) if read_only else "")
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def explain(reason: str, path: Path) -> str:
    """A one-line message for SQLite's error, with what to do."""
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
    """Whether SQLite's error reports damage of the file."""
    return "not a database" in reason or "malformed" in reason


def _read_only_flags(path: Path) -> str:
    """``immutable`` avoids the shared-memory file of WAL readers, which a read-only directory cannot have.

    A non-empty write-ahead log must be read, which needs that file.
    """
    log = path.with_name(f"{path.name}-wal")
    return "?mode=ro" if log.exists() and log.stat().st_size else "?immutable=1"
