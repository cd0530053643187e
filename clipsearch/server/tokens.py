"""Access tokens: a file of named tokens with scopes, stored as hashes.

A token has 256 random bits, so its SHA-256 needs no salt.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from clipsearch.errors import ConfigError
from clipsearch.system import atomic

logger = logging.getLogger(__name__)

TOKENS_NAME = "tokens.json"
"""Default file in the library."""

_PREFIX = "clipsearch_"
"""Lets secret scanners recognize leaked tokens."""

_RANDOM_BYTES = 32
_MAX_NAME = 100
_FORMAT = 1

_POLL_INTERVAL_S = 1.0
"""Interval for detecting changes of the file."""


class Scope(StrEnum):
    """Permissions of a token.

    Attributes:
        READ: searches, details, previews, status.
        IMAGES: screen-sized pictures.
        ORIGINALS: original files with their metadata.
        METRICS: Prometheus metrics.
    """

    READ = "read"
    IMAGES = "images"
    ORIGINALS = "originals"
    METRICS = "metrics"


@dataclass(frozen=True)
class Token:
    """A stored token.

    Attributes:
        name: of its user.
        scopes: its permissions.
        sha256: of the token, hex.
        added_at: ISO 8601.
    """

    name: str
    scopes: frozenset[Scope]
    sha256: str
    added_at: str


def read_tokens(file: Path) -> list[Token]:
    """The tokens of a file, by name; none if the file does not exist.

    Raises:
        ConfigError: the file cannot be read or is invalid.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ConfigError(f"{file} was written by a newer clipsearch")
        tokens = [_from_json(item) for item in content["tokens"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot read the tokens in {file}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is not a token file; make one with: clipsearch serve token add") from error
    return sorted(tokens, key=lambda token: token.name)


def add_token(file: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Create a token and store its hash. Returns the token, which is not stored.

    Args:
        file: token file; created if it does not exist.
        name: of its user.
        scopes: at least one.

    Raises:
        ConfigError: the name is taken or invalid, or the file cannot be read or written.
    """
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable() or name.startswith("-"):
        raise ConfigError(f"the name of a token must have 1 to {_MAX_NAME} printable characters and not begin with -")
    tokens = read_tokens(file)
    if any(token.name == name for token in tokens):
        raise ConfigError(
            f"{name} already has a token; choose another name, or remove it with: clipsearch serve token remove"
        )
    secret = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    added_at = datetime.now(UTC).isoformat(timespec="seconds")
    _write(file, [*tokens, Token(name, frozenset(scopes), _hash(secret), added_at)])
    return secret


def remove_token(file: Path, name: str) -> None:
    """Remove a token, also from running servers.

    Raises:
        ConfigError: there is no such token, or the file cannot be read or written.
    """
    tokens = read_tokens(file)
    remaining = [token for token in tokens if token.name != name]
    if len(remaining) == len(tokens):
        known = ", ".join(token.name for token in tokens) or "none"
        raise ConfigError(f"no token is named {name}; tokens in {file}: {known}")
    _write(file, remaining)


def find_token(tokens: Sequence[Token], secret: str) -> Token | None:
    """Find the token of a secret, in constant time."""
    digest = _hash(secret)
    match = None
    for token in tokens:
        if hmac.compare_digest(token.sha256, digest):
            match = token
    return match


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _from_json(item: dict[str, object]) -> Token:
    scopes = item["scopes"]
    if not isinstance(scopes, list):
        raise TypeError("scopes are a list")
    return Token(
        str(item["name"]), frozenset(Scope(scope) for scope in scopes), str(item["sha256"]), str(item["added_at"])
    )


def _write(file: Path, tokens: Sequence[Token]) -> None:
    """Write the file atomically, readable only by its owner."""
    items = [
        {"name": token.name, "scopes": sorted(token.scopes), "sha256": token.sha256, "added_at": token.added_at}
        for token in tokens
    ]
    text = json.dumps({"format": _FORMAT, "tokens": items}, indent=2) + "\n"
    try:
        atomic.write_text(file, text, private=True)
    except OSError as error:
        raise ConfigError(f"cannot write the tokens to {file}: {error.strerror or error}") from error


class TokenFile:
    """A token file; changes apply within a second, without a restart.

    Attributes:
        path: the file.
        required: whether there were tokens at the start of the server; then deleting the file grants no access.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file if it exists.

        Raises:
            ConfigError: the file cannot be read or is invalid.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._tokens = read_tokens(path)
        self._polled_at = clock()
        self.required = bool(self._tokens)

    def find(self, secret: str) -> Token | None:
        """The token of a secret; ``None`` if it is unknown."""
        with self._lock:
            self._reload_if_changed()
            tokens = self._tokens
        return find_token(tokens, secret)

    def _reload_if_changed(self) -> None:
        now = self._clock()
        if now - self._polled_at < _POLL_INTERVAL_S:
            return
        self._polled_at = now
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        try:
            self._tokens = read_tokens(self.path)
        except ConfigError as error:  # for example half-written: keep the tokens until it can be read
            logger.error("%s; keeping the previous tokens", error)
            return
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Inode, size and modification time of a file; ``None`` if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
