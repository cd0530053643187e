"""What happens to one file on its way to the encoder; runs in a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ImageReadError
from clipsearch.images import ImageTransform, content_hash, decode_image, read_image_bytes
from indexer.scan import ScannedFile


@dataclass(frozen=True)
class ReadFile:
    """A file after reading.

    Attributes:
        file: as it was scanned.
        content_hash: of its bytes; ``None`` if they could not be read.
        pixels: uint8 [height, width, 3] for the encoder; ``None`` if its content is embedded already, or failed.
        width: of the full picture, in pixels.
        height: likewise.
        format: Pillow's name of the format.
        failure: why it cannot be used; ``None`` if it can.
    """

    file: ScannedFile
    content_hash: str | None = None
    pixels: NDArray[np.uint8] | None = None
    width: int = 0
    height: int = 0
    format: str = ""
    failure: str | None = None


def read_file(file: ScannedFile, *, transform: ImageTransform, is_embedded: Callable[[str], bool]) -> ReadFile:
    """Read a file's bytes once; hash them, and decode them unless their content is embedded already."""
    try:
        content = read_image_bytes(file.path)
        digest = content_hash(content)
        if is_embedded(digest):
            return ReadFile(file, digest)
        decoded = decode_image(content, path=file.path, min_side=transform.min_side)
        return ReadFile(file, digest, transform(decoded.image), decoded.width, decoded.height, decoded.format)
    except ImageReadError as error:
        return ReadFile(file, failure=error.reason)
