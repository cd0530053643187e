"""Files that others see whole or not at all: written beside their place, then renamed."""

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
    """Write a file that takes the place of `path` when the block ends, and leaves nothing when it fails.

    Args:
        path: its folder is made if it is missing.
        durable: let it survive a power cut once the block has ended.
        private: let only its owner read it, whatever the umask is.

    Raises:
        OSError: it cannot be written.
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
    """Write a file whole or not at all; see `replacing`."""
    with replacing(path, durable=durable, private=private) as file:
        file.write(content)


def write_text(path: Path, text: str, *, durable: bool = False, private: bool = False) -> None:
    """Write a file of UTF-8 whole or not at all; see `replacing`."""
    write_bytes(path, text.encode("utf-8"), durable=durable, private=private)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make a rename in a folder survive a power cut; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_owner(path: Path) -> int | None:
    """The process that writes a temporary file of `replacing`; ``None`` if the file is none."""
    found = _TEMPORARY.search(path.name)
    return int(found[1]) if found is not None else None
