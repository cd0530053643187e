"""Walking a folder for pictures."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.media.formats import PICTURE, kind_by_name
from clipsearch.media.readers import MEDIA_SUFFIXES
from clipsearch.media.stacks import FilmNames
from clipsearch.system.file_times import stamp_of
from clipsearch.system.remote_files import exists, scheme_of
from indexer.exclusions import Exclusions
from indexer.sidecars import FolderSidecars, SidecarFile


class ScannedFile(NamedTuple):
    """A file that may be a picture, as the file system describes it.

    Attributes:
        root: where its relative path starts.
        relative_path: parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970 (`clipsearch.system.file_times.stamp_of`).
        kind: of `clipsearch.media.formats.kind_by_name`; ``None`` if only its first bytes tell.
        sidecars: files of its folder that go with it, the first one first.
    """

    root: Path
    relative_path: str
    size: int
    mtime_ns: int
    kind: str | None = PICTURE
    sidecars: tuple[SidecarFile, ...] = ()

    @property
    def path(self) -> Path:
        """Absolute; made when it is asked for, as most files of a rescan are passed over by name."""
        return self.root / self.relative_path


@dataclass(frozen=True)
class _Rules:
    """What a walk leaves out, and whom it says so."""

    exclusions: Exclusions
    on_error: Callable[[Path, str], None]
    excluded: set[str]


def scan(
    root: Path,
    *,
    prefix: str = "",
    without: Collection[Path] = (),
    exclusions: Exclusions | None = None,
    excluded: set[str] | None = None,
    on_error: Callable[[Path, str], None],
) -> Iterator[ScannedFile]:
    """Walk a root, or one folder of it, in a stable order.

    Symbolic links are followed, but each directory is entered once, by its real path rather than through a link where
    both lie in the folder; so loops end.

    Args:
        root: where relative paths start.
        prefix: relative path of the folder to walk; all of the root by default.
        without: folders in it that are not entered: other roots.
        exclusions: what is excluded; by default hidden entries and other programs' private folders.
        excluded: filled with the relative paths of the entries that were excluded.
        on_error: called with each directory or file that cannot be read, and the reason.

    Yields:
        Regular files that are pictures, may be, or are counted by kind.
    """
    rules = _Rules(
        exclusions if exclusions is not None else Exclusions(root_name=root.name),
        on_error,
        excluded if excluded is not None else set(),
    )
    if rules.exclusions.excludes_path(prefix) or _is_marked_above(root, prefix, rules):
        rules.excluded.add(prefix)
        return
    entered = {identity for folder in without if folder != root and (identity := _identity(folder)) is not None}
    linked: deque[str] = deque()
    yield from _walk(root, prefix, entered, linked, rules)
    while linked:
        yield from _walk(root, linked.popleft(), entered, linked, rules)


_name_of = attrgetter("name")


def _walk(
    root: Path, start: str, entered: set[tuple[int, int]], linked: deque[str], rules: _Rules
) -> Iterator[ScannedFile]:
    """Walk from one folder; directories behind links are put off to `linked`."""
    excludes, has_patterns = rules.exclusions.excludes, rules.exclusions.has_patterns
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
            rules.on_error(folder, reason_of(error))
            continue
        names = [entry.name for entry in entries]
        if CATALOG_NAME in names:
            continue  # a library of ours: its previews are not photographs of their own
        if rules.exclusions.excludes_marked(relative, names):
            rules.excluded.add(relative)
            continue
        inner: list[str] = []
        above = f"{relative}/" if relative else ""
        sidecars, films = FolderSidecars(names, partial(_describe, entries)), FilmNames(names)
        for name, entry in zip(names, entries, strict=True):
            if name[0] == "." and not has_patterns:
                rules.excluded.add(above + name)
                continue
            try:
                is_folder = entry.is_dir()
                if (is_folder or has_patterns) and excludes(above + name, is_folder=is_folder):
                    rules.excluded.add(above + name)
                elif is_folder:
                    (linked if entry.is_symlink() else inner).append(above + name)
                else:
                    # as `name_kind`, without a call for each picture
                    is_media = name[name.rfind(".") :].lower() in MEDIA_SUFFIXES
                    kind = PICTURE if is_media else kind_by_name(name)
                    # the status of the target, for a link; a broken one raises
                    if kind != "" and stat.S_ISREG((status := entry.stat()).st_mode):
                        beside = sidecars.of(name) if name in sidecars.found else ()
                        changed = stamp_of(status.st_mtime_ns)
                        kind = kind_by_name(name) if films.is_of_photo(name, status.st_size) else kind
                        yield ScannedFile(root, above + name, status.st_size, changed, kind, beside)
            except OSError as error:
                rules.on_error(Path(entry.path), reason_of(error))
        pending.extend(reversed(inner))


def _describe(entries: Sequence[os.DirEntry[str]], number: int) -> SidecarFile:
    """A sidecar as the file system describes it; one that cannot be described cannot be read either."""
    entry = entries[number]
    try:
        status = entry.stat()
    except OSError:
        return SidecarFile(entry.name, -1, 0)
    return SidecarFile(entry.name, status.st_size, stamp_of(status.st_mtime_ns))


def name_kind(name: str) -> str | None:
    """`kind_by_name`, quick for what is read, of whatever medium."""
    return PICTURE if name[name.rfind(".") :].lower() in MEDIA_SUFFIXES else kind_by_name(name)


def _is_marked_above(root: Path, prefix: str, rules: _Rules) -> bool:
    """Whether a folder above the one to walk holds a marker that excludes all below it."""
    parents = list(Path(prefix).parents)[:-1] if prefix else []
    for parent in parents:
        try:
            names = os.listdir(root / parent)  # noqa: PTH208
        except OSError:
            continue
        if rules.exclusions.excludes_marked(parent.as_posix(), names):
            return True
    return False


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
