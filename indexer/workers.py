"""Decoding in processes of its own, so that no file can take a run down.

A picture may crash its decoder, ask for all memory there is, or keep it busy for ever. Each of these costs one
process, which is replaced, and one file, which fails with its reason.

`multiprocessing` would not do: its children import the program's main module again, which a plain script
does not expect, or are forks, which programs with threads must not make.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue, SimpleQueue
from types import TracebackType
from typing import Self

from clipsearch.errors import ClipSearchError
from clipsearch.media.transform import ImageTransform
from indexer.decoder_process import DecoderDied, DecoderProcess
from indexer.read import PositionsToRead, ReadFile
from indexer.scan import ScannedFile
from indexer.worker_process import Settings

_BACKLOG = 8
"""Files that wait before another process is started: one takes as long to start as so many to decode."""

_START_ATTEMPTS = 3

_PARTS_AHEAD = 2
"""Parts of a video that are kept before they are asked for; those of each file that is read ahead count."""

_LOOK_S = 0.2
"""How often a thread that waits looks whether what it waits for is still wanted, in seconds."""


class DecodingPool:
    """Reads and decodes files in processes, ahead of the results that are asked for.

    Processes are started when there are files for them, and end with the pool, or with this process, however
    it ends.
    """

    def __init__(
        self,
        transform: ImageTransform | None,
        *,
        thumbnails: Path | None,
        workers: int,
        time_limit_s: float = 30.0,
        memory_limit_bytes: int = 4 * 2**30,
        with_preview: bool = False,
    ) -> None:
        """Prepare a pool; nothing is started yet.

        Args:
            transform: brings pictures to the encoder's input size; ``None`` to read the text in them instead.
            thumbnails: the library that previews are written to; ``None`` writes none.
            workers: processes, at most.
            time_limit_s: seconds that a file, or a part of a video, may take to be read and decoded.
            memory_limit_bytes: address space that a process may take. It holds on Linux; elsewhere only the
                cap on pixels (`clipsearch.media.decoding.MAX_PIXELS`) bounds what a file can take.
            with_preview: give each file's preview, too.
        """
        self._settings = Settings(transform, thumbnails, time_limit_s, memory_limit_bytes, with_preview)
        self._workers = workers
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._feeders: list[_WorkerThread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process_ids(self) -> list[int]:
        """The system's ids of the processes that are alive."""
        return [feeder.process_id for feeder in self._feeders if feeder.process_id is not None]

    def read(
        self,
        files: Iterable[ScannedFile],
        *,
        wanted_from: Callable[[str], PositionsToRead],
        look_ahead: int,
        waiting: Callable[[], None] = lambda: None,
    ) -> Generator[ReadFile, None, None]:
        """Read files, and decode those whose content is not embedded yet.

        Args:
            files: taken one by one, no faster than results are.
            wanted_from: the first position that is wanted of the content with a hash, 0 for all of it, ``None`` if it
                needs no decoding; or the positions of the frames whose text is read. Called in threads, never after the
                iterator is closed. What it raises is raised here, in its turn.
            look_ahead: how many files at most are finished or under way but not asked for; bounds the memory, as no
                more than two parts of a video are kept before its turn.

            waiting: called now and then while a result is waited for; ends the wait by raising.

        Yields:
            The results in the order of the files, a video in parts. A file that takes too long or crashes its decoder
            twice is a result too, with its failure.

        Raises:
            ClipSearchError: no decoding process can be started.
        """
        ahead: deque[_Order] = deque()
        try:
            for file in files:
                ahead.append(self._order(file, wanted_from))
                if len(ahead) >= look_ahead:
                    yield from ahead[0].results(waiting)
                    ahead.popleft()
            while ahead:
                yield from ahead[0].results(waiting)
                ahead.popleft()
        finally:
            self._abandon(ahead)

    def close(self) -> None:
        """End the processes and wait until they have; iterators that are still open can give nothing more."""
        with contextlib.suppress(Empty):
            while (order := self._orders.get_nowait()) is not None:
                order.cancel()
        for feeder in self._feeders:
            self._orders.put(None)
            feeder.abandon(whatever=True)
        for feeder in self._feeders:
            feeder.thread.join()
        self._feeders.clear()

    def _order(self, file: ScannedFile, wanted_from: Callable[[str], PositionsToRead]) -> _Order:
        order = _Order(file, wanted_from)
        self._orders.put(order)
        enough = len(self._feeders) >= self._workers
        if not self._feeders or (not enough and self._orders.qsize() > _BACKLOG):
            self._feeders.append(_WorkerThread(self._settings, self._orders))
        return order

    def _abandon(self, orders: Iterable[_Order]) -> None:
        running = [order for order in orders if not order.cancel()]
        for order in running:
            order.abandoned = True
        for feeder in self._feeders:
            feeder.abandon()
        wait([order.finished for order in running])


