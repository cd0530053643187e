"""The writer's lock of a library: released by the system if its process dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from clipsearch.errors import LibraryError, LibraryLockedError

LOCK_NAME = "writer.lock"
_HOLDER_NAME = "writer.json"


@contextmanager
def writer_lock(library: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the exclusive right to write to a library.

    Args:
        library: its directory.
        wait_s: seconds to wait for another writer.

    Raises:
        LibraryLockedError: another process holds the lock.
        LibraryError: the lock file cannot be written, for example in a read-only directory.
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
    import socket  # a search takes no lock

    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().isoformat(timespec="seconds")}
    try:
        (library / _HOLDER_NAME).write_text(json.dumps(who), encoding="utf-8")
    except OSError as error:
        raise LibraryError(f"cannot write to the library {library}: {error.strerror or error}") from error


def _holder(library: Path) -> str | None:
    """Description of the process that holds the lock; ``None`` if unknown."""
    try:
        who = json.loads((library / _HOLDER_NAME).read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']} (since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
