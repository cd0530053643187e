"""Comparing a folder with the catalog: what is new, changed, unchanged and gone. Reads no file, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FailureRecord, RootRecord, SeenFile
from clipsearch.catalog.reports import FileFailure
from clipsearch.catalog.volumes import is_online, place_of
from clipsearch.errors import ConfigError
from clipsearch.system import remote_files as addresses
from clipsearch.system.remote_files import scheme_of
from indexer.scan import ScannedFile, scan
from indexer.scan_store import scan_store

_TELL_EVERY = 256


@dataclass(frozen=True)
class IndexOptions:
    """How a run of the indexer goes about it.

    Attributes:
        verify: read every file, to find contents that changed under the same size and time.
        retry_failed: read files again that could not be read before.
        prune: remove what is gone however much that is.
    """

    verify: bool = False
    retry_failed: bool = False
    prune: bool = False


@dataclass(frozen=True)
class Place:
    """Where a folder is in the catalog.

    Attributes:
        folder: absolute.
        base: where its relative paths start: the root's path.
        prefix: relative path of the folder from there; empty for all of it.
        root: ``None`` if the folder is in no root yet.
        moved: the root is elsewhere in the catalog, and is now found at `base`.
    """

    folder: Path
    base: Path
    prefix: str
    root: RootRecord | None
    moved: bool = False

    @property
    def online(self) -> bool:
        """Whether there can be pictures."""
        if scheme_of(self.base) is not None:
            return addresses.is_directory(self.base)
        return self.moved or (is_online(self.root) if self.root is not None else self.folder.is_dir())


@dataclass
class FolderPlan:
    """What has to be done for one folder.

    Attributes:
        place: which.
        to_read: files that are new, changed, or not known well enough.
        gone: relative paths that the catalog holds and the folder does not.
        unchanged: how many files are passed over.
        failed: files that could not be read before and have not changed since.
        unlisted: folders and files that cannot be looked at, with the reason.
        unlisted_rows: those of them that the catalog does not hold as readable files, to be recorded.
    """

    place: Place
    to_read: list[ScannedFile] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    unchanged: int = 0
    failed: list[FileFailure] = field(default_factory=list)
    unlisted: list[FileFailure] = field(default_factory=list)
    unlisted_rows: list[FailureRecord] = field(default_factory=list)

    @property
    def nothing_found(self) -> bool:
        """No picture is in the folder now."""
        return not (self.to_read or self.unchanged or self.failed)


def locate(store: Catalog, folder: Path) -> Place:
    """Find the root that a folder is in, or was in before its drive was mounted elsewhere.

    Raises:
        ConfigError: it is not there or is not a folder, and that is not because its root is offline.
    """
    folder = addresses.as_path(folder)
    resolved = _absolute(folder)
    roots = store.roots.all()
    around = [root for root in roots if resolved.is_relative_to(root.path)]
    if around:
        root = max(around, key=lambda root: len(root.path.parts))
        if resolved != root.path and is_online(root):
            _check_is_folder(folder)
        return Place(resolved, root.path, _relative(resolved, root.path), root)
    _check_is_folder(folder)
    if scheme_of(resolved) is not None:
        return Place(resolved, resolved, "", None)
    place = place_of(resolved)
    for root in roots:
        if place.volume_id is None or root.volume_id != place.volume_id or root.volume_path is None:
            continue
        inside = _below(place.volume_path or "", root.volume_path)
        if inside is not None and not is_online(root):
            base = resolved.parents[inside.count("/")] if inside else resolved
            return Place(resolved, base, inside, root, moved=True)
    return Place(resolved, resolved, "", None)


def plan_folder(
    store: Catalog, place: Place, *, model_id: int | None, options: IndexOptions, scanned: Callable[[], None]
) -> FolderPlan:
    """Compare a folder with the catalog by names, sizes and times.

    Args:
        store: the catalog.
        place: the folder.
        model_id: whose embeddings have to be there; ``None`` before the first indexing.
        options: how.
        scanned: called now and then while files are found.
    """
    plan = FolderPlan(place)
    known: dict[str, SeenFile] = {}
    incomplete: set[str] = set()
    if place.root is not None:
        known = {item.relative_path: item for item in store.files_in(place.root.id, place.prefix)}
        if model_id is not None:
            incomplete = store.incomplete_files(place.root.id, model_id)
    failures: dict[Path, FileFailure] = {}
    if place.root is not None and any(item.failed for item in known.values()):
        failures = {failure.path: failure for failure in store.failures(place.root.id)}
    indexed_at = place.root.path if place.root is not None else place.base

    def on_error(path: Path, reason: str) -> None:
        plan.unlisted.append(FileFailure(path, reason))

    take = known.pop  # what is found is taken out of what is known: the rest is gone
    others = {root.path for root in store.roots.all() if place.root is None or root.id != place.root.id}
    if scheme_of(place.base) is not None:
        files = scan_store(place.base, prefix=place.prefix, on_error=on_error)
    else:
        files = scan(place.base, prefix=place.prefix, without=others, on_error=on_error)
    for number, file in enumerate(files):
        if number % _TELL_EVERY == 0:
            scanned()
        _, relative, size, mtime_ns = file
        before = take(relative, None)
        if before is None or before[1] != size or before[2] != mtime_ns or options.verify:
            plan.to_read.append(file)
        elif before.failed and not options.retry_failed:
            plan.failed.append(failures[indexed_at / relative])
        elif before.failed or relative in incomplete:
            plan.to_read.append(file)
        else:
            plan.unchanged += 1
    # what lies behind a folder that cannot be listed now is not gone
    hidden = [_relative(failure.path, place.base) for failure in plan.unlisted]
    plan.unlisted_rows = [
        # no size and no time: whatever such an entry turns into is read then
        FailureRecord(path, 0, 0, failure.reason)
        for path, failure in zip(hidden, plan.unlisted, strict=True)
        if path and (path not in known or known[path].failed)
    ]
    plan.gone = {path for path in known if not any(_below(path, folder) is not None for folder in hidden)}
    return plan


def is_there_now(place: Place) -> bool:
    """Whether the folder is still there, in mid-run."""
    if scheme_of(place.base) is not None:
        return addresses.is_directory(place.base)
    if place.root is None or place.moved:
        return place.base.is_dir()
    return is_online(place.root)


def _check_is_folder(folder: Path) -> None:
    if scheme_of(folder) is not None:
        if not addresses.is_directory(folder):
            raise ConfigError(f"there is nothing at {addresses.address_of(folder)}, or it cannot be reached")
        return
    if not folder.exists():
        raise ConfigError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name the folder that holds it")


def _absolute(folder: Path) -> Path:
    if scheme_of(folder) is not None:
        return folder
    resolved = folder.resolve()
    # POSIX lets "//photos" stand beside "/photos"; the catalog holds one of them
    return Path("/" + str(resolved).lstrip("/")) if str(resolved).startswith("//") else resolved


def _relative(path: Path, base: Path) -> str:
    relative = path.relative_to(base).as_posix()
    return "" if relative == "." else relative


def _below(path: str, folder: str) -> str | None:
    """The rest of a relative path inside a folder: empty for the folder itself, ``None`` if it is not inside."""
    if path == folder:
        return ""
    if not folder:
        return path
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None
