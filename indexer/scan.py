"""Walking a folder for pictures."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipsearch.images import IMAGE_SUFFIXES
from clipsearch.store.image_store import CATALOG_NAME

JUNK_DIRECTORIES = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "node_modules", "__pycache__"}
)
"""Lower-case names of directories that hold no photographs of anybody; hidden ones are skipped as well."""


@dataclass(frozen=True)
class ScannedFile:
    """A file that may be a picture, as the file system describes it.

    Attributes:
        path: absolute.
        relative_path: from the root, parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
    """

    path: Path
    relative_path: str
    size: int
    mtime_ns: int


def scan(root: Path, *, prefix: str = "", on_error: Callable[[Path, str], None]) -> Iterator[ScannedFile]:
    """Walk a root, or one folder of it, in a stable order.

    Hidden entries and `JUNK_DIRECTORIES` are skipped. Symbolic links are followed, but each directory is
    entered once, by its real path rather than through a link where both lie in the folder; so loops end.

    Args:
        root: where relative paths start.
        prefix: relative path of the folder to walk; all of the root by default.
        on_error: told of each directory or file that cannot be looked at, with the reason.

    Yields:
        Regular files whose name ends like a picture's.
    """
    entered: set[tuple[int, int]] = set()
    linked: deque[str] = deque()
    yield from _walk(root, prefix, entered, linked, on_error)
    while linked:
        yield from _walk(root, linked.popleft(), entered, linked, on_error)


def _walk(
    root: Path, start: str, entered: set[tuple[int, int]], linked: deque[str], on_error: Callable[[Path, str], None]
) -> Iterator[ScannedFile]:
    """Walk from one folder; directories behind links are put off to `linked`."""
    pending = [start]
    while pending:
        relative = pending.pop()
        folder = root / relative
        try:
            status = folder.stat()
            if (identity := (status.st_dev, status.st_ino)) in entered:
                continue
            entered.add(identity)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            on_error(folder, reason_of(error))
            continue
        if any(entry.name == CATALOG_NAME for entry in entries):
            continue  # a library of ours: its previews are not photographs of their own
        inner: list[str] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            child = f"{relative}/{entry.name}" if relative else entry.name
            try:
                if entry.is_dir():
                    if entry.name.lower() not in JUNK_DIRECTORIES:
                        (linked if entry.is_symlink() else inner).append(child)
                elif (file := _picture(entry, child)) is not None:
                    yield file
            except OSError as error:
                on_error(Path(entry.path), reason_of(error))
        pending.extend(reversed(inner))


def _picture(entry: os.DirEntry[str], relative: str) -> ScannedFile | None:
    """The entry as a scanned file; ``None`` for what is no picture by its name, or no regular file."""
    if os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:  # noqa: PTH122 (a hot path)
        return None
    status = entry.stat()  # of the target, for a link; a broken one raises
    if not stat.S_ISREG(status.st_mode):
        return None
    return ScannedFile(Path(entry.path), relative, status.st_size, status.st_mtime_ns)


def reason_of(error: OSError) -> str:
    """Why an operation on a file failed, in a few words."""
    return (error.strerror or str(error)).lower()
