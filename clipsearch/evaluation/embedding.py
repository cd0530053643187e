"""Pictures and texts of an evaluation, embedded once each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.media.decoding import load_image
from clipsearch.media.perceptual_hash import fingerprint
from clipsearch.models.encoder import Encoder, FloatMatrix
from clipsearch.system.prefetch import map_ahead

Progress = Callable[[str, int, int], None]
"""Told what is being embedded (``images``, ``captions``…), how many are done, and how many there are."""

Alteration = Callable[[Image.Image, str], Image.Image]
"""Changes a picture, RGB, before the model sees it; told the picture's name."""

BATCH = 32
"""Pictures or texts embedded at once."""

_DECODING_THREADS = 4


@dataclass(frozen=True)
class SkippedImage:
    """A picture that could not be read; its captions are left out.

    Attributes:
        image: its name in the captions file.
        reason: why, in a few words.
    """

    image: str
    reason: str


@dataclass(frozen=True)
class EmbeddedImages:
    """Pictures that could be read.

    Attributes:
        names: of the pictures, without the skipped ones.
        embeddings: float32 [images, dim], unit rows, one for each name.
        skipped: what could not be read.
        fingerprints: what each looks like, where `embed_images` was asked for it (`clipsearch.media.perceptual_hash`).
        sizes: int64 [images, 2], width and height as they are looked at, in pixels.
    """

    names: tuple[str, ...]
    embeddings: FloatMatrix
    skipped: tuple[SkippedImage, ...]
    fingerprints: tuple[bytes, ...]
    sizes: NDArray[np.int64]

    def rows(self) -> dict[str, int]:
        """The row of each name."""
        return {name: row for row, name in enumerate(self.names)}


@dataclass(frozen=True)
class _Decoded:
    pixels: NDArray[np.uint8]
    look: bytes
    size: tuple[int, int]


def embed_images(
    encoder: Encoder,
    folder: Path,
    names: Sequence[str],
    *,
    batch_size: int = BATCH,
    progress: Progress | None = None,
    what: str = "images",
    alteration: Alteration | None = None,
    with_fingerprints: bool = False,
) -> EmbeddedImages:
    """Embed each picture once.

    Args:
        encoder: the model.
        folder: what the names are relative to.
        names: distinct.
        batch_size: pictures embedded at once.
        progress: told how far it is.
        what: what `progress` is told.
        alteration: done to each picture first.
        with_fingerprints: whether fingerprints are made as well.

    Raises:
        ConfigError: the folder is missing, the batch size is wrong, or no picture can be read.
        ModelError: the model fails.
    """
    if not folder.is_dir():
        raise ConfigError(f"the folder of pictures {folder} does not exist")
    if batch_size < 1:
        raise ConfigError(f"the batch size must be at least 1, not {batch_size}")
    min_side = encoder.transform.min_side

    def decode(name: str) -> tuple[str, _Decoded | ImageReadError]:
        try:
            decoded = load_image(folder / name, min_side=min_side)
        except ImageReadError as error:
            return name, error
        image = alteration(decoded.image, name) if alteration is not None else decoded.image
        look = fingerprint(decoded.image) if with_fingerprints else b""
        return name, _Decoded(encoder.transform(image), look, (decoded.width, decoded.height))

    found: list[str] = []
    looks: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    skipped: list[SkippedImage] = []
    blocks: list[FloatMatrix] = []
    pictures = map_ahead(decode, names, workers=_DECODING_THREADS, look_ahead=2 * batch_size)
    for start in range(0, len(names), batch_size):
        batch: list[NDArray[np.uint8]] = []
        for name, item in islice(pictures, batch_size):
            if isinstance(item, ImageReadError):
                skipped.append(SkippedImage(name, item.reason))
            else:
                batch.append(item.pixels)
                found.append(name)
                looks.append(item.look)
                sizes.append(item.size)
        if batch:
            blocks.append(encoder.encode_pixels(np.stack(batch)))
        if progress is not None:
            progress(what, min(start + batch_size, len(names)), len(names))
    if not found:
        first = f"; {skipped[0].image}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(f"none of the {len(names)} pictures could be read{first}")
    return EmbeddedImages(
        names=tuple(found),
        embeddings=np.concatenate(blocks),
        skipped=tuple(skipped),
        fingerprints=tuple(looks) if with_fingerprints else (),
        sizes=np.array(sizes, dtype=np.int64),
    )


def embed_texts(
    encoder: Encoder, texts: Sequence[str], *, batch_size: int = BATCH, progress: Progress | None = None
) -> FloatMatrix:
    """Embed each distinct text once; float32 [texts, dim], unit rows.

    Raises:
        ModelError: the model fails.
    """
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    ordered = list(distinct)
    blocks = []
    for start in range(0, len(ordered), batch_size):
        blocks.append(encoder.encode_texts(ordered[start : start + batch_size]))
        if progress is not None:
            progress("captions", min(start + batch_size, len(ordered)), len(ordered))
    return np.concatenate(blocks)[[distinct[text] for text in texts]]
