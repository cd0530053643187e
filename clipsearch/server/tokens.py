"""Who may ask for what: a file of named tokens, of which only hashes are kept.

A token is 256 random bits, so that its SHA-256 tells nobody anything and needs no salt.
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
"""In the library, unless another file is named."""

_PREFIX = "clipsearch_"
"""So that scanners for secrets know one where it does not belong."""

_RANDOM_BYTES = 32
_MAX_NAME = 100
_FORMAT = 1

_LOOK_EVERY_S = 1.0
"""Seconds between two looks at whether the file has changed."""


class Scope(StrEnum):
    """What a token opens.

    Attributes:
        READ: searches, details, previews, status.
        IMAGES: pictures at the size of a screen.
        ORIGINALS: files as they are, with their metadata.
        METRICS: what Prometheus asks for.
    """

    READ = "read"
    IMAGES = "images"
    ORIGINALS = "originals"
    METRICS = "metrics"


@dataclass(frozen=True)
class Token:
    """A token as it is kept.

    Attributes:
        name: of whoever has it.
        scopes: what it opens.
        sha256: of the token itself, hex.
        added_at: when it was made, ISO 8601.
    """

    name: str
    scopes: frozenset[Scope]
    sha256: str
    added_at: str


def read_tokens(file: Path) -> list[Token]:
    """The tokens of a file, by name; none if it is not there.

    Raises:
        ConfigError: it cannot be read, or is no file of tokens.
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
        raise ConfigError(f"{file} is no file of tokens; make one with: clipsearch serve token add") from error
    return sorted(tokens, key=lambda token: token.name)


def add_token(file: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Make a token, and keep its hash. Returns the token itself, which is not kept anywhere.

    Args:
        file: with the tokens; made if it is not there.
        name: of whoever gets it.
        scopes: what it opens, one at least.

    Raises:
        ConfigError: the name is taken or cannot be one, or the file cannot be read or written.
    """
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable() or name.startswith("-"):
        raise ConfigError(f"a token has a name of 1 to {_MAX_NAME} characters that does not begin with -")
    tokens = read_tokens(file)
    if any(token.name == name for token in tokens):
        raise ConfigError(
            f"{name} has a token already; choose another name, or take it away with: clipsearch serve token remove"
        )
    secret = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    added_at = datetime.now(UTC).isoformat(timespec="seconds")
    _write(file, [*tokens, Token(name, frozenset(scopes), _hash(secret), added_at)])
    return secret


def remove_token(file: Path, name: str) -> None:
    """Take a token away: it opens nothing any more, also on servers that run.

    Raises:
        ConfigError: there is none of that name, or the file cannot be read or written.
    """
    tokens = read_tokens(file)
    left = [token for token in tokens if token.name != name]
    if len(left) == len(tokens):
        known = ", ".join(token.name for token in tokens) or "none"
        raise ConfigError(f"no token has the name {name}; those in {file} are: {known}")
    _write(file, left)


def find_token(tokens: Sequence[Token], secret: str) -> Token | None:
    """The token that was given; takes as long whichever it is."""
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
    """Write the file, for its owner's eyes only, whole or not at all."""
    listed = [
        {"name": token.name, "scopes": sorted(token.scopes), "sha256": token.sha256, "added_at": token.added_at}
        for token in tokens
    ]
    text = json.dumps({"format": _FORMAT, "tokens": listed}, indent=2) + "\n"
    try:
        atomic.write_text(file, text, private=True)
    except OSError as error:
        raise ConfigError(f"cannot write the tokens to {file}: {error.strerror or error}") from error


class TokenFile:
    """A file of tokens. What is added to it or taken away holds a second later, without a restart.

    Attributes:
        path: the file.
        required: whether there were any when the server started. Then nobody is let in without one, ever: a file that
            goes away opens nothing.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file, there or not.

        Raises:
            ConfigError: it cannot be read, or is no file of tokens.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._tokens = read_tokens(path)
        self._looked_at = clock()
        self.required = bool(self._tokens)

    def find(self, secret: str) -> Token | None:
        """The token that was given, if it is one."""
        with self._lock:
            self._look_again()
            tokens = self._tokens
        return find_token(tokens, secret)

    def _look_again(self) -> None:
        now = self._clock()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        try:
            self._tokens = read_tokens(self.path)
        except ConfigError as error:  # half of a copy, say: what was known holds until it can be read
            logger.error("%s; the tokens from before hold", error)
            return
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file; ``None`` if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
