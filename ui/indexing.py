"""Indexing and migration in the background: one at a time per process, visible to every session.

The work runs in a thread of the web server with its own `Library`, so that searches continue. If the process ends, only
the current batch is lost, and the next run continues.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from clipsearch.catalog.reports import IndexProgress, IndexReport, MigrationReport, TextReport
from clipsearch.errors import ClipSearchError
from clipsearch.library import Library
from clipsearch.retrieval.saved_searches import NewMatches
from clipsearch.text import Notify, shorten_paths
from ui.shared import open_library

logger = logging.getLogger(__name__)

WorkKind = Literal["index", "migrate", "text"]

_MESSAGES_KEPT = 20

_WAIT_FOR_WRITER_S = 3.0
"""Wait for short writes, such as moving a picture to the trash."""

_END_LIMIT_S = 5.0
"""Timeout for a regular end of the work when the process ends."""


@dataclass(frozen=True)
class WorkState:
    """The state of the current or the last work.

    Attributes:
        number: counts the work of this process from 1; 0 before the first.
        kind: indexing, migration or reading text; ``None`` before the first.
        running: it has not ended.
        stopping: a stop was requested, and it has not ended yet.
        stopped: it ended by request.
        done: completed pictures or concepts.
        total: their total; ``None`` while unknown.
        of: the unit of `done`, as `IndexProgress.of`.
        images_per_second: the average speed.
        remaining_s: estimated seconds left; ``None`` while unknown.
        report: the summary, after success.
        error: the error, after failure.
        messages: the last notices, oldest first.
        new_matches: new matches of saved searches, after indexing.
    """

    number: int = 0
    kind: WorkKind | None = None
    running: bool = False
    stopping: bool = False
    stopped: bool = False
    done: int = 0
    total: int | None = None
    of: Literal["picture", "concept"] = "picture"
    images_per_second: float = 0.0
    remaining_s: float | None = None
    report: IndexReport | MigrationReport | TextReport | None = None
    error: Exception | None = None
    messages: tuple[str, ...] = ()
    new_matches: tuple[NewMatches, ...] = ()


class _Stopped(Exception):
    """Ends a run from its progress callback."""


class BackgroundWork:
    """Indexing and migration of one library in a thread; thread-safe."""

    def __init__(self, open_library: Callable[[Notify], Library]) -> None:
        """Bind a function that opens the library, given the callback for notices."""
        self._open_library = open_library
        self._lock = threading.Lock()
        self._state = WorkState()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)
        self._thread: threading.Thread | None = None

    def start_indexing(self, folders: Sequence[Path], *, retry_failed: bool = False) -> bool:
        """Start indexing folders, or all roots; returns False if other work is running."""

        def work(library: Library) -> None:
            report = library.index(
                *folders, retry_failed=retry_failed, wait_s=_WAIT_FOR_WRITER_S, progress=self._progress
            )
            self._set(report=report)
            if report.indexed:
                self._set(new_matches=tuple(library.saved.new_matches()))

        return self._start("index", work)

    def start_migration(self, model: str, *, partial: bool = False) -> bool:
        """Start a migration to another model; returns False if other work is running."""

        def work(library: Library) -> None:
            report = library.migrate(model, partial=partial, wait_s=_WAIT_FOR_WRITER_S, progress=self._progress)
            self._set(report=report)

        return self._start("migrate", work)

    def start_reading_text(self) -> bool:
        """Start reading the text in pictures; returns False if other work is running."""
        return self._start("text", lambda library: self._set(report=library.texts.read(progress=self._progress)))

    def stop(self) -> None:
        """Request a stop; committed batches stay."""
        with self._lock:
            if self._state.running:
                self._state = replace(self._state, stopping=True)

    def state(self) -> WorkState:
        """A snapshot of the state."""
        with self._lock:
            return replace(self._state, messages=tuple(self._messages))

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the work."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def end(self) -> None:
        """Stop and wait briefly, at the end of the process."""
        self.stop()
        self.wait(_END_LIMIT_S)

    def _start(self, kind: WorkKind, work: Callable[[Library], None]) -> bool:
        with self._lock:
            if self._state.running:
                return False
            self._messages.clear()
            self._state = WorkState(number=self._state.number + 1, kind=kind, running=True)
            # a daemon: the process ends after the timeout of `end`
            self._thread = threading.Thread(target=self._run, args=(work,), name=kind, daemon=True)
            self._thread.start()
        return True

    def _run(self, work: Callable[[Library], None]) -> None:
        try:
            with self._open_library(self._notify) as library:
                work(library)
        except _Stopped:
            self._set(stopped=True)
        except ClipSearchError as error:
            logger.info("%s", error)
            self._set(error=error)
        except Exception as error:  # shown on the page, because the thread has no caller
            logger.exception("work in the background failed")
            self._set(error=error)
        finally:
            self._set(running=False, stopping=False)

    def _progress(self, progress: IndexProgress) -> None:
        if self._state.stopping:
            raise _Stopped
        self._set(
            done=progress.done,
            total=progress.total,
            of=progress.of,
            images_per_second=progress.images_per_second,
            remaining_s=progress.remaining_s,
        )

    def _notify(self, line: str) -> None:
        logger.info("%s", line)
        with self._lock:
            self._messages.append(shorten_paths(line))

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


background = BackgroundWork(lambda notify: open_library(notify=notify, create=True))
"""The work of this process."""

atexit.register(background.end)
