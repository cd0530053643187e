"""Keeping a library current: watch the indexed folders, and index what changes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchfiles import BaseFilter, Change, watch

from clipsearch.catalog.reports import IndexReport, RootStatus
from clipsearch.errors import LibraryError, LibraryLockedError
from clipsearch.media.metadata.sidecar_names import is_sidecar
from clipsearch.text import Notify
from indexer.exclusions import MARKER, Exclusions
from indexer.scan import name_kind

_MOST_FOLDERS = 64
"""Changed folders beyond which a root is compared as a whole: one walk is quicker than many."""

_LOCK_WAIT_S = 60.0

_DEFAULTS = Exclusions()


@dataclass(frozen=True)
class WatchOptions:
    """How a library is watched.

    Attributes:
        quiet_s: seconds without a change before what has changed is indexed.
        burst_s: seconds after which it is indexed even if changes go on.
        check_s: seconds between looks at whether drives came or went.
        rescan_s: seconds between comparisons of everything: systems drop events under load.
        polling: look at every file instead of relying on the system's notifications, as network drives need.
    """

    quiet_s: float = 1.0
    burst_s: float = 30.0
    check_s: float = 5.0
    rescan_s: float = 6 * 3600.0
    polling: bool = False


def watch_roots(
    roots: Callable[[], Sequence[RootStatus]],
    index: Callable[[Collection[Path], float], IndexReport],
    *,
    options: WatchOptions,
    stop: threading.Event,
    notify: Notify,
    indexed: Callable[[IndexReport], None],
) -> None:
    """Index everything once, then what changes, until asked to stop.

    Drives may be unplugged and plugged in again: their folders are watched while they are there, and compared
    as a whole when they come back.

    Args:
        roots: the indexed folders of the library, one at least, and whether their drives are there.
        index: indexes folders, and waits for another writer for so many seconds.
        options: how.
        stop: set it to end; a run under way is finished first, unless it is interrupted.
        notify: callback for one-line user notices.
        indexed: called with the report of each run.

    Raises:
        LibraryError: the library cannot be written to, for instance because its disk is full.
    """
    watcher = _Watcher(roots, index, options, notify, indexed)
    there: dict[Path, tuple[int, int]] = {}
    while not stop.is_set():
        now = watcher.roots_there()
        fresh = [path for path, identity in now.items() if there.get(path) != identity]
        for path in there.keys() - now.keys():
            notify(f"{path} is offline; it is watched again when it is back")
        there = now
        if not there:
            stop.wait(options.check_s)
            continue
        try:
            watcher.until_drives_change(there, fresh, stop)
        except FileNotFoundError:  # a drive that has gone before it was watched
            if all(path.is_dir() for path in there):
                raise


class _Watcher:
    """What the rounds of watching share."""

    def __init__(
        self,
        roots: Callable[[], Sequence[RootStatus]],
        index: Callable[[Collection[Path], float], IndexReport],
        options: WatchOptions,
        notify: Notify,
        indexed: Callable[[IndexReport], None],
    ) -> None:
        self._roots = roots
        self._index = index
        self._options = options
        self._notify = notify
        self._indexed = indexed
        self._scanned_at = time.monotonic()

    def roots_there(self) -> dict[Path, tuple[int, int]]:
        """The roots whose drives are there, with the identity of the folder: another one after remounting."""
        devices = {}
        for root in self._roots():
            if root.online:
                with contextlib.suppress(OSError):  # a drive that has gone since
                    status = root.path.stat()
                    devices[root.path] = (status.st_dev, status.st_ino)
        return devices

    def exclusions(self) -> dict[Path, Exclusions]:
        """What of each root is not indexed; the library's own patterns are left to the run itself."""
        return {
            root.path: Exclusions(root.exclusions, defaults=root.default_exclusions, root_name=root.path.name)
            for root in self._roots()
        }

    def index(self, folders: Collection[Path]) -> None:
        """Index folders; another writer is waited for, and a drive that goes away costs only this run."""
        while folders:
            try:
                self._indexed(self._index(folders, _LOCK_WAIT_S))
                return
            except LibraryLockedError as error:
                self._notify(f"{error}; trying again")
            except LibraryError as error:
                if all(folder.is_dir() for folder in folders):
                    raise
                self._notify(str(error))
                return

    def until_drives_change(self, there: dict[Path, tuple[int, int]], fresh: list[Path], stop: threading.Event) -> None:
        """Index what changes in the roots, until one of them goes or comes.

        Those that are `fresh` are compared as a whole once they are watched, so that no change falls between.
        """
        changed: set[Path] = set()
        first_change = 0.0
        rounds = watch(
            *there,
            watch_filter=_PicturesAndFolders(),
            debounce=int(self._options.quiet_s * 1000),
            step=min(50, max(1, int(self._options.quiet_s * 1000))),
            rust_timeout=int(min(self._options.quiet_s, self._options.check_s) * 1000),
            yield_on_timeout=True,
            stop_event=stop,
            force_polling=self._options.polling or None,
            raise_interrupt=True,
        )
        checked = time.monotonic()
        for changes in rounds:
            if fresh:
                self.index(fresh)
                fresh = []
            now = time.monotonic()
            first_change = first_change if changed else now
            changed |= {Path(path) for _, path in changes}
            # a quiet round ends a burst
            if changed and (not changes or now - first_change > self._options.burst_s):
                self.index(changed_folders(changed, there, self.exclusions()))
                changed = set()
            if now - self._scanned_at > self._options.rescan_s:
                self._scanned_at = now
                self.index(list(there))
            if now - checked > self._options.check_s:
                checked = now
                if self.roots_there() != there:
                    return


class _PicturesAndFolders(BaseFilter):
    """Passes what may concern pictures: files by their names, sidecars, and anything that may be a folder."""

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a change is looked at."""
        name = Path(path).name
        if name.startswith("."):
            return name == MARKER or Path(path).is_dir()
        return name_kind(name) != "" or is_sidecar(name) or Path(path).is_dir()


def changed_folders(
    changed: Iterable[Path], roots: Collection[Path], exclusions: Mapping[Path, Exclusions] | None = None
) -> list[Path]:
    """The folders to index after changes: those that hold the changed paths and exist, the outermost ones only.

    Args:
        changed: paths of files or folders that were made, changed or deleted, in some root.
        roots: the watched roots.
        exclusions: what of each of them is not indexed; by default other programs' private folders.

    Returns:
        Folders, none inside another; whole roots where many have changed.
    """
    folders: set[Path] = set()
    for path in changed:
        root = next((root for root in roots if path.is_relative_to(root)), None)
        if root is None or _is_excluded(path, root, (exclusions or {}).get(root, _DEFAULTS)):
            continue
        folder = root if path == root else path.parent
        while folder != root and not folder.is_dir():
            folder = folder.parent
        folders.add(folder)
    outermost = {folder for folder in folders if not folders.intersection(folder.parents)}
    for root in roots:
        inside = {folder for folder in outermost if folder.is_relative_to(root)}
        if len(inside) > _MOST_FOLDERS:
            outermost = (outermost - inside) | {root}
    return sorted(outermost)


def _is_excluded(path: Path, root: Path, exclusions: Exclusions) -> bool:
    """Whether nothing that is indexed can have changed at a path in a root, by its name."""
    if path == root:
        return False
    if path.parent != root and exclusions.excludes_path(path.parent.relative_to(root).as_posix()):
        return True
    return path.name != MARKER and exclusions.excludes(path.relative_to(root).as_posix(), is_folder=path.is_dir())
