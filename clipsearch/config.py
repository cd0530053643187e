"""Locations: the library, the caches and the bundled data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from clipsearch.errors import ConfigError
from clipsearch.text import composed

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"

_DRIVER = "postgresql+psycopg"
_SCHEMES = frozenset({"postgres", "postgresql", _DRIVER})


@dataclass(frozen=True)
class DatabaseUrl:
    """The URL of a PostgreSQL catalog; ``str`` omits user and password.

    Attributes:
        text: the whole URL with user and password, for the driver only.
    """

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Parse a URL.

        Raises:
            ConfigError: the URL is not of a PostgreSQL database.
        """
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"invalid library URL: {error}") from error
        if parts.scheme not in _SCHEMES:
            raise ConfigError(
                f"a library is a directory or a PostgreSQL database ({_DRIVER}://user@host/database), "
                f"not {parts.scheme}://…"
            )
        if not parts.path.strip("/"):
            raise ConfigError(f"the library URL has no database name; use {_DRIVER}://user@host/database")
        return cls(f"{_DRIVER}://{text.partition('://')[2]}")

    def __str__(self) -> str:
        """Without user, password and options."""
        parts = urlsplit(self.text)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def identity(self) -> str:
        """The URL without user and password."""
        parts = urlsplit(self.text)
        return f"{parts.netloc.rpartition('@')[2]}{parts.path}?{_without_secrets(parts.query)}"


def is_database_url(text: str) -> bool:
    """Whether a text is a URL and not a path."""
    return "://" in text


def _without_secrets(query: str) -> str:
    return "&".join(option for option in query.split("&") if option.partition("=")[0] not in {"user", "password"})


LibraryPlace: TypeAlias = Path | DatabaseUrl
"""The location of a library: a directory or a database."""


def library_place(named: Path | str | DatabaseUrl | None = None) -> LibraryPlace:
    """Parse the location of a library.

    Args:
        named: a path or URL; by default ``$CLIPSEARCH_LIBRARY``, or the user's data directory.

    Raises:
        ConfigError: unsupported database URL.
    """
    named = named if named is not None else os.environ.get(LIBRARY_VARIABLE) or None
    if named is None:
        import platformdirs

        return platformdirs.user_data_path("clipsearch", appauthor=False) / "library"
    if isinstance(named, str) and is_database_url(named):
        return DatabaseUrl.parse(named)
    return named if isinstance(named, DatabaseUrl) else typed_path(named)


def typed_path(path: Path | str) -> Path:
    """The path that a person means: with the home expanded, each name in the Unicode form that its folder has it in.

    Keyboards make composed letters, and disks of a Mac hold decomposed ones; most file systems take the two for
    different names. Names that no folder has stay as they were typed.
    """
    path = Path(path).expanduser()
    if str(path).isascii() or os.path.lexists(path):
        return path
    typed = Path(path.anchor)
    for name in path.parts[1 if path.anchor else 0 :]:
        typed /= name if name.isascii() or os.path.lexists(typed / name) else _name_in(typed, name)
    return typed


def _name_in(folder: Path, typed: str) -> str:
    try:
        same = [name for name in os.listdir(folder) if composed(name) == composed(typed)]  # noqa: PTH208 (names only)
    except OSError:
        return typed
    return same[0] if len(same) == 1 else typed


def cache_dir() -> Path:
    """The directory of caches, such as compiled models: ``$CLIPSEARCH_CACHE``, or the user's cache directory."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("clipsearch", appauthor=False)


def data_dir() -> Path:
    """The bundled data: inside the package in a wheel, beside it in a checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "data", package.parent / "data"):
        if (candidate / "models").is_dir():
            return candidate
    raise FileNotFoundError(f"the bundled data is missing from {package}; install clipsearch again")
