"""Telling how a run goes on, a few times a second."""

from __future__ import annotations

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
        """The items as they come, telling how things stand in between: who is told can end the run by raising."""
        for item in items:
            if self._due():
                self._tell(self._now())
            yield item

    def advance(self, files: int) -> None:
        """So many more files are done."""
        self._done += files
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
