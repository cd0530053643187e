"""From files to embeddings, a batch at a time: what indexing and changing the model share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord, NewEmbedding, NewImage
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.segments import WHOLE_VIDEO
from clipsearch.models.encoder import Encoder
from clipsearch.models.video_heads import pool_frames
from clipsearch.system.cpu import available_cores
from indexer.read import FileContent
from indexer.workers import DecodingPool

_Item = TypeVar("_Item")


def decoding_pool(encoder: Encoder, *, library: Path) -> DecodingPool:
    """Processes that decode for an encoder, as many as there are cores, writing thumbnails into a library."""
    return DecodingPool(encoder.transform, thumbnails=library, workers=max(2, available_cores()))


def new_embeddings(
    store: Catalog,
    model: ModelRecord,
    files: Sequence[FileContent],
    embeddings: Iterable[NDArray[np.float32]],
    *,
    encoder: Encoder,
) -> list[NewEmbedding]:
    """What the segments of decoded files are in the catalog, and the wholes of videos whose last part is among them.

    Args:
        store: the catalog, which has the frames of earlier parts.
        model: whose embeddings.
        files: decoded.
        embeddings: float32 [segments, dim] of each.
        encoder: pools the frames of videos.
    """
    new: list[NewEmbedding] = []
    for file, views in zip(files, embeddings, strict=True):
        assert file.content_hash is not None
        new += [NewEmbedding(file.content_hash, *pair) for pair in zip(views, file.segments, strict=True)]
        if file.is_last and file.duration_ms is not None:
            frames = store.frames_of_content(file.content_hash, model.id, dim=model.dim)
            of_video = dict(zip(frames.positions.tolist(), frames.vectors.astype(np.float32), strict=True)) | {
                item.segment.position: item.embedding for item in new if item.content_hash == file.content_hash
            }
            vectors = np.stack([of_video[position] for position in sorted(of_video)])
            new.append(NewEmbedding(file.content_hash, pool_frames(encoder, vectors), WHOLE_VIDEO))
    return new


def contents_of(files: Iterable[FileContent]) -> list[NewImage]:
    """What decoded files, or parts of them, are in the catalog, each content once."""
    return list(
        {
            file.content_hash: NewImage(
                file.content_hash,
                file.width,
                file.height,
                file.format,
                file.metadata or ImageMetadata(),
                file.fingerprint,
                file.duration_ms,
                file.frame_rate,
                file.codec,
            )
            for file in files
            if file.content_hash is not None and file.is_decoded
        }.values()
    )


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
