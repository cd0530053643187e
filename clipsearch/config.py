"""Where things are: the library, the caches and the data that the program ships."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from clipsearch.errors import ConfigError

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"

_DRIVER = "postgresql+psycopg"
_SCHEMES = frozenset({"postgres", "postgresql", _DRIVER})


@dataclass(frozen=True)
class DatabaseUrl:
    """Where a library's catalog is, in a database; as a text it is what people may see.

    Attributes:
        text: with user and password, for the driver alone.
    """

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Take an address as people write it.

        Raises:
            ConfigError: it is of no database that a catalog can be in, or names none.
        """
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"the library's address cannot be read: {error}") from error
        if parts.scheme not in _SCHEMES:
            raise ConfigError(
                f"a library is a directory or a PostgreSQL database ({_DRIVER}://user@host/database), "
                f"not {parts.scheme}://…"
            )
        if not parts.path.strip("/"):
            raise ConfigError(f"the library's address names no database; write {_DRIVER}://user@host/database")
        return cls(f"{_DRIVER}://{text.partition('://')[2]}")

    def __str__(self) -> str:
        """Without user, password and options."""
        parts = urlsplit(self.text)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def identity(self) -> str:
        """What tells it from other databases: all but user and password."""
        parts = urlsplit(self.text)
        return f"{parts.netloc.rpartition('@')[2]}{parts.path}?{_without_secrets(parts.query)}"


def is_database_url(text: str) -> bool:
    """Whether a library is named by an address and not by a path."""
    return "://" in text


def _without_secrets(query: str) -> str:
    return "&".join(option for option in query.split("&") if option.partition("=")[0] not in {"user", "password"})


LibraryPlace: TypeAlias = Path | DatabaseUrl
"""Where a library is: a directory, or a database."""


def library_place(named: Path | str | DatabaseUrl | None = None) -> LibraryPlace:
    """Where a library is that a person named by a path or an address.

    Args:
        named: by default ``$CLIPSEARCH_LIBRARY``, or the user's data directory.

    Raises:
        ConfigError: it is the address of no database that a library can be in.
    """
    named = named if named is not None else os.environ.get(LIBRARY_VARIABLE) or None
    if named is None:
        import platformdirs

        return platformdirs.user_data_path("clipsearch", appauthor=False) / "library"
    if isinstance(named, str) and is_database_url(named):
        return DatabaseUrl.parse(named)
    return named if isinstance(named, DatabaseUrl) else Path(named).expanduser()


def cache_dir() -> Path:
    """Where compiled models are kept: ``$CLIPSEARCH_CACHE``, or the user's cache directory.

    Everything in it can be made again.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("clipsearch", appauthor=False)


def data_dir() -> Path:
    """The data that the program ships: inside the package in a wheel, beside it in a checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "data", package.parent / "data"):
        if (candidate / "models").is_dir():
            return candidate
    raise FileNotFoundError(f"the bundled data is missing from {package}; install clipsearch again")
