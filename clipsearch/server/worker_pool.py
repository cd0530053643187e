"""Work in threads: so much at once, so much waiting, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class QueueFullError(Exception):
    """There is more work waiting than can be done in time."""


class WorkerPool:
    """Threads for one kind of work. Used from one event loop.

    Work that nobody waits for any more, because its time is over or its client has gone, is not begun. What has begun
    cannot be broken off, and keeps its place until it is done: what is under way is always bounded.
    """

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        """Prepare the threads.

        Args:
            name: of the kind of work.
            threads: how much is done at once.
            waiting: how much may wait besides.
        """
        self.name = name
        self._capacity = threads + waiting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"serve-{name}")
        self.inside = 0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do something in a thread.

        Raises:
            QueueFullError: too much is waiting.
        """
        if self.inside >= self._capacity:
            raise QueueFullError(self.name)
        loop = asyncio.get_running_loop()
        future: Future[_Result] = self._threads.submit(work)
        self.inside += 1
        future.add_done_callback(lambda _: _in_loop(loop, self._leave))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self.inside -= 1


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call something in the event loop's own thread, unless the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
