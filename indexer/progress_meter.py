"""Telling how a run goes on, a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from clipsearch.catalog.reports import IndexProgress

_EVERY_S = 0.1

_Item = TypeVar("_Item")


class ProgressMeter:
    """Tells progress a few times a second, however often it is called."""

    def __init__(self, tell: Callable[[IndexProgress], None]) -> None:
        """Bind whom to tell."""
        self._tell = tell
        self._done, self._total = 0, 0
        self._lock = threading.Lock()
        self._started = self._told = time.monotonic()

    def scanned(self) -> None:
        """Another file was found."""
        if self._due():
            self._tell(IndexProgress(0, None, 0.0, None))

    def start(self, total: int) -> None:
        """The work begins, and there is so much of it."""
        self._total, self._started = total, time.monotonic()
        self._tell(IndexProgress(0, total, 0.0, None))

    def following(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items as they come, reporting progress in between; the callback can end the run by raising."""
        for item in items:
            self.tick()
            yield item

    def advance(self, files: int) -> None:
        """So many more files are done; called from any thread, and reported by the next `tick`."""
        with self._lock:
            self._done += files

    def tick(self) -> None:
        """Report progress if it is time to; the callback can end the run by raising."""
        if self._due():
            self._tell(self._now())

    def finish(self) -> None:
        """All is done."""
        self._tell(self._now())

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self._told >= _EVERY_S
        self._told = now if due else self._told
        return due

    def _now(self) -> IndexProgress:
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        return IndexProgress(self._done, self._total, rate, (self._total - self._done) / rate if rate else None)
