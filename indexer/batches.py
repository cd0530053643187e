"""From files to embeddings, a batch at a time: what indexing and changing the model share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoders.base import Encoder
from clipsearch.encoders.compiled import available_cores
from indexer.workers import DecodingPool

BATCH_SIZE = 32
"""Pictures embedded and committed at a time; what a crash can cost."""

LOOK_AHEAD = 3 * BATCH_SIZE
"""Files read before their turn, at most; bounds the memory."""

_CPU_STEP = 8
"""Pictures embedded by one call on a CPU: larger ones are no faster there."""

_Item = TypeVar("_Item")


def decoding_pool(encoder: Encoder, *, library: Path) -> DecodingPool:
    """Processes that decode for an encoder, as many as there are cores, writing thumbnails into a library."""
    return DecodingPool(encoder.transform, thumbnails=library, workers=max(2, available_cores()))


def embed_in_steps(
    encoder: Encoder, pixels: Sequence[NDArray[np.uint8]], done: Callable[[int], None]
) -> Iterator[NDArray[np.float32]]:
    """Embed pictures in order, a few at a time on a CPU, so that the progress of slow models is told within a batch.

    Args:
        encoder: what embeds.
        pixels: uint8 [height, width, 3] each.
        done: told how many more are done.

    Yields:
        float32 [dim] each, unit length.
    """
    step = _CPU_STEP if encoder.device == "cpu" else max(1, len(pixels))
    for start in range(0, len(pixels), step):
        part = pixels[start : start + step]
        yield from encoder.encode_pixels(np.stack(part))
        done(len(part))


def blocks_of(items: Iterable[_Item], size: int = BATCH_SIZE) -> Iterator[list[_Item]]:
    """Items in blocks of a size; the last may be smaller."""
    block: list[_Item] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
