"""What happens to one file on its way to the encoder; runs in a decoding process, see `indexer.workers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.full_text import OcrLine
from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import content_hash, read_image_bytes
from clipsearch.media.formats import HEAD_BYTES
from clipsearch.media.loading import hash_file
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.parts import MediaPart, Reading
from clipsearch.media.perceptual_hash import fingerprint
from clipsearch.media.readers import MediaReader, reader_by_name, reader_of
from clipsearch.media.segments import Segment
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_jpeg, write_thumbnail
from clipsearch.media.transform import ImageTransform
from clipsearch.system.remote_files import read_head, scheme_of
from indexer.stopwatch import Stopwatch

if TYPE_CHECKING:  # it comes with the whole store, which a decoding process has no use for
    from indexer.scan import ScannedFile

PositionsToRead: TypeAlias = int | tuple[int, ...] | None
"""The segments of a content to read: those from a position on, the frames at positions, or none."""


@dataclass(frozen=True)
class FileContent:
    """What was found in a file, or in a part of it: a video comes in several.

    Attributes:
        content_hash: of its bytes; ``None`` if they could not be read.
        pixels: uint8 [segments, height, width, 3] for the encoder; ``None`` if its content is embedded already, or
            failed.
        segments: what each of `pixels` is of.
        width: of the full picture, in pixels.
        height: in pixels, after EXIF rotation.
        format: Pillow's name of the format.
        metadata: what the file says of itself; ``None`` if it was not decoded.
        fingerprint: to know the picture again in another form; ``None`` if it was not decoded.
        lines: of text in it, where that was asked for.
        preview: a JPEG, where it was asked for; ``None`` if it was not decoded, and in all parts but the first.
        duration_ms: of a video.
        frame_rate: of a video, in frames per second, if known.
        codec: of a video.
        is_last: no more parts of the file follow.
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
    lines: tuple[OcrLine, ...] = ()
    duration_ms: int | None = None
    frame_rate: float | None = None
    codec: str | None = None
    is_last: bool = True
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


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        transform: brings the picture to the encoder's input size.
        thumbnails: the library that the preview goes to; ``None`` writes none.
        with_preview: give the preview.
    """

    transform: ImageTransform
    thumbnails: Path | None
    with_preview: bool = False


def read_content(
    path: Path,
    options: ReadOptions,
    *,
    wanted_from: Callable[[str], int | None],
    alive: Callable[[], None] = lambda: None,
) -> Iterator[FileContent]:
    """Read a file's bytes once; hash them, and decode them unless their content is embedded already.

    Args:
        path: the file.
        options: how.
        wanted_from: the first position that is wanted of the content with a hash, 0 for all of it; ``None`` if it
            needs no decoding.
        alive: called now and then while a part takes long.

    Yields:
        One part, or several of a video; a failure ends them.
    """
    watch = Stopwatch()
    try:
        reader, content, digest = _hashed(path, watch, alive)
        start_ms = wanted_from(digest)
        if start_ms is None:
            yield FileContent(digest, seconds=watch.seconds)
            return
        longest = THUMBNAIL_SIDE if options.thumbnails is not None or options.with_preview else None
        reading = Reading(path, content, options.transform, longest, start_ms, watch.time, alive)
        seen = preview = None
        for part in reader.parts(reading):
            if seen is None:
                preview, seen = _looked_at(part, digest, options, watch)
            yield _found(part, digest, seen, preview, watch.seconds)
            preview, watch.seconds = None, {}
    except ImageReadError as error:
        yield FileContent(failure=error.reason)
    except MemoryError:
        yield FileContent(failure="decoding it needs more memory than there is")


def _hashed(path: Path, watch: Stopwatch, alive: Callable[[], None]) -> tuple[MediaReader, bytes | None, str]:
    """A file's reader, its bytes unless the reader streams, and their hash."""
    reader = reader_by_name(path) or reader_of(path, _head(path))
    if reader.streams:
        with watch.time("hash"):
            return reader, None, hash_file(path, alive)
    with watch.time("read"):
        content = read_image_bytes(path)
    with watch.time("hash"):
        return reader, content, content_hash(content)


def _head(path: Path) -> bytes:
    """How a file begins; empty for what cannot be opened or is no file, which reading it says."""
    try:
        is_file = scheme_of(path) is not None or path.is_file()
        return read_head(path, HEAD_BYTES) if is_file else b""
    except (OSError, ValueError):
        return b""


def _looked_at(part: MediaPart, digest: str, options: ReadOptions, watch: Stopwatch) -> tuple[bytes | None, bytes]:
    """The preview, where it was asked for, and the fingerprint of the cover."""
    cover, preview = part.header.cover, None
    if options.thumbnails is not None:
        with watch.time("preview"):
            write_thumbnail(options.thumbnails, digest, cover)
    if options.with_preview:
        with watch.time("preview"):
            preview = thumbnail_jpeg(cover)
    with watch.time("fingerprint"):
        return preview, fingerprint(cover)


def _found(
    part: MediaPart, digest: str, seen: bytes, preview: bytes | None, seconds: Mapping[str, float]
) -> FileContent:
    header = part.header
    return FileContent(
        digest,
        part.pixels,
        part.segments,
        header.width,
        header.height,
        header.format,
        header.metadata,
        seen,
        preview,
        duration_ms=header.duration_ms,
        frame_rate=header.frame_rate,
        codec=header.codec,
        is_last=part.is_last,
        seconds=seconds,
    )
