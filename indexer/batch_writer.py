"""Writing batches on a thread of its own, while the next ones are decoded and embedded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

_LOOK_S = 0.1
"""How often a thread that waits looks whether the run goes on, in seconds."""

_Begun = TypeVar("_Begun")


class BatchWriter:
    """Writes batches in order on one thread; bounds how many are begun and not written.

    Leaving the context waits until all are written, also when an exception ends the run. A second exception meanwhile,
    such as another Ctrl-C, waits for the batch in progress only.
    """

    def __init__(self, *, most: int, waiting: Callable[[], None], notify: Callable[[str], None]) -> None:
        """Prepare; the thread starts with the context.

        Args:
            most: batches begun and not written, at most.
            waiting: called now and then by a thread that waits for room; ends the wait by raising.
            notify: callback for a one-line notice when Ctrl-C ends the run and batches have to be finished.
        """
        self._most = most
        self._waiting = waiting
        self._notify = notify
        self._room = threading.Semaphore(most)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, name="writing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        try:
            if isinstance(error, KeyboardInterrupt) and self._error is None:
                self._notify("finishing the batches in progress; press Ctrl-C again to stop at once")
            while self._thread.is_alive():
                self._thread.join(_LOOK_S)
                if error is None:
                    self._waiting()
        except BaseException:
            self._is_abandoned = True
            self._thread.join()
            raise
        if error is None:
            self._check()

    def add(self, begin: Callable[[], _Begun], write: Callable[[_Begun], None]) -> None:
        """Begin a batch as soon as there is room for it.

        Args:
            begin: starts the batch's embedding; called here.
            write: waits for what `begin` returned, and commits; called on the writing thread, after all batches before.

        Raises:
            BaseException: whatever an earlier `write` raised. Nothing is written after that.
        """
        self._acquire()
        self._jobs.put(partial(write, begin()))

    def drain(self) -> None:
        """Wait until all batches are written; raises as `add`."""
        for _ in range(self._most):
            self._acquire()
        self._room.release(self._most)

    def look(self) -> None:
        """Call `waiting`, and raise what a `write` raised: for whatever else the adding thread waits for."""
        self._check()
        self._waiting()

    def _acquire(self) -> None:
        while not self._room.acquire(timeout=_LOOK_S):
            self.look()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._error is None and not self._is_abandoned:
                try:
                    job()
                except BaseException as error:  # raised again by whoever adds the next batch
                    self._error = error
            self._room.release()
