"""The address of a library that is in a database: parsed, told from a path, and shown without its secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from clipsearch.errors import ConfigError

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
