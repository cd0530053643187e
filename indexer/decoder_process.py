"""The parent's end of one decoding process: starting it, talking with it, ending it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from clipsearch.errors import ClipSearchError
from indexer.read import FileContent, PositionsToRead
from indexer.scan import reason_of
from indexer.worker_process import ALIVE, READY, Settings, receive, send

_START = (
    "import sys; root, *path = sys.argv[1:]; sys.path[:] = [root, *path]; import clipsearch, indexer; "
    "del sys.path[0]; from indexer.worker_process import main; main()"
)
"""Imports the packages that the parent runs, wherever they lie, and everything else from where it does."""

_START_LIMIT_S = 120.0
"""For the import of Pillow and NumPy from a slow disk with a virus scanner in between."""

_END_LIMIT_S = 5.0
"""How long a process is waited for that was asked to end; only one that hangs inside the kernel takes so long."""

_SLICE_S = 0.5

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""The processes are the parallelism; and every thread's reserve would count towards the memory cap."""

_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**25)}
"""Bytes that glibc keeps for the next picture; given back to the system and asked for again with each one, its pages
are cleared and mapped anew, which takes a quarter of the time of a small picture."""


class DecoderDied(Exception):
    """A decoding process died or had to be ended.

    Attributes:
        reason: what to say of the file that it was at.
        worth_a_retry: whether the file may not be what it died of.
    """

    def __init__(self, reason: str, *, worth_a_retry: bool) -> None:
        self.reason = reason
        self.worth_a_retry = worth_a_retry
        super().__init__(reason)


class DecoderProcess:
    """One decoding process. Its methods are called by one thread, `kill` by any."""

    def __init__(self, settings: Settings) -> None:
        """Start the process; `get_ready` says when it has come up.

        Raises:
            ClipSearchError: the system starts no process.
        """
        self._process = _taken_spare() or _start()
        self._settings = settings
        self._ready = False
        self._left_s = 0.0
        self._messages: SimpleQueue[Any] = SimpleQueue()
        # reading in a thread, as no wait for a pipe can be limited on every system
        self._listener = threading.Thread(target=self._listen, name="decoded", daemon=True)
        self._listener.start()

    @property
    def process_id(self) -> int:
        """The system's id of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def get_ready(self) -> None:
        """Wait until the process can take a file.

        Raises:
            ClipSearchError: it does not start. Nothing but `stop` may be called then.
        """
        if self._ready:
            return
        self._left_s = _START_LIMIT_S
        with contextlib.suppress(DecoderDied):
            self._send(self._settings)
            self._ready = self._receive() == READY
        if not self._ready:
            raise ClipSearchError(f"the process for decoding does not start: {self._last_words()}")

    def read(self, path: Path, wanted_from: Callable[[str], PositionsToRead]) -> Iterator[FileContent]:
        """Have a file read; and decoded, unless its content is embedded already.

        Args:
            path: of the file.
            wanted_from: as for `indexer.read.read_content`.

        Yields:
            Its parts; the time limit counts for each.

        Raises:
            DecoderDied: it took longer than the time limit, or the process died. Nothing but `stop` may be
                called then.
        """
        self._left_s = self._settings.time_limit_s
        self._send(os.fsencode(path))
        message = self._receive()
        if isinstance(message, str):
            self._send(wanted_from(message))
            message = self._receive()
        while True:
            if not isinstance(message, FileContent):
                raise self._crashed()
            yield message
            if message.is_last:
                return
            self._left_s = self._settings.time_limit_s
            self._send(None)
            message = self._receive()

    def kill(self) -> None:
        """End the process at once; whoever waits for it gets an error."""
        self._process.kill()
        self._messages.put(None)

    def stop(self) -> None:
        """End the process, and wait until it has ended; an idle one holds nothing that could get lost."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_LIMIT_S)
            self._listener.join(_END_LIMIT_S)
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what the process did not live to read
                    pipe.close()

    def _last_words(self) -> str:
        self._process.kill()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, message)
        except OSError as error:
            raise self._crashed() from error

    def _receive(self) -> Any:
        """Wait for a message; ``None`` says that no more will come.

        What is counted are short waits and not the clock, which goes on while the computer, or this program
        alone, is suspended.
        """
        while self._left_s > 0:
            wait_s = min(_SLICE_S, self._left_s)
            started = time.monotonic()
            try:
                message = self._messages.get(timeout=wait_s)
            except Empty:
                self._left_s -= wait_s
            else:
                self._left_s -= min(time.monotonic() - started, wait_s)
                if message != ALIVE:
                    return message
                self._left_s = self._settings.time_limit_s
        limit_s = self._settings.time_limit_s
        raise DecoderDied(f"took longer than {limit_s:g} seconds to decode", worth_a_retry=False)

    def _crashed(self) -> DecoderDied:
        try:
            status = self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            return DecoderDied("crashed the decoder (it talks nonsense)", worth_a_retry=True)
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        return DecoderDied(f"crashed the decoder ({cause})", worth_a_retry=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers, contextlib.suppress(Exception):  # damaged memory sends anything
            while True:
                self._messages.put(receive(answers))
        self._messages.put(None)


_spares: list[subprocess.Popen[bytes]] = []
"""Processes that were started and that no `DecoderProcess` has taken yet."""


@contextlib.contextmanager
def started_ahead() -> Iterator[None]:
    """Context in which the first `DecoderProcess` takes a process that is started now, while other things load.

    Raises:
        ClipSearchError: the system starts no process.
    """
    spare = _start()
    _spares.append(spare)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # taken
            _spares.remove(spare)
            spare.kill()
            spare.communicate()


def _taken_spare() -> subprocess.Popen[bytes] | None:
    try:
        return _spares.pop()
    except IndexError:
        return None


def _start() -> subprocess.Popen[bytes]:
    root, path = str(Path(__file__).parents[1]), [entry for entry in sys.path if entry]
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _START, root, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | _ONE_THREAD | _KEPT_MEMORY,
            start_new_session=True,  # out of reach of Ctrl-C; it ends with its stdin
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise ClipSearchError(f"no process for decoding can be started: {reason_of(error)}") from error