@dataclass(eq=False)
class _Order:
    """One file to read, and where its parts go.

    Attributes:
        finished: done when nothing more goes into `parts`.
        parts: read and not yet asked for; an exception, or a part that is the last, ends them.
    """

    file: ScannedFile
    wanted_from: Callable[[str], PositionsToRead]
    finished: Future[None] = field(default_factory=Future)
    parts: Queue[ReadFile | BaseException] = field(default_factory=lambda: Queue(_PARTS_AHEAD))
    abandoned: bool = False

    def results(self, waiting: Callable[[], None]) -> Iterator[ReadFile]:
        """The parts as they come."""
        is_last = False
        while not is_last:
            try:
                part = self.parts.get(timeout=_LOOK_S)
            except Empty:
                waiting()
                continue
            if isinstance(part, BaseException):
                raise part
            yield part
            is_last = part.is_last

    def put(self, part: ReadFile | BaseException) -> None:
        """Add a part when there is room for it.

        Raises:
            CancelledError: nobody wants it any more.
        """
        while True:
            if self.abandoned:
                raise CancelledError
            with contextlib.suppress(Full):
                return self.parts.put(part, timeout=_LOOK_S)

    def cancel(self) -> bool:
        """Take the order back unless it is in work or done; whether that was possible."""
        is_cancelled = self.finished.cancel()
        if is_cancelled:
            self.parts.put(CancelledError())
        return is_cancelled


class _WorkerThread:
    """A thread that feeds one decoding process, and replaces it when it is lost."""

    def __init__(self, settings: Settings, orders: SimpleQueue[_Order | None]) -> None:
        self._settings = settings
        self._orders = orders
        self._decoder: DecoderProcess | None = None
        self._order: _Order | None = None
        self.thread = threading.Thread(target=self._run, name="decoding", daemon=True)
        self.thread.start()

    @property
    def process_id(self) -> int | None:
        """Of the process that is alive, if one is."""
        decoder = self._decoder
        return decoder.process_id if decoder is not None and decoder.is_alive else None

    def abandon(self, *, whatever: bool = False) -> None:
        """Break off the file in work, if nobody wants it any more."""
        order = self._order
        if order is None:
            return
        order.abandoned = order.abandoned or whatever
        decoder = self._decoder
        if order.abandoned and decoder is not None:
            decoder.kill()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            if order.finished.set_running_or_notify_cancel():
                self._order = order
                self._carry_out(order)
                self._order = None
        if self._decoder is not None:
            self._decoder.stop()

    def _carry_out(self, order: _Order) -> None:
        try:
            self._read(order)
        except BaseException as error:
            self._discard()  # it may still wait for an answer
            _end_with(order, error)
        order.finished.set_result(None)

    def _read(self, order: _Order) -> None:
        try:
            return self._try(order)
        except DecoderDied as lost:
            if not lost.worth_a_retry:
                return order.put(ReadFile(file=order.file, failure=lost.reason))
        # not every crash is the file's fault: the system ends processes when another one takes all memory
        try:
            self._try(order)
        except DecoderDied as lost:
            order.put(ReadFile(file=order.file, failure=lost.reason))

    def _try(self, order: _Order) -> None:
        decoder = self._get_ready(order)
        try:
            for content in decoder.read(order.file.path, order.wanted_from):
                order.put(ReadFile(file=order.file, **vars(content)))
        except DecoderDied:
            self._discard()
            raise

    def _get_ready(self, order: _Order) -> DecoderProcess:
        """The process, started if there is none; several times, if it ends before it is asked for anything."""
        attempts = 0
        while True:
            decoder = self._decoder
            if decoder is None or not decoder.is_alive:
                self._discard()
                decoder = self._decoder = DecoderProcess(self._settings)
            if order.abandoned:  # looked at after the process is in sight of `abandon`, so that one of both sees it
                raise CancelledError
            try:
                decoder.get_ready()
            except ClipSearchError:
                self._discard()
                attempts += 1
                if attempts == _START_ATTEMPTS:
                    raise
            else:
                return decoder

    def _discard(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.stop()


def _end_with(order: _Order, error: BaseException) -> None:
    """Make an exception the last thing that comes of an order, whatever room there is."""
    with contextlib.suppress(Empty):
        while True:
            order.parts.get_nowait()
    order.parts.put(error)
