"""Worker threads with a bounded queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class QueueFullError(Exception):
    """The queue of a worker pool is full."""


class WorkerPool:
    """Threads for one kind of work, used from one event loop.

    Queued work is dropped if its request is canceled or times out. Running work cannot be interrupted and counts until
    it is done, so that concurrency is always bounded.

    Attributes:
        name: of the kind of work.
        requests: number of running and queued calls.
    """

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        """Create the threads.

        Args:
            name: of the kind of work.
            threads: number of threads.
            waiting: maximum length of the queue.
        """
        self.name = name
        self._capacity = threads + waiting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"serve-{name}")
        self.requests = 0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Call a function in a thread.

        Raises:
            QueueFullError: the queue is full.
        """
        if self.requests >= self._capacity:
            raise QueueFullError(self.name)
        loop = asyncio.get_running_loop()
        future: Future[_Result] = self._threads.submit(work)
        self.requests += 1
        future.add_done_callback(lambda _: _in_loop(loop, self._leave))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop queued work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self.requests -= 1


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call a function in the event loop's thread, unless the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
