"""Copies of results, or links to them, in a folder; nothing is overwritten."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ConfigError
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchResult

_WINDOWS_NO_PRIVILEGE = 1314
"""ERROR_PRIVILEGE_NOT_HELD: without developer mode, only administrators can create links."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True)
class Collected:
    """Numbers of results: copied or linked now, present before, offline, failed."""

    done: int
    present: int
    offline: int
    failed: int


def collect(results: Sequence[SearchResult], folder: Path, *, link: bool, notify: Notify) -> Collected:
    """Copy the files of results into a folder, or create symbolic links to them.

    Each keeps its name; ``-2``, ``-3`` and so on is added if the name is taken. An existing file with the same content
    (or link to the same file) is kept, so that a repeated call adds nothing.

    Args:
        results: the results.
        folder: created if it does not exist.
        link: create links instead of copies.
        notify: callback for one-line user notices: files that are offline or fail.

    Raises:
        ConfigError: the folder cannot be created, or does not support links.
        OSError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create the folder {folder}: {error.strerror or error}") from error
    counts = dict.fromkeys(("done", "present", "offline", "failed"), 0)
    for result in results:
        if not result.online:
            notify(f"offline: {result.path}")
            counts["offline"] += 1
            continue
        try:
            counts["done" if _place(result.path, folder, link=link) else "present"] += 1
        except OSError as error:
            _raise_if_permanent(error, folder, link=link)
            notify(f"cannot {'link' if link else 'copy'} {result.path}: {(error.strerror or str(error)).lower()}")
            counts["failed"] += 1
    return Collected(**counts)


def _place(source: Path, folder: Path, *, link: bool) -> bool:
    """Copy or link a file under a free name; returns False if it is present already."""
    if not source.is_file():
        raise FileNotFoundError(errno.ENOENT, "the file no longer exists")
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
    raise AssertionError("free_names is infinite")


def free_names(folder: Path, name: str) -> Iterator[Path]:
    """Candidate paths for a file of this name: without a number, then with ``-2``, ``-3`` and so on."""
    yield folder / name
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in count(2):
        yield folder / f"{stem}-{number}{suffix}"


def _copy(source: Path, target: Path) -> None:
    """Copy content and times to a new file, which is deleted on failure.

    Raises:
        FileExistsError: `target` exists.
    """
    with source.open("rb") as read:
        copy = target.open("xb")
        try:
            with copy:
                shutil.copyfileobj(read, copy)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    with contextlib.suppress(OSError):  # some file systems have no times or permissions
        shutil.copystat(source, target)


def _is_same(source: Path, target: Path, *, link: bool) -> bool:
    if link:
        return target.is_symlink() and target.readlink() == source
    return not target.is_symlink() and target.is_file() and filecmp.cmp(source, target, shallow=False)


def _raise_if_permanent(error: OSError, folder: Path, *, link: bool) -> None:
    """Raise if every other file would fail, too."""
    if error.errno in (errno.ENOSPC, errno.EROFS):
        raise error
    if link and (error.errno in _NO_LINKS or getattr(error, "winerror", None) == _WINDOWS_NO_PRIVILEGE):
        raise ConfigError(
            f"cannot create symbolic links in {folder} ({error.strerror or error}); use --copy-to, or on Windows "
            "enable developer mode"
        ) from error
