"""The kinds of media: what of a file of each is embedded. A new kind is a `MediaReader` in `READERS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.media.cropping import cut_decoded
from clipsearch.media.decoding import IMAGE_SUFFIXES, decode_image
from clipsearch.media.metadata.reading import ImageMetadata
from clipsearch.media.segments import Segment, image_segments
from clipsearch.media.tiling import tiles_of
from clipsearch.media.transform import ImageTransform

Timed: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Measures how long a stage takes, by its name."""


@dataclass(frozen=True)
class MediaContent:
    """What a reader makes of a file.

    Attributes:
        segments: what is to be embedded; the first one is the whole.
        pixels: uint8 [segments, height, width, 3], as the encoder takes them.
        cover: what previews and fingerprints are made from, mode RGB, upright.
        format: short name of the format, for example ``JPEG``.
        width: of the full picture after EXIF rotation, in pixels.
        height: likewise.
        metadata: what the file says of itself.
    """

    segments: tuple[Segment, ...]
    pixels: NDArray[np.uint8]
    cover: Image.Image
    format: str
    width: int
    height: int
    metadata: ImageMetadata


class MediaReader(Protocol):
    """Reads the files of one kind of media.

    Attributes:
        suffixes: lower-case endings of file names, with the dot, that indexing looks at.
    """

    suffixes: frozenset[str]

    def recognizes(self, head: bytes) -> bool:
        """Whether a file that begins so is of this kind, whatever its name is; `head` has `HEAD_BYTES` or all of it."""
        ...

    def read(
        self, content: bytes, *, path: Path, transform: ImageTransform, min_longest: int | None, timed: Timed
    ) -> MediaContent:
        """Decode a file.

        Args:
            content: the whole file.
            path: for the error message, and where only the name tells formats apart.
            transform: brings pictures to the encoder's input size.
            min_longest: what the long side of the cover will be scaled down to.
            timed: measures the stages ``decode`` and ``scale``.

        Raises:
            ImageReadError: it is damaged, too large, or of no format that can be read.
        """
        ...


class ImageReader:
    """Pictures: the whole, and the tiles of long ones."""

    suffixes = frozenset(IMAGE_SUFFIXES)

    def recognizes(self, head: bytes) -> bool:
        """Every file may be a picture under another name: Pillow looks for itself."""
        return True

    def read(
        self, content: bytes, *, path: Path, transform: ImageTransform, min_longest: int | None, timed: Timed
    ) -> MediaContent:
        """See `MediaReader.read`."""
        with timed("decode"):
            decoded = decode_image(content, path=path, min_side=transform.min_side, min_longest=min_longest)
        with timed("scale"):
            tiles = tiles_of(decoded.width, decoded.height)
            views = [transform(decoded.image), *(transform(cut_decoded(decoded, tile)) for tile in tiles)]
        return MediaContent(
            image_segments(len(views)),
            np.stack(views),
            decoded.image,
            decoded.format,
            decoded.width,
            decoded.height,
            decoded.metadata,
        )


HEAD_BYTES = 64
"""Of a file's beginning, what `MediaReader.recognizes` is given."""

READERS: Sequence[MediaReader] = (ImageReader(),)
"""The kinds of media, the most particular first: pictures are what nothing else is."""

MEDIA_SUFFIXES = frozenset().union(*(reader.suffixes for reader in READERS))
"""Lower-case endings of the names of files that indexing looks at."""


def reader_of(path: Path, content: bytes) -> MediaReader:
    """The reader of a file: by its name, or else by how it begins."""
    suffix = path.suffix.lower()
    by_name = (reader for reader in READERS if suffix in reader.suffixes)
    by_head = (reader for reader in READERS if reader.recognizes(content[:HEAD_BYTES]))
    found = next(by_name, None) or next(by_head, None)
    assert found is not None, "the last reader takes every file"
    return found
