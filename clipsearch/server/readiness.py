"""Whether searches can be answered: found out by searching."""

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
_HOLDS_S = 2.0
_WAIT_S = 1.0
_HANGS_S = 30.0


@dataclass(frozen=True)
class Checked:
    """What was found: of each part ``ok`` or a few words."""

    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether all parts are as they should be."""
        return all(word == "ok" for word in self.checks.values())


_STARTING = Checked({"catalog": "starting", "model": "starting", "index": "starting"})
_HANGING = Checked({"catalog": "does not answer", "model": "unknown", "index": "unknown"})


class ReadinessProbe:
    """Searches now and then, in a thread of its own; answers at once what was found the last time."""

    def __init__(self, library: Library, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the library; nothing is searched yet."""
        self._library = library
        self._clock = clock
        self._lane = WorkerPool("readiness", threads=1, waiting=0)
        self._latest: Checked | None = None
        self._found_at = 0.0
        self._begun_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def check(self) -> Checked:
        """What was found lately; of a search that is under way, after a moment, what was found before."""
        if self._task is None and (self._latest is None or self._clock() - self._found_at > _HOLDS_S):
            self._begun_at = self._clock()
            self._task = asyncio.create_task(self._search())
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_WAIT_S)
        if self._latest is None:
            return _STARTING
        hangs = self._task is not None and self._clock() - self._begun_at > _HANGS_S
        return _HANGING if hangs else self._latest

    def close(self) -> None:
        """Search no more."""
        if self._task is not None:
            self._task.cancel()
        self._lane.close()

    async def _search(self) -> None:
        try:
            self._latest = await self._lane.run(self._look)
            self._found_at = self._clock()
        finally:
            self._task = None

    def _look(self) -> Checked:
        """Search; what is wrong is logged, as it may name paths of this machine."""
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
        return Checked(checks)
