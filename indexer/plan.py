"""Comparing a folder with the catalog: what is new, changed, unchanged and gone. Reads no file, changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.exclusion_patterns import anchored, exclusion_pattern
from clipsearch.catalog.records import FailureRecord, OtherRecord, RootRecord, SeenFile
from clipsearch.catalog.reports import FileFailure
from clipsearch.catalog.volumes import is_online, place_of
from clipsearch.errors import ConfigError
from clipsearch.media.formats import HEAD_BYTES, PICTURE, VIDEO_SUFFIXES, kind_by_head
from clipsearch.media.readers import is_readable
from clipsearch.system import remote_files as addresses
from clipsearch.system.optional_packages import has_extra
from clipsearch.system.remote_files import read_head, scheme_of
from indexer.exclusions import Exclusions
from indexer.scan import ScannedFile, scan
from indexer.scan_store import scan_store
from indexer.sidecars import sidecar_stamp

_TELL_EVERY = 256

_SHORTLY_NS = 5 * 60 * 10**9
"""A file that cannot be read and changed less than this before is tried again: it may still be copied."""


@dataclass(frozen=True)
class IndexOptions:
    """How a run of the indexer goes about it.

    Attributes:
        verify: read every file, to find contents that changed under the same size and time.
        retry_failed: read files again that could not be read before.
        prune: remove what is gone however much that is.
        exclude: gitignore patterns that are added to those of the folders, or of the library if no folder is named.
    """

    verify: bool = False
    retry_failed: bool = False
    prune: bool = False
    exclude: tuple[str, ...] = ()


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
        excluded: relative paths that the catalog holds and that are excluded now.
        others: files that are no pictures that can be read, new or changed.
        other_kinds: how many of these there are now of each kind that is counted.
        others_gone: relative paths of those that are no longer there.
        unchanged: how many files are passed over.
        beside: those of them beside which something has changed.
        failed: files that could not be read before and have not changed since.
        unlisted: folders and files that cannot be looked at, with the reason.
        is_excluded: the folder itself is excluded.
        unlisted_rows: those of them that the catalog does not hold as readable files, to be recorded.
    """

    place: Place
    to_read: list[ScannedFile] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)
    others: list[OtherRecord] = field(default_factory=list)
    other_kinds: Counter[str] = field(default_factory=Counter)
    others_gone: set[str] = field(default_factory=set)
    unchanged: int = 0
    beside: list[ScannedFile] = field(default_factory=list)
    failed: list[FileFailure] = field(default_factory=list)
    unlisted: list[FileFailure] = field(default_factory=list)
    unlisted_rows: list[FailureRecord] = field(default_factory=list)
    is_excluded: bool = False

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
    others: dict[str, OtherRecord] = {}
    incomplete: set[str] = set()
    failures: dict[Path, FileFailure] = {}
    if place.root is not None:
        known = {item.relative_path: item for item in store.files_in(place.root.id, place.prefix)}
        others = {item.relative_path: item for item in store.others_in(place.root.id, place.prefix)}
        if model_id is not None:
            incomplete = store.incomplete_files(place.root.id, model_id)
        if any(item.failed for item in known.values()):
            failures = {failure.path: failure for failure in store.failures(place.root.id)}
    indexed_at = place.root.path if place.root is not None else place.base
    take = known.pop  # what is found is taken out of what is known: the rest is gone
    excluded: set[str] = set()
    files = _scanned(store, place, options, plan, excluded)
    for number, file in enumerate(files):
        if number % _TELL_EVERY == 0:
            scanned()
        _, relative, size, mtime_ns, kind, sidecars = file
        if kind != PICTURE and not _is_picture(file, plan, known, others, verify=options.verify):
            continue
        before = take(relative, None)
        if before is None or before[1] != size or before[2] != mtime_ns or options.verify:
            plan.to_read.append(file)
        elif before.failed and not (options.retry_failed or _was_incomplete(file, failures[indexed_at / relative])):
            plan.failed.append(failures[indexed_at / relative])
        elif before.failed or relative in incomplete:
            plan.to_read.append(file)
        else:
            plan.unchanged += 1
            if (sidecars or before[4] is not None) and before[4] != sidecar_stamp(sidecars):
                plan.beside.append(file)
    # what lies behind a folder that cannot be listed now is not gone
    hidden = [_relative(failure.path, place.base) for failure in plan.unlisted]
    plan.unlisted_rows = [
        # no size and no time: whatever such an entry turns into is read then
        FailureRecord(path, 0, 0, failure.reason)
        for path, failure in zip(hidden, plan.unlisted, strict=True)
        if path and (path not in known or known[path].failed)
    ]
    missing = {path for path in known if not any(_below(path, folder) is not None for folder in hidden)}
    plan.is_excluded = place.prefix in excluded
    plan.excluded = {path for path in missing if _is_in(path, excluded)}
    plan.gone = missing - plan.excluded
    plan.others_gone = {path for path in others if not any(_below(path, folder) is not None for folder in hidden)}
    return plan


