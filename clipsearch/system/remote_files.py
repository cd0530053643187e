"""Pictures in object stores and on servers, by addresses such as ``s3://bucket/photos``, read through fsspec.

Wherever a file's path stands, such an address is a `Path` whose first part is the scheme: ``s3:/bucket/photos/1.jpg``.
No local path in a catalog looks like that, as those are absolute. Such files are never *there* in the sense of
`clipsearch.catalog.volumes`: what opens files of results passes them over, and shows their previews instead. Indexing
reads them, and whoever is given such a path as a picture.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")
"""Two characters at least: one alone is a drive of Windows."""

_WITHOUT_HOST = frozenset({"local", "memory"})
"""Schemes after whose ``://`` comes a path, and no name of a server or bucket."""


def scheme_of(path: Path) -> str | None:
    """The scheme of an address; ``None`` for the path of a file."""
    match = _SCHEME.fullmatch(path.parts[0]) if path.parts else None
    return match[1] if match else None


def address_of(path: Path) -> str | None:
    """The address that a path stands for, as fsspec takes it; ``None`` for the path of a file."""
    scheme = scheme_of(path)
    if scheme is None:
        return None
    return f"{scheme}://{'/' if scheme in _WITHOUT_HOST else ''}{'/'.join(path.parts[1:])}"


def as_path(given: Path) -> Path:
    """A path as given, or the path of the file that a ``file://`` address names."""
    return Path("/", *given.parts[1:]) if scheme_of(given) == "file" else given


def open_store(path: Path) -> tuple[Any, str]:
    """The fsspec file system of an address, which has forgotten what it has listed, and the address in its own form.

    Raises:
        ConfigError: a package for it is missing, there is no such scheme, or it cannot be used as it is set up.
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
    """What stores raise of their own, as `OSError`.

    Stores have errors of many kinds (botocore's, google's, aiohttp's) that have nothing in common.
    """
    try:
        yield
    except (OSError, ConfigError):
        raise
    except Exception as error:
        raise OSError(_in_a_line(error)) from error


def is_directory(path: Path) -> bool:
    """Whether there is something below an address, as far as its store tells now.

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
    """Whether there is such a file, as far as its store tells; if it does not, there is.

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
    """The whole file at an address.

    Raises:
        OSError: it cannot be read, or has more than `limit` bytes.
    """
    try:
        store, inner = open_store(path)
        with as_os_errors():
            size = store.size(inner)
            if size is not None and size > limit:
                raise OSError(errno.EFBIG, f"the file is larger than {limit // 2**20} MiB")
            content: bytes = store.cat_file(inner)
    except FileNotFoundError as error:  # stores put the path where others put the reason
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
    except ConfigError as error:
        raise OSError(str(error)) from error
    return content


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
