"""Embeddings of the pictures of a folder, without any library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import typed_path
from clipsearch.errors import ConfigError
from clipsearch.media.formats import PICTURE
from clipsearch.models.encoder import Encoder, FloatMatrix
from clipsearch.models.video_heads import pool_frames
from clipsearch.system.cpu import available_cores
from clipsearch.text import Notify
from indexer.batches import blocks_of
from indexer.embedding import EmbeddingThreads
from indexer.read import ReadFile
from indexer.scan import ScannedFile, scan
from indexer.workers import DecodingPool


def pictures_in(folder: Path, *, notify: Notify) -> list[ScannedFile]:
    """The files of a folder that may be pictures, in a stable order; of a file, itself.

    Raises:
        ConfigError: there is no such folder or file, or no picture in it.
    """
    try:
        folder = typed_path(folder).absolute()
        if folder.is_dir():
            scanned = scan(folder, on_error=lambda path, reason: notify(f"skipping {path}: {reason}"))
            files = [file for file in scanned if file.kind == PICTURE]
        else:
            seen = folder.stat()
            files = [ScannedFile(folder.parent, folder.name, seen.st_size, seen.st_mtime_ns)]
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror or error}") from error
    if not files:
        raise ConfigError(f"no pictures in {folder}")
    return files


def embed_files(
    encoder: Encoder,
    files: list[ScannedFile],
    *,
    notify: Notify,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], FloatMatrix]:
    """Embed pictures as indexing does: read in other processes, which a file may crash or hang.

    Args:
        encoder: the model.
        files: from `pictures_in`.
        notify: callback for one-line user notices: skipped files.
        progress: called with the number of files done and in all.

    Returns:
        The paths of those that could be read, and float32 [paths, dim], unit rows: of whole pictures, and of videos the
        mean of their frames.

    Raises:
        ConfigError: none could be read.
    """
    paths: list[Path] = []
    wholes: list[FloatMatrix] = []
    frames: list[FloatMatrix] = []
    done = 0
    with (
        EmbeddingThreads(encoder) as embedding,
        DecodingPool(encoder.transform, thumbnails=None, workers=max(2, available_cores())) as pool,
    ):
        read = pool.read(files, wanted_from=lambda _: 0, look_ahead=embedding.sizes.look_ahead)
        for block, embedded in embedding.ahead(blocks_of(read, embedding.sizes.images), _views):
            views = iter(embedded)
            for item in block:
                if item.pixels is not None:
                    frames.append(next(views))
                elif item.failure is not None:
                    notify(f"skipping {item.file.path}: {item.failure}")
                    frames.clear()
                if item.is_last and frames:
                    paths.append(item.file.path)
                    wholes.append(pool_frames(encoder, np.concatenate(frames)))
                    frames.clear()
            done += sum(item.is_last for item in block)
            progress(done, len(files))
    if not paths:
        raise ConfigError(f"none of {len(files):,} pictures could be read")
    return paths, np.stack(wholes)


def _views(block: Sequence[ReadFile]) -> list[NDArray[np.uint8]]:
    """Of a picture the whole, of a video all frames."""
    decoded = [(item, item.pixels) for item in block if item.pixels is not None]
    return [views if item.duration_ms is not None else views[:1] for item, views in decoded]
