"""Image batches on their way through a device: collected in reused memory, several in flight."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray

_MEASURED_BATCHES = (64, 128, 256)
"""Sizes tried on CUDA, ascending."""

_WORTH_IT = 1.05
"""By how much a batch of twice the size has to be faster."""


class ImageBatches:
    """Runs an image tower over batches. Thread-safe: each of several threads has a batch in flight.

    On CUDA each batch in flight has page-locked memory, where pictures are collected and from where they are copied
    asynchronously, and a stream of its own, so that one is copied while another one is computed.
    """

    def __init__(self, tower: Callable[[torch.Tensor], torch.Tensor], device: torch.device, *, in_flight: int) -> None:
        """Prepare; no memory is taken yet.

        Args:
            tower: from pixels uint8 [n, height, width, 3] on the device to embeddings.
            device: where it runs.
            in_flight: batches at a time; further threads wait.
        """
        self._tower = tower
        self._device = device
        self._slots: SimpleQueue[_Slot] = SimpleQueue()
        for _ in range(in_flight):
            self._slots.put(_Slot(device))

    def embed(self, pictures: Sequence[NDArray[np.uint8]], start: int, count: int) -> NDArray[np.float32]:
        """Embed the images from `start` on, at most `count`, not normalized.

        Args:
            pictures: uint8 [views, height, width, 3] each.
            start: the first image, counted over all views.
            count: images of the batch.

        Returns:
            float32 [n, dim].

        Raises:
            torch.OutOfMemoryError: the batch is too large; its slot can be used again.
        """
        slot = self._slots.get()
        try:
            count = min(count, sum(map(len, pictures)) - start)
            pixels = slot.collect(_rows(pictures, start, count), count, pictures[0].shape[1:])
            return self._run(slot, pixels)
        finally:
            self._slots.put(slot)

    def best_batch(self, size: tuple[int, int]) -> int:
        """Measure which batch is best for images of a height and a width."""

        def rate(count: int) -> float:
            pixels = np.zeros((count, *size, 3), np.uint8)
            self.embed([pixels], 0, count)  # libraries choose their kernels at the first run of a shape
            started = time.perf_counter()
            self.embed([pixels], 0, count)
            return count / (time.perf_counter() - started)

        return best_of(_MEASURED_BATCHES, rate)

    def _run(self, slot: _Slot, pixels: torch.Tensor) -> NDArray[np.float32]:
        with torch.cuda.stream(slot.stream) if slot.stream is not None else contextlib.nullcontext():
            embeddings = self._tower(pixels.to(self._device, non_blocking=slot.stream is not None))
            rows: NDArray[np.float32] = embeddings.float().cpu().numpy()  # waits for this stream alone
        return rows


class _Slot:
    """The memory and the stream of a batch in flight."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._memory: torch.Tensor | None = None
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def collect(self, rows: Iterator[NDArray[np.uint8]], count: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Images one after the other in this slot's memory, uint8 [n, height, width, 3]."""
        memory = self._memory
        if memory is None or len(memory) < count or memory.shape[1:] != shape:
            pinned = self._device.type == "cuda"
            self._memory = memory = torch.empty((count, *shape), dtype=torch.uint8, pin_memory=pinned)
        target, filled = memory.numpy(), 0
        for views in rows:
            target[filled : filled + len(views)] = views
            filled += len(views)
        return memory[:filled]


def best_of(sizes: Sequence[int], rate: Callable[[int], float]) -> int:
    """The largest of ascending sizes that is notably faster than the one before.

    Args:
        sizes: to try.
        rate: measures images per second; `torch.OutOfMemoryError` ends the trials.
    """
    best = sizes[0]
    fastest = 0.0
    for size in sizes:
        try:
            images_per_s = rate(size)
        except torch.OutOfMemoryError:
            break
        if images_per_s < fastest * _WORTH_IT:
            break
        best, fastest = size, images_per_s
    return best


def _rows(pictures: Sequence[NDArray[np.uint8]], start: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """The images from `start` to `start + count`, in pieces."""
    first, last = start, start + count
    for views in pictures:
        if first < len(views) and last > 0:
            yield views[max(0, first) : last]
        first, last = first - len(views), last - len(views)
