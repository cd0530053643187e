"""Embedding decoded pictures in threads, batches at once, while others are decoded and written."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import EmbedsInBatches, Encoder, EncodesPictures, FloatMatrix

SMALL_BATCH = 16
"""Smallest batch that is committed at a time: a transaction costs as much as so many of its rows."""

_ACCELERATOR_BATCH = 256
"""Batch of an encoder off the CPU that knows no better."""

_BATCHES_AHEAD = 3
"""Batches read before their turn, at most; bounds the memory."""

_Item = TypeVar("_Item")
_Job: TypeAlias = "tuple[Future[Embedded], Sequence[NDArray[np.uint8]]]"


@dataclass(frozen=True)
class BatchSizes:
    """How a run is divided into batches for an encoder.

    Attributes:
        images: embedded and committed at a time.
        at_once: batches that are embedded at a time, so that none waits for the slowest core of another.
        uncommitted: batches begun and not committed, at most: what a crash can cost.
    """

    images: int
    at_once: int
    uncommitted: int

    @property
    def look_ahead(self) -> int:
        """Files read before their turn, at most."""
        return max(96, _BATCHES_AHEAD * self.images)


def batch_sizes(encoder: Encoder) -> BatchSizes:
    """By what the encoder says of itself; on few cores never more than two batches, as large models are slow there."""
    on_cpu = encoder.device == "cpu"
    if isinstance(encoder, EmbedsInBatches):
        images, at_once = max(SMALL_BATCH, encoder.images_per_batch), encoder.batches_at_once
    else:
        images, at_once = (SMALL_BATCH if on_cpu else _ACCELERATOR_BATCH), 1
    return BatchSizes(images, at_once, uncommitted=2 if on_cpu and images == SMALL_BATCH else at_once + 1)


@dataclass(frozen=True)
class Embedded:
    """The embeddings of a batch.

    Attributes:
        views: float32 [views, dim] of each picture, unit rows.
        started: when its embedding began, in seconds of `time.perf_counter`.
        ended: when it was done.
    """

    views: list[FloatMatrix]
    started: float
    ended: float


class EmbeddingThreads:
    """Runs an encoder in threads of its own, as many as it takes batches at once."""

    def __init__(self, encoder: Encoder) -> None:
        """Bind the encoder; threads start with the first batches."""
        self._encoder = encoder
        self.sizes = batch_sizes(encoder)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[Thread] = []  # no executor, which takes nothing more once the program ends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the batches in progress; those that have not begun are canceled."""
        with contextlib.suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def start(self, pictures: Sequence[NDArray[np.uint8]]) -> Future[Embedded]:
        """Begin to embed a batch.

        Args:
            pictures: uint8 [views, height, width, 3] each; a part of a video may have no view.
        """
        if len(self._threads) < self.sizes.at_once:
            self._threads.append(Thread(target=self._run, name="embedding a batch", daemon=True))
            self._threads[-1].start()
        future: Future[Embedded] = Future()
        self._jobs.put((future, pictures))
        return future

    def ahead(
        self, blocks: Iterable[_Item], pictures_of: Callable[[_Item], Sequence[NDArray[np.uint8]]]
    ) -> Iterator[tuple[_Item, list[FloatMatrix]]]:
        """Blocks in order with the embeddings of their pictures; the next ones are embedded meanwhile."""
        begun: deque[tuple[_Item, Future[Embedded]]] = deque()
        for block in blocks:
            begun.append((block, self.start(pictures_of(block))))
            if len(begun) > self.sizes.at_once:
                first, embedding = begun.popleft()
                yield first, embedding.result().views
        for first, embedding in begun:
            yield first, embedding.result().views

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, pictures = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._embed(pictures))
                except BaseException as error:  # raised again by whoever asks for the result
                    future.set_exception(error)

    def _embed(self, pictures: Sequence[NDArray[np.uint8]]) -> Embedded:
        started = time.perf_counter()
        counts = [len(views) for views in pictures]
        if not sum(counts):
            embeddings = np.empty((0, self._encoder.dim), np.float32)
        elif isinstance(self._encoder, EncodesPictures):
            embeddings = self._encoder.encode_pictures(pictures)
        else:
            embeddings = self._encoder.encode_pixels(np.concatenate(pictures))
        views = np.split(embeddings, np.cumsum(counts[:-1])) if counts else []
        return Embedded(views, started, time.perf_counter())
