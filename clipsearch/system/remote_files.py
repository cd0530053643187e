"""Images in object stores and on servers (``s3://bucket/photos``), read through fsspec.

In the catalog and in results such an address is a `Path` whose first part is the scheme: ``s3:/bucket/photos/1.jpg``.
Local paths in a catalog are absolute, so the two cannot be confused. Remote files count as offline
(`clipsearch.catalog.volumes`): results show their previews. Indexing and queries by image read the files.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")
"""At least two characters: a single one is a Windows drive."""

_WITHOUT_HOST = frozenset({"local", "memory"})
"""Schemes whose ``://`` is followed by a path rather than a server or bucket."""


def scheme_of(path: Path) -> str | None:
    """The scheme of a remote address; ``None`` for a local path."""
    match = _SCHEME.fullmatch(path.parts[0]) if path.parts else None
    return match[1] if match else None


def address_of(path: Path) -> str | None:
    """The fsspec address of a remote path; ``None`` for a local path."""
    scheme = scheme_of(path)
    if scheme is None:
        return None
    return f"{scheme}://{'/' if scheme in _WITHOUT_HOST else ''}{'/'.join(path.parts[1:])}"


def as_path(path: Path) -> Path:
    """The path, with a ``file://`` address converted to a local path."""
    return Path("/", *path.parts[1:]) if scheme_of(path) == "file" else path


def open_store(path: Path) -> tuple[Any, str]:
    """The fsspec file system of an address, with an empty listing cache, and the path inside it.

    Raises:
        ConfigError: a package is missing, or the scheme is unknown or misconfigured.
    """
    require_extra("scale", "fsspec", what=f"reading {path}")
    import fsspec  # type: ignore[import-untyped]

    scheme, address = scheme_of(path), address_of(path)
    assert address is not None
    try:
        store, inner = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ConfigError(f"{scheme}:// needs a package that is not installed: {_in_a_line(error)}") from error
    except ValueError as error:
        raise ConfigError(f"{address} cannot be read: {_in_a_line(error)}") from error
    store.invalidate_cache()
    return store, str(inner)


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Translate a store's own exceptions to `OSError`; those of botocore, google and aiohttp share no base class."""
    try:
        yield
    except (OSError, ConfigError):
        raise
    except Exception as error:
        raise OSError(_in_a_line(error)) from error


def is_directory(path: Path) -> bool:
    """Whether an address is a directory; False if its store does not answer.

    Raises:
        ConfigError: as `open_store`.
    """
    store, inner = open_store(path)
    try:
        with as_os_errors():
            return bool(store.isdir(inner))
    except OSError:
        return False


def exists(path: Path) -> bool:
    """Whether a file exists; True if its store does not answer.

    Raises:
        ConfigError: as `open_store`.
    """
    store, inner = open_store(path)
    try:
        with as_os_errors():
            return bool(store.exists(inner))
    except OSError:
        return True


def read_file(path: Path, *, limit: int) -> bytes:
    """The content of a remote file.

    Raises:
        OSError: it cannot be read or is larger than `limit` bytes.
    """
    try:
        store, inner = open_store(path)
        with as_os_errors():
            size = store.size(inner)
            if size is not None and size > limit:
                raise OSError(errno.EFBIG, f"the file is larger than {limit // 2**20} MiB")
            content: bytes = store.cat_file(inner)
    except FileNotFoundError as error:  # fsspec puts the path where the reason belongs
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
    except ConfigError as error:
        raise OSError(str(error)) from error
    return content


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, at an address or not.

    Raises:
        OSError: it cannot be opened, or a read fails.
    """
    if scheme_of(path) is None:
        with path.open("rb") as file:
            yield file
        return
    try:
        store, inner = open_store(path)
        with as_os_errors(), store.open(inner, "rb") as remote:
            yield remote
    except ConfigError as error:
        raise OSError(str(error)) from error


def read_head(path: Path, count: int) -> bytes:
    """The first bytes of a file, at an address or not.

    Raises:
        OSError: it cannot be read.
    """
    if scheme_of(path) is None:
        with path.open("rb") as file:
            return file.read(count)
    try:
        store, inner = open_store(path)
        with as_os_errors():
            head: bytes = store.cat_file(inner, start=0, end=count)
    except ConfigError as error:
        raise OSError(str(error)) from error
    return head


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
