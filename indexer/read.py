"""What happens to one file on its way to the encoder; runs in a decoding process, see `indexer.workers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import content_hash, read_image_bytes
from clipsearch.media.metadata.reading import ImageMetadata
from clipsearch.media.perceptual_hash import fingerprint
from clipsearch.media.readers import reader_of
from clipsearch.media.segments import Segment
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_jpeg, write_thumbnail
from clipsearch.media.transform import ImageTransform
from indexer.stopwatch import Stopwatch

if TYPE_CHECKING:  # it comes with the whole store, which a decoding process has no use for
    from indexer.scan import ScannedFile


@dataclass(frozen=True)
class FileContent:
    """What was found in a file.

    Attributes:
        content_hash: of its bytes; ``None`` if they could not be read.
        pixels: uint8 [segments, height, width, 3] for the encoder; ``None`` if its content is embedded already, or
            failed.
        segments: what each of `pixels` is of.
        width: of the full picture, in pixels.
        height: likewise.
        format: Pillow's name of the format.
        metadata: what the file says of itself; ``None`` if it was not decoded.
        fingerprint: to know the picture again in another form; ``None`` if it was not decoded.
        preview: a JPEG, where it was asked for; ``None`` if it was not decoded.
        failure: why it cannot be used; ``None`` if it can.
        seconds: that each stage of it took.
    """

    content_hash: str | None = None
    pixels: NDArray[np.uint8] | None = None
    segments: tuple[Segment, ...] = ()
    width: int = 0
    height: int = 0
    format: str = ""
    metadata: ImageMetadata | None = None
    fingerprint: bytes | None = None
    preview: bytes | None = None
    failure: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_decoded(self) -> bool:
        """Whether there is something to embed."""
        return self.pixels is not None


@dataclass(frozen=True, kw_only=True)
class ReadFile(FileContent):
    """A file after reading.

    Attributes:
        file: as it was scanned.
    """

    file: ScannedFile


def read_content(
    path: Path,
    *,
    transform: ImageTransform,
    is_embedded: Callable[[str], bool],
    thumbnails: Path | None,
    with_preview: bool = False,
) -> FileContent:
    """Read a file's bytes once; hash them, and decode them unless their content is embedded already.

    Args:
        path: the file.
        transform: brings the picture to the encoder's input size.
        is_embedded: whether the content with a hash needs no decoding.
        thumbnails: the library that the preview goes to; ``None`` writes none.
        with_preview: give the preview.
    """
    longest = THUMBNAIL_SIDE if thumbnails is not None or with_preview else None
    preview = None
    watch = Stopwatch()
    try:
        with watch.time("read"):
            content = read_image_bytes(path)
        with watch.time("hash"):
            digest = content_hash(content)
        if is_embedded(digest):
            return FileContent(digest, seconds=watch.seconds)
        media = reader_of(path, content).read(
            content, path=path, transform=transform, min_longest=longest, timed=watch.time
        )
        if thumbnails is not None:
            with watch.time("preview"):
                write_thumbnail(thumbnails, digest, media.cover)
        if with_preview:
            with watch.time("preview"):
                preview = thumbnail_jpeg(media.cover)
        with watch.time("fingerprint"):
            seen = fingerprint(media.cover)
    except ImageReadError as error:
        return FileContent(failure=error.reason)
    except MemoryError:
        return FileContent(failure="decoding it needs more memory than there is")
    return FileContent(
        digest,
        media.pixels,
        media.segments,
        media.width,
        media.height,
        media.format,
        media.metadata,
        seen,
        preview,
        seconds=watch.seconds,
    )
