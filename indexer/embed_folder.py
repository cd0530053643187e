"""Embeddings of the pictures of a folder, without any library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from clipsearch.errors import ConfigError
from clipsearch.models.encoder import Encoder, FloatMatrix
from clipsearch.system.cpu import available_cores
from indexer.batches import batch_size, blocks_of, look_ahead
from indexer.scan import ScannedFile, scan
from indexer.workers import DecodingPool


def pictures_in(folder: Path, *, notify: Callable[[str], None]) -> list[ScannedFile]:
    """The files of a folder that may be pictures, in a stable order; of a file, itself.

    Raises:
        ConfigError: there is no such folder or file, or no picture in it.
    """
    try:
        folder = folder.expanduser().absolute()
        if folder.is_dir():
            files = list(scan(folder, on_error=lambda path, reason: notify(f"skipping {path}: {reason}")))
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
    notify: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], FloatMatrix]:
    """Embed pictures as indexing does: read in other processes, which a file may crash or hang.

    Args:
        encoder: the model.
        files: as `pictures_in` gives them.
        notify: told of each file that is skipped, in one line.
        progress: told how many files are done, and of how many.

    Returns:
        The paths of those that could be read, and float32 [paths, dim], unit rows: of whole pictures only.

    Raises:
        ConfigError: none could be read.
    """
    paths: list[Path] = []
    blocks: list[FloatMatrix] = []
    done = 0
    with DecodingPool(encoder.transform, thumbnails=None, workers=max(2, available_cores())) as pool:
        read = pool.read(files, is_embedded=lambda _: False, look_ahead=look_ahead(encoder))
        for block in blocks_of(read, batch_size(encoder)):
            for item in block:
                if item.pixels is None:
                    notify(f"skipping {item.file.path}: {item.failure}")
            wholes = [(item.file.path, item.pixels[0]) for item in block if item.pixels is not None]
            if wholes:
                paths += [path for path, _ in wholes]
                blocks.append(encoder.encode_pixels(np.stack([pixels for _, pixels in wholes])))
            done += len(block)
            progress(done, len(files))
    if not paths:
        raise ConfigError(f"none of {len(files):,} pictures could be read")
    return paths, np.concatenate(blocks)