def exclusions_of(store: Catalog, place: Place, patterns: Sequence[str] = ()) -> Exclusions:
    """Exclusions of a root: the library's patterns, then its own, then those that are given for the folder."""
    own, defaults = ((), True) if place.root is None else (place.root.exclusions, place.root.default_exclusions)
    every = [*store.exclusions.of_library(), *own, *patterns_for(place, patterns)]
    return Exclusions(every, defaults=defaults, root_name=place.base.name)


def patterns_for(place: Place, patterns: Sequence[str]) -> list[str]:
    """Patterns that a person gave for a folder, as those of its root.

    Raises:
        ConfigError: one is no pattern.
    """
    return [anchored(exclusion_pattern(pattern, place.folder), place.prefix) for pattern in patterns]


def _scanned(
    store: Catalog, place: Place, options: IndexOptions, plan: FolderPlan, excluded: set[str]
) -> Iterator[ScannedFile]:
    """The files of a folder; what cannot be listed goes into the plan, excluded entries into `excluded`."""

    def on_error(path: Path, reason: str) -> None:
        plan.unlisted.append(FileFailure(path, reason))

    exclusions = exclusions_of(store, place, options.exclude)
    if scheme_of(place.base) is not None:
        return scan_store(place.base, prefix=place.prefix, exclusions=exclusions, excluded=excluded, on_error=on_error)
    roots = {root.path for root in store.roots.all() if place.root is None or root.id != place.root.id}
    return scan(
        place.base,
        prefix=place.prefix,
        without=roots,
        exclusions=exclusions,
        excluded=excluded,
        on_error=on_error,
    )


def _is_picture(
    file: ScannedFile, plan: FolderPlan, known: dict[str, SeenFile], others: dict[str, OtherRecord], *, verify: bool
) -> bool:
    """Whether a file whose name is no picture's is one; if not, it is taken into the plan as what it is.

    It is opened only if it is new or has changed.
    """
    kind, seen = file.kind, (file.size, file.mtime_ns)
    picture, other = known.get(file.relative_path), others.pop(file.relative_path, None)
    is_known = other is not None and (other.size, other.mtime_ns) == seen
    if kind is None:
        if not verify and picture is not None and (picture.size, picture.mtime_ns) == seen:
            return True
        kind = other.kind if other is not None and is_known and not verify else _kind_of_content(file)
        if kind is None:
            return False
        if is_readable(kind):
            if other is not None:
                others[file.relative_path] = other  # gone as such
            return True
    elif f".{kind}" in VIDEO_SUFFIXES and picture is not None and not has_extra("video"):
        return True  # it was read when more was installed
    plan.other_kinds.update([kind] if kind else [])
    if not is_known or other is None or other.kind != kind:
        plan.others.append(OtherRecord(file.relative_path, *seen, kind))
    return False


def _was_incomplete(file: ScannedFile, failure: FileFailure) -> bool:
    """Whether a file may still have been copied when it could not be read: it had changed shortly before, or has since.

    A copy may have its size and its time of change from the start; its ctime changes with every write.
    """
    if failure.failed_at is None or scheme_of(file.root) is not None:
        return False
    failed_ns = int(failure.failed_at.timestamp() * 1e9)
    if abs(failed_ns - file.mtime_ns) <= _SHORTLY_NS:
        return True
    try:
        return file.path.stat().st_ctime_ns >= failed_ns
    except OSError:
        return False


def _kind_of_content(file: ScannedFile) -> str | None:
    """What a file is by its first bytes; ``None`` if it cannot be opened."""
    try:
        return kind_by_head(read_head(file.path, HEAD_BYTES)) if file.size else ""
    except OSError:
        return None


def _is_in(path: str, folders: set[str]) -> bool:
    """Whether a relative path is one of some entries, or lies below one."""
    return bool(folders) and (
        path in folders or "" in folders or any(str(parent) in folders for parent in PurePosixPath(path).parents)
    )


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
            raise ConfigError(f"{addresses.address_of(folder)} does not exist or cannot be reached")
        return
    if not folder.exists():
        raise ConfigError(f"the folder {folder} does not exist")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; index the folder that contains it")


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
