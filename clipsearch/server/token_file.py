"""The tokens that a server knows, read again when their file changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from clipsearch.errors import ConfigError
from clipsearch.server.tokens import Token, find_token, read_tokens

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


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
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
