"""Prefetching in threads: decode the next images while the model runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, look_ahead: int
) -> Generator[_Result, None, None]:
    """`map` with the function run in threads, ahead of the results consumed.

    Args:
        function: its exceptions are raised in order, in place of the result.
        items: consumed lazily.
        workers: threads.
        look_ahead: maximum number of pending results; bounds the memory.

    Yields:
        The results in the order of the items. Closing the iterator early cancels calls that have not started.
    """
    ahead: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) >= look_ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
