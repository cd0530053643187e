"""One writer at a time: a lock that dies with its process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from clipsearch.errors import LibraryError, LibraryLockedError

LOCK_NAME = "writer.lock"
_HOLDER_NAME = "writer.json"


@contextmanager
def writer_lock(library: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the right to write to a library.

    Args:
        library: its directory.
        wait_s: how long to wait for another writer to end, in seconds.

    Raises:
        LibraryLockedError: another process still holds it then.
        LibraryError: the lock cannot be made, for example in a read-only directory.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(library / LOCK_NAME, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise LibraryLockedError(library, _holder(library)) from error
    except OSError as error:
        raise LibraryError(f"cannot write to the library {library}: {error.strerror or error}") from error
    try:
        _write_holder(library)
        yield
    finally:
        (library / _HOLDER_NAME).unlink(missing_ok=True)
        lock.release()


def _write_holder(library: Path) -> None:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().isoformat(timespec="seconds")}
    try:
        (library / _HOLDER_NAME).write_text(json.dumps(who), encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"cannot write to the library {library}: {error.strerror or error}") from error


def _holder(library: Path) -> str | None:
    """Who holds the lock, in words; ``None`` where it cannot be told."""
    try:
        who = json.loads((library / _HOLDER_NAME).read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']} (since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
