"""Walking a folder for pictures."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.media.readers import MEDIA_SUFFIXES
from clipsearch.system.remote_files import exists, scheme_of

JUNK_DIRECTORIES = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "node_modules", "__pycache__"}
)
"""Lower-case names of directories that hold no photographs of anybody; hidden ones are skipped as well."""


class ScannedFile(NamedTuple):
    """A file that may be a picture, as the file system describes it.

    Attributes:
        root: where its relative path starts.
        relative_path: parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
    """

    root: Path
    relative_path: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Absolute; made when it is asked for, as most files of a rescan are passed over by name."""
        return self.root / self.relative_path


def scan(
    root: Path, *, prefix: str = "", without: Collection[Path] = (), on_error: Callable[[Path, str], None]
) -> Iterator[ScannedFile]:
    """Walk a root, or one folder of it, in a stable order.

    Hidden entries and `JUNK_DIRECTORIES` are skipped. Symbolic links are followed, but each directory is
    entered once, by its real path rather than through a link where both lie in the folder; so loops end.

    Args:
        root: where relative paths start.
        prefix: relative path of the folder to walk; all of the root by default.
        without: folders in it that are not entered: other roots.
        on_error: told of each directory or file that cannot be looked at, with the reason.

    Yields:
        Regular files whose name ends like a picture's.
    """
    entered = {identity for folder in without if folder != root and (identity := _identity(folder)) is not None}
    linked: deque[str] = deque()
    yield from _walk(root, prefix, entered, linked, on_error)
    while linked:
        yield from _walk(root, linked.popleft(), entered, linked, on_error)


_name_of = attrgetter("name")


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
                entries = sorted(listing, key=_name_of)
        except OSError as error:
            on_error(folder, reason_of(error))
            continue
        names = [entry.name for entry in entries]
        if CATALOG_NAME in names:
            continue  # a library of ours: its previews are not photographs of their own
        inner: list[str] = []
        above = f"{relative}/" if relative else ""
        for name, entry in zip(names, entries, strict=True):
            if name[0] == ".":
                continue
            try:
                if entry.is_dir():
                    if name.lower() not in JUNK_DIRECTORIES:
                        (linked if entry.is_symlink() else inner).append(above + name)
                elif name[name.rfind(".") :].lower() in MEDIA_SUFFIXES:
                    status = entry.stat()  # of the target, for a link; a broken one raises
                    if stat.S_ISREG(status.st_mode):
                        yield ScannedFile(root, above + name, status.st_size, status.st_mtime_ns)
            except OSError as error:
                on_error(Path(entry.path), reason_of(error))
        pending.extend(reversed(inner))


def is_junk(name: str) -> bool:
    """Whether a directory or file of this name is passed over."""
    return name.startswith(".") or name.lower() in JUNK_DIRECTORIES


def still_exists(path: Path) -> bool:
    """Whether there is such a file, readable or not; one deleted since it was scanned is no failure."""
    if scheme_of(path) is not None:
        return exists(path)
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def reason_of(error: OSError) -> str:
    """Why an operation on a file failed, in a few words."""
    return (error.strerror or str(error)).lower()
