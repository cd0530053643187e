"""Copying or linking results into a folder, overwriting nothing."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ConfigError

if TYPE_CHECKING:
    from clipsearch.library import SearchResult

_WINDOWS_NO_PRIVILEGE = 1314
"""Windows' ERROR_PRIVILEGE_NOT_HELD: links are for administrators, or for anybody in developer mode."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True)
class Collected:
    """What came of it, in results: done now, there from before, on a drive that is not there, failed."""

    done: int
    there: int
    offline: int
    failed: int


def collect(results: Sequence[SearchResult], folder: Path, *, link: bool, notify: Callable[[str], None]) -> Collected:
    """Copy the results' files into a folder, or put symbolic links to them there.

    Each keeps its name, with ``-2``, ``-3`` and so on where that is taken. A file that is there already with the
    same content (or a link to the same file) is left alone, so that doing it again adds nothing.

    Args:
        results: whose files.
        folder: made if it does not exist.
        link: link instead of copying.
        notify: told in one line of each file that is offline or fails.

    Raises:
        ConfigError: the folder cannot be made, or cannot hold links.
        OSError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    counts = dict.fromkeys(("done", "there", "offline", "failed"), 0)
    for result in results:
        if not result.online:
            notify(f"offline: {result.path}")
            counts["offline"] += 1
            continue
        try:
            counts["done" if _place(result.path, folder, link=link) else "there"] += 1
        except OSError as error:
            _raise_if_hopeless(error, folder, link=link)
            notify(f"cannot {'link' if link else 'copy'} {result.path}: {(error.strerror or str(error)).lower()}")
            counts["failed"] += 1
    return Collected(**counts)


def _place(source: Path, folder: Path, *, link: bool) -> bool:
    """Put a file into a folder under a free name; returns false if it is there already."""
    if not source.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no longer there")
    for target in free_names(folder, source.name):
        try:
            if link:
                target.symlink_to(source)
            else:
                _copy(source, target)
        except FileExistsError:
            if _is_same(source, target, link=link):
                return False
        else:
            return True
    raise AssertionError("there is no end of names")


def free_names(folder: Path, name: str) -> Iterator[Path]:
    """Paths to try for a file of that name, until one is free: with ``-2``, ``-3`` and so on."""
    yield folder / name
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in count(2):
        yield folder / f"{stem}-{number}{suffix}"


def _copy(source: Path, target: Path) -> None:
    """Copy content and times to a new file, or leave none.

    Raises:
        FileExistsError: there is something of that name.
    """
    with source.open("rb") as read:
        written = target.open("xb")
        try:
            with written:
                shutil.copyfileobj(read, written)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    with contextlib.suppress(OSError):  # not every file system keeps times and permissions
        shutil.copystat(source, target)


def _is_same(source: Path, target: Path, *, link: bool) -> bool:
    if link:
        return target.is_symlink() and target.readlink() == source
    return not target.is_symlink() and target.is_file() and filecmp.cmp(source, target, shallow=False)


def _raise_if_hopeless(error: OSError, folder: Path, *, link: bool) -> None:
    """Stop where every other file would fail too."""
    if error.errno in (errno.ENOSPC, errno.EROFS):
        raise error
    if link and (error.errno in _NO_LINKS or getattr(error, "winerror", None) == _WINDOWS_NO_PRIVILEGE):
        raise ConfigError(
            f"symbolic links cannot be made in {folder} ({error.strerror or error}); use --copy-to, or on Windows "
            "switch on its developer mode"
        ) from error
