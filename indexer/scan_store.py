"""Walking a store of `clipsearch.system.remote_files` for pictures, as `indexer.scan` walks a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.media.readers import MEDIA_SUFFIXES
from clipsearch.system.remote_files import as_os_errors, open_store
from indexer.scan import ScannedFile, is_junk, reason_of

_CHANGED = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
"""Under which names stores say when a file changed last: S3, Azure, files and SFTP, SMB, Google, memory."""

_CHECKSUMS = ("ETag", "etag", "md5Hash", "checksum")
"""And where none does, what tells one content from another."""


def scan_store(root: Path, *, prefix: str = "", on_error: Callable[[Path, str], None]) -> Iterator[ScannedFile]:
    """Walk an address, or one folder below it, in a stable order.

    Args:
        root: where relative paths start.
        prefix: relative path of the folder to walk; all of the root by default.
        on_error: told of each folder or file that cannot be looked at, with the reason.

    Yields:
        Files whose name ends like a picture's.
    """
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
        if CATALOG_NAME in dict(named):
            continue
        folders = []
        for name, entry in named:
            path = f"{relative}/{name}" if relative else name
            full = str(entry["name"]).rstrip("/")
            if full == place or is_junk(name):  # some stores list the folder itself
                continue
            if full != f"{place}/{name}" or not name:
                on_error(root / path, "its name has an empty part, which no path has")
            elif entry["type"] == "directory":
                folders.append(path)
            elif name[name.rfind(".") :].lower() in MEDIA_SUFFIXES:
                yield ScannedFile(root, path, int(entry["size"] or 0), changed_ns(entry))
        pending.extend(reversed(folders))


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
            return int(moment.timestamp() * 1e6) * 1000
        if isinstance(value, int | float):
            return int(value * 1e6) * 1000
    for name in _CHECKSUMS:
        if value := entry.get(name):
            import xxhash

            return int(xxhash.xxh3_64_intdigest(str(value).encode()) >> 1)
    return 0
