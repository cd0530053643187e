"""Work done ahead of need: decoding in threads while the model runs."""

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
    """Like `map`, with the function run in threads, ahead of the results that are asked for.

    Args:
        function: what to do with an item; what it raises is raised here, in its turn.
        items: taken one by one, no faster than results are.
        workers: threads.
        look_ahead: how many results at most are finished or under way but not asked for; bounds the memory.

    Yields:
        The results in the order of the items. When the iterator is closed early, what has not begun never does.
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
