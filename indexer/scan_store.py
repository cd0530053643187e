"""Walking a store of `clipsearch.system.remote_files` for pictures, as `indexer.scan` walks a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.media.formats import kind_by_name
from clipsearch.media.stacks import FilmNames
from clipsearch.system.file_times import stamp_of
from clipsearch.system.remote_files import as_os_errors, open_store
from indexer.exclusions import Exclusions
from indexer.scan import ScannedFile, name_kind, reason_of
from indexer.sidecars import FolderSidecars, SidecarFile

_CHANGED = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
"""Under which names stores say when a file changed last: S3, Azure, files and SFTP, SMB, Google, memory."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LONGEST_S = 2**53
"""Longer is no time, and NaN is not shorter."""

_CHECKSUMS = ("ETag", "etag", "md5Hash", "checksum")
"""And where none does, what distinguishes contents."""


def scan_store(
    root: Path,
    *,
    prefix: str = "",
    exclusions: Exclusions | None = None,
    excluded: set[str] | None = None,
    on_error: Callable[[Path, str], None],
) -> Iterator[ScannedFile]:
    """Walk an address, or one folder below it, in a stable order; see `indexer.scan.scan`."""
    exclusions = exclusions if exclusions is not None else Exclusions()
    excluded = excluded if excluded is not None else set()
    if exclusions.excludes_path(prefix):
        excluded.add(prefix)
        return
    store, inner = open_store(root)
    inner = inner.rstrip("/")
    pending = [prefix]
    while pending:
        relative = pending.pop()
        place = f"{inner}/{relative}" if relative else inner
        try:
            with as_os_errors():
                entries = sorted(store.ls(place, detail=True), key=lambda entry: str(entry["name"]))
        except OSError as error:
            on_error(root / relative, reason_of(error))
            continue
        named = [(str(entry["name"]).rstrip("/").rpartition("/")[2], entry) for entry in entries]
        entry_of = dict(named)
        if CATALOG_NAME in entry_of:
            continue
        if exclusions.excludes_marked(relative, entry_of):
            excluded.add(relative)
            continue
        sidecars = FolderSidecars([name for name, _ in named], partial(_describe, named))
        films = FilmNames([name for name, _ in named])
        folders = []
        for name, entry in named:
            path = f"{relative}/{name}" if relative else name
            full = str(entry["name"]).rstrip("/")
            is_folder = entry["type"] == "directory"
            if full == place:  # some stores list the folder itself
                continue
            if full != f"{place}/{name}" or not name:
                on_error(root / path, "its name has an empty part, which no path has")
            elif exclusions.excludes(path, is_folder=is_folder):
                excluded.add(path)
            elif is_folder:
                folders.append(path)
            elif (kind := name_kind(name)) != "":
                kind = kind_by_name(name) if films.is_of_photo(name, _size(entry)) else kind
                yield ScannedFile(root, path, _size(entry), changed_ns(entry), kind, sidecars.of(name))
        pending.extend(reversed(folders))


def _describe(named: Sequence[tuple[str, Mapping[str, Any]]], number: int) -> SidecarFile:
    name, entry = named[number]
    return SidecarFile(name, _size(entry), changed_ns(entry))


def _size(entry: Mapping[str, Any]) -> int:
    """In bytes; 0 where the store says nothing that can be one."""
    size = entry.get("size")
    return int(size) if isinstance(size, int | float) and 0 <= size < 2**63 else 0


def changed_ns(entry: Mapping[str, Any]) -> int:
    """When a file changed last, in nanoseconds; or a number that is another one when its content is."""
    for name in _CHANGED:
        value = entry.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            value = (moment - _EPOCH) / timedelta(seconds=1)
        if isinstance(value, int | float) and abs(value) <= _LONGEST_S:
            return stamp_of(int(value * 1e6) * 1000)
    for name in _CHECKSUMS:
        if value := entry.get(name):
            import xxhash

            return int(xxhash.xxh3_64_intdigest(str(value).encode()) >> 1)
    return 0
