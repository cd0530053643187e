"""From files to embeddings, a batch at a time: what indexing and changing the model share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import NewEmbedding
from clipsearch.models.encoder import Encoder
from clipsearch.system.cpu import available_cores
from indexer.read import FileContent
from indexer.workers import DecodingPool

CPU_BATCH_SIZE = 32
"""Pictures embedded and committed at a time on a CPU; what a crash can cost."""

_ACCELERATOR_BATCH_SIZE = 256
"""The same elsewhere: as many as `clipsearch.models.torch.encoder` gives a GPU at once."""

BLOCKS_AHEAD = 3
"""Blocks of files read before their turn, at most; bounds the memory."""

_CPU_STEP = 16
"""Pictures embedded by one call on a CPU: larger ones are no faster there."""

_Item = TypeVar("_Item")


def decoding_pool(encoder: Encoder, *, library: Path) -> DecodingPool:
    """Processes that decode for an encoder, as many as there are cores, writing thumbnails into a library."""
    return DecodingPool(encoder.transform, thumbnails=library, workers=max(2, available_cores()))


def embed_in_steps(
    encoder: Encoder, pictures: Sequence[NDArray[np.uint8]], done: Callable[[int], None]
) -> Iterator[NDArray[np.float32]]:
    """Embed pictures in order, a few at a time on a CPU, so that the progress of slow models is told within a batch.

    Args:
        encoder: what embeds.
        pictures: uint8 [views, height, width, 3] each, with one view at least.
        done: told how many more pictures are done.

    Yields:
        float32 [views, dim] each, unit rows.
    """
    step = _CPU_STEP if encoder.device == "cpu" else max(1, len(pictures))
    for start in range(0, len(pictures), step):
        together = pictures[start : start + step]
        embeddings = encoder.encode_pixels(np.concatenate(together))
        yield from np.split(embeddings, np.cumsum([len(views) for views in together[:-1]]))
        done(len(together))


def new_embeddings(file: FileContent, embeddings: NDArray[np.float32]) -> list[NewEmbedding]:
    """What the segments of a decoded file, float32 [segments, dim], are in the catalog."""
    assert file.content_hash is not None
    return [
        NewEmbedding(file.content_hash, embedding, segment)
        for segment, embedding in zip(file.segments, embeddings, strict=True)
    ]


def batch_size(encoder: Encoder) -> int:
    """How many pictures are embedded and committed at a time."""
    return CPU_BATCH_SIZE if encoder.device == "cpu" else _ACCELERATOR_BATCH_SIZE


def look_ahead(encoder: Encoder) -> int:
    """How many files are read before their turn, at most."""
    return BLOCKS_AHEAD * batch_size(encoder)


def blocks_of(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Items in blocks of a size; the last may be smaller."""
    block: list[_Item] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
