"""Atomic file replacement: a file is written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.(\d+)(?:-\d+)?\.tmp$")


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """Replace `path` atomically when the block ends; if the block fails, `path` is unchanged.

    Args:
        path: the target; its folder is created if necessary.
        durable: sync the file and its folder, so that the new content survives a power cut.
        private: readable by the owner only (mode 600).

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    mode = 0o600 if private else 0o666
    try:
        with open(temporary, "w+b", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = False, private: bool = False) -> None:
    """Replace a file's content atomically; see `replacing`."""
    with replacing(path, durable=durable, private=private) as file:
        file.write(content)


def write_text(path: Path, text: str, *, durable: bool = False, private: bool = False) -> None:
    """Replace a UTF-8 file's content atomically; see `replacing`."""
    write_bytes(path, text.encode("utf-8"), durable=durable, private=private)


def sync_file(path: Path) -> None:
    """Sync a file's content to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Sync a folder's entries, such as a rename, to the disk; does nothing on Windows, which has no such call."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_owner(path: Path) -> int | None:
    """Process id of the writer of a temporary file of `replacing`; ``None`` for any other file."""
    match = _TEMPORARY.search(path.name)
    return int(match[1]) if match is not None else None
