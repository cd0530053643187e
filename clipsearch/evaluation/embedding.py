"""Embedding of the images and texts of an evaluation, once each."""

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
from clipsearch.retrieval.query_text import query_text
from clipsearch.system.prefetch import map_ahead

Progress = Callable[[str, int, int], None]
"""Progress callback: what is being embedded (``images``, ``captions``…), number done, total."""

Alteration = Callable[[Image.Image, str], Image.Image]
"""Alters an RGB image, given its name, before it is embedded."""

BATCH = 32
"""Images or texts per batch."""

_DECODING_THREADS = 4


@dataclass(frozen=True)
class SkippedImage:
    """An unreadable image, whose captions are skipped.

    Attributes:
        image: its name in the captions file.
        reason: short reason.
    """

    image: str
    reason: str


@dataclass(frozen=True)
class EmbeddedImages:
    """Embedded images.

    Attributes:
        names: names of the readable images.
        embeddings: float32 [images, dim], unit rows.
        skipped: the unreadable images.
        fingerprints: perceptual fingerprints, if requested (`clipsearch.media.perceptual_hash`).
        sizes: width and height in pixels after EXIF rotation, int64 [images, 2].
    """

    names: tuple[str, ...]
    embeddings: FloatMatrix
    skipped: tuple[SkippedImage, ...]
    fingerprints: tuple[bytes, ...]
    sizes: NDArray[np.int64]

    def rows(self) -> dict[str, int]:
        """Row by name."""
        return {name: row for row, name in enumerate(self.names)}


@dataclass(frozen=True)
class _Decoded:
    pixels: NDArray[np.uint8]
    fingerprint: bytes
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
    """Embed images.

    Args:
        encoder: the model.
        folder: the image folder.
        names: distinct paths relative to `folder`.
        batch_size: images per batch.
        progress: progress callback.
        what: first argument of `progress`.
        alteration: applied to each image first.
        with_fingerprints: also compute fingerprints.

    Raises:
        ConfigError: the folder is missing, the batch size is invalid, or no image can be read.
        ModelError: the model fails.
    """
    if not folder.is_dir():
        raise ConfigError(f"the image folder {folder} does not exist")
    if batch_size < 1:
        raise ConfigError(f"the batch size must be at least 1, not {batch_size}")
    min_side = encoder.transform.min_side

    def decode(name: str) -> tuple[str, _Decoded | ImageReadError]:
        try:
            decoded = load_image(folder / name, min_side=min_side)
        except ImageReadError as error:
            return name, error
        image = alteration(decoded.image, name) if alteration is not None else decoded.image
        print_ = fingerprint(decoded.image) if with_fingerprints else b""
        return name, _Decoded(encoder.transform(image), print_, (decoded.width, decoded.height))

    read: list[str] = []
    fingerprints: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    skipped: list[SkippedImage] = []
    blocks: list[FloatMatrix] = []
    images = map_ahead(decode, names, workers=_DECODING_THREADS, look_ahead=2 * batch_size)
    for start in range(0, len(names), batch_size):
        batch: list[NDArray[np.uint8]] = []
        for name, item in islice(images, batch_size):
            if isinstance(item, ImageReadError):
                skipped.append(SkippedImage(name, item.reason))
            else:
                batch.append(item.pixels)
                read.append(name)
                fingerprints.append(item.fingerprint)
                sizes.append(item.size)
        if batch:
            blocks.append(encoder.encode_pixels(np.stack(batch)))
        if progress is not None:
            progress(what, min(start + batch_size, len(names)), len(names))
    if not read:
        first = f"; {skipped[0].image}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(f"none of the {len(names)} images could be read{first}")
    return EmbeddedImages(
        names=tuple(read),
        embeddings=np.concatenate(blocks),
        skipped=tuple(skipped),
        fingerprints=tuple(fingerprints) if with_fingerprints else (),
        sizes=np.array(sizes, dtype=np.int64),
    )


def embed_texts(
    encoder: Encoder, texts: Sequence[str], *, batch_size: int = BATCH, progress: Progress | None = None
) -> FloatMatrix:
    """Embed each distinct text once, in the form in which queries are embedded; float32 [texts, dim], unit rows.

    Raises:
        ModelError: the model fails.
    """
    plain = [query_text(text) or text for text in texts]
    distinct = {text: row for row, text in enumerate(dict.fromkeys(plain))}
    ordered = list(distinct)
    blocks = []
    for start in range(0, len(ordered), batch_size):
        blocks.append(encoder.encode_texts(ordered[start : start + batch_size]))
        if progress is not None:
            progress("captions", min(start + batch_size, len(ordered)), len(ordered))
    return np.concatenate(blocks)[[distinct[text] for text in plain]]
