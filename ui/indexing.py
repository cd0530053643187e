"""Indexing, and changing the model, in the background: one piece of work at a time, which every session sees.

The work runs in a thread of the web server's process, with a `Library` of its own, so that searches go on. When the
process ends, however it ends, nothing is lost but the batch in flight: the next run carries on.
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

from clipsearch.errors import ClipSearchError
from clipsearch.library import IndexProgress, IndexReport, Library, MigrationReport
from clipsearch.retrieval.saved_searches import NewMatches
from ui.shared import open_library

logger = logging.getLogger(__name__)

WorkKind = Literal["index", "migrate"]

_MESSAGES_KEPT = 20

_WAIT_FOR_WRITER_S = 3.0
"""Another writer, for instance one that moves a picture to the trash, may be done in a moment."""

_END_LIMIT_S = 5.0
"""How long the end of the process is held up for the work to end in order."""


@dataclass(frozen=True)
class WorkState:
    """Where the work of this process stands, or where the last one ended.

    Attributes:
        number: of the piece of work, from 1; 0 before the first.
        kind: what it is; ``None`` before the first.
        running: it has not ended.
        stopping: it was asked to stop, and has not ended yet.
        stopped: it ended because it was asked to.
        done: files, pictures or concepts dealt with.
        total: of how many; ``None`` before that is known.
        of: what is counted, as `IndexProgress.of`.
        images_per_second: since the first of them.
        remaining_s: seconds left; ``None`` while they cannot be told.
        report: what was done, if it came to its end.
        error: what ended it, if something went wrong.
        messages: the last things that a person should know, oldest first.
        new_matches: the saved searches that found something new, after indexing.
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
    report: IndexReport | MigrationReport | None = None
    error: Exception | None = None
    messages: tuple[str, ...] = ()
    new_matches: tuple[NewMatches, ...] = ()


class _Stopped(Exception):
    """Ends a run from inside its progress callback."""


class BackgroundWork:
    """Work on one library, in a thread; its methods may be called from any."""

    def __init__(self, open_library: Callable[[Callable[[str], None]], Library]) -> None:
        """Bind how the library is opened, given whom it tells what a person should know."""
        self._open_library = open_library
        self._lock = threading.Lock()
        self._state = WorkState()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)
        self._thread: threading.Thread | None = None

    def start_indexing(self, folders: Sequence[Path], *, retry_failed: bool = False) -> bool:
        """Begin to index folders, or every folder of the library; False if other work is not done yet."""

        def work(library: Library) -> None:
            report = library.index(
                *folders, retry_failed=retry_failed, wait_s=_WAIT_FOR_WRITER_S, progress=self._progress
            )
            self._set(report=report)
            if report.indexed:
                self._set(new_matches=tuple(library.saved.new_matches()))

        return self._start("index", work)

    def start_migration(self, model: str, *, partial: bool = False) -> bool:
        """Begin to embed everything with another model; False if other work is not done yet."""

        def work(library: Library) -> None:
            report = library.migrate(model, partial=partial, wait_s=_WAIT_FOR_WRITER_S, progress=self._progress)
            self._set(report=report)

        return self._start("migrate", work)

    def stop(self) -> None:
        """Ask the work to end; what it has committed stays."""
        with self._lock:
            if self._state.running:
                self._state = replace(self._state, stopping=True)

    def state(self) -> WorkState:
        """Where the work stands."""
        with self._lock:
            return replace(self._state, messages=tuple(self._messages))

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the work has ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def end(self) -> None:
        """Stop, and wait a little: the process is about to end."""
        self.stop()
        self.wait(_END_LIMIT_S)

    def _start(self, kind: WorkKind, work: Callable[[Library], None]) -> bool:
        with self._lock:
            if self._state.running:
                return False
            self._messages.clear()
            self._state = WorkState(number=self._state.number + 1, kind=kind, running=True)
            # as a daemon it does not hold up the end of the process longer than `end` does
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
        except Exception as error:  # nobody else would hear of it
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
            self._messages.append(line)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


background_work = BackgroundWork(lambda notify: open_library(notify=notify, create=True))
"""That of this process."""

atexit.register(background_work.end)


def start_indexing(folders: Sequence[Path], *, retry_failed: bool = False) -> bool:
    """See `BackgroundWork.start_indexing`."""
    return background_work.start_indexing(folders, retry_failed=retry_failed)


def start_migration(model: str, *, partial: bool = False) -> bool:
    """See `BackgroundWork.start_migration`."""
    return background_work.start_migration(model, partial=partial)


def stop() -> None:
    """See `BackgroundWork.stop`."""
    background_work.stop()


def indexing_state() -> WorkState:
    """See `BackgroundWork.state`."""
    return background_work.state()
