"""Readiness probe: whether the server can answer searches, tested by a search."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsearch.errors import ClipSearchError, IndexMismatchError, ModelError, QueryError
from clipsearch.server.worker_pool import WorkerPool

if TYPE_CHECKING:
    from clipsearch.library import Library

logger = logging.getLogger(__name__)

_PROBE = "a photo"
_MAX_AGE_S = 2.0
_WAIT_S = 1.0
_HANGS_AFTER_S = 30.0


@dataclass(frozen=True)
class Readiness:
    """State of each part: ``ok`` or a description of the problem."""

    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether all parts are ok."""
        return all(state == "ok" for state in self.checks.values())


_STARTING = Readiness({"catalog": "starting", "model": "starting", "index": "starting"})
_HANGING = Readiness({"catalog": "does not answer", "model": "unknown", "index": "unknown"})


class ReadinessProbe:
    """Searches periodically in its own thread, and returns the latest result."""

    def __init__(self, library: Library, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the library; nothing is searched yet."""
        self._library = library
        self._clock = clock
        self._pool = WorkerPool("readiness", threads=1, waiting=0)
        self._latest: Readiness | None = None
        self._checked_at = 0.0
        self._started_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def check(self) -> Readiness:
        """The latest result; waits at most `_WAIT_S` for a running search."""
        if self._task is None and (self._latest is None or self._clock() - self._checked_at > _MAX_AGE_S):
            self._started_at = self._clock()
            self._task = asyncio.create_task(self._search())
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_WAIT_S)
        if self._latest is None:
            return _STARTING
        is_hanging = self._task is not None and self._clock() - self._started_at > _HANGS_AFTER_S
        return _HANGING if is_hanging else self._latest

    def close(self) -> None:
        """Stop searching."""
        if self._task is not None:
            self._task.cancel()
        self._pool.close()

    async def _search(self) -> None:
        try:
            self._latest = await self._pool.run(self._check_parts)
            self._checked_at = self._clock()
        finally:
            self._task = None

    def _check_parts(self) -> Readiness:
        """Search; errors are logged, as they may contain paths of the server."""
        checks = dict.fromkeys(_STARTING.checks, "ok")
        try:
            self._library.search(_PROBE, k=1)
        except QueryError:
            checks["index"] = "no pictures yet"
        except (ModelError, IndexMismatchError) as error:
            logger.error("%s", error)
            checks["model"] = "cannot be used"
        except ClipSearchError as error:
            logger.error("%s", error)
            checks["catalog"] = "cannot be used"
        return Readiness(checks)
