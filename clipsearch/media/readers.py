"""The kinds of media: what of a file of each is embedded. A new kind is a `MediaReader` in `READERS`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from clipsearch.media.cropping import cut_decoded
from clipsearch.media.decoding import decode_image
from clipsearch.media.formats import IMAGE_SUFFIXES, PICTURE, VIDEO_KINDS, VIDEO_SUFFIXES, kind_by_head
from clipsearch.media.parts import MediaHeader, MediaPart, Reading
from clipsearch.media.segments import image_segments
from clipsearch.media.tiling import tiles_of
from clipsearch.media.video.animation import ANIMATION_SUFFIXES, is_animation, read_animation
from clipsearch.media.video.reading import read_video
from clipsearch.system.optional_packages import has_extra


class MediaReader(Protocol):
    """Reads the files of one kind of media.

    Attributes:
        suffixes: lower-case endings of file names, with the dot, that indexing looks at.
        streams: whether it reads the file itself, which may be larger than memory.
    """

    suffixes: frozenset[str]
    streams: bool

    def recognizes(self, head: bytes) -> bool:
        """Whether a file that begins so is of this kind, whatever its name is; `head` has `HEAD_BYTES` or all of it."""
        ...

    def parts(self, reading: Reading) -> Iterator[MediaPart]:
        """Decode a file, part after part; the last one says so.

        Raises:
            ImageReadError: it is damaged, too large, or of no format that can be read.
        """
        ...


class ImageReader:
    """Pictures: the whole, and the tiles of long ones."""

    suffixes = frozenset(IMAGE_SUFFIXES)
    streams = False

    def recognizes(self, head: bytes) -> bool:
        """Every file may be a picture under another name: Pillow looks for itself."""
        return True

    def parts(self, reading: Reading) -> Iterator[MediaPart]:
        """See `MediaReader.parts`; a picture is one part."""
        content, transform = reading.content, reading.transform
        assert content is not None
        with reading.timed("decode"):
            decoded = decode_image(
                content, path=reading.path, min_side=transform.min_side, min_longest=reading.min_longest
            )
        with reading.timed("scale"):
            tiles = tiles_of(decoded.width, decoded.height)
            views = [transform(decoded.image), *(transform(cut_decoded(decoded, tile)) for tile in tiles)]
        header = MediaHeader(decoded.image, decoded.format, decoded.width, decoded.height, decoded.metadata)
        yield MediaPart(header, image_segments(len(views)), np.stack(views))


class AnimationReader(ImageReader):
    """GIF and WebP: videos if they are animated for more than a second, else pictures."""

    suffixes = ANIMATION_SUFFIXES

    def recognizes(self, head: bytes) -> bool:
        """GIF and WebP files by their signatures."""
        return head.startswith(b"GIF8") or head[8:12] == b"WEBP"

    def parts(self, reading: Reading) -> Iterator[MediaPart]:
        """See `MediaReader.parts`."""
        assert reading.content is not None
        return read_animation(reading) if is_animation(reading.content) else super().parts(reading)


class VideoReader:
    """Videos: a frame a second at most, as `clipsearch.media.video.sampling` chooses them."""

    suffixes = VIDEO_SUFFIXES
    streams = True

    def recognizes(self, head: bytes) -> bool:
        """Videos by the signatures of their containers."""
        return kind_by_head(head) in VIDEO_KINDS

    def parts(self, reading: Reading) -> Iterator[MediaPart]:
        """See `MediaReader.parts`."""
        return read_video(reading)


READERS: Sequence[MediaReader] = (*([VideoReader()] if has_extra("video") else []), AnimationReader(), ImageReader())
"""The kinds of media, the most particular first: pictures are what nothing else is."""

MEDIA_SUFFIXES = frozenset().union(*(reader.suffixes for reader in READERS))
"""Lower-case endings of the names of files that indexing looks at."""


def reader_by_name(path: Path) -> MediaReader | None:
    """The reader of files with a name; ``None`` if only the first bytes tell."""
    suffix = path.suffix.lower()
    return next((reader for reader in READERS if suffix in reader.suffixes), None)


def reader_of(path: Path, head: bytes) -> MediaReader:
    """The reader of a file: by its name, or else by how it begins."""
    chosen = reader_by_name(path) or next((reader for reader in READERS if reader.recognizes(head)), None)
    assert chosen is not None, "the last reader takes every file"
    return chosen


def is_readable(kind: str) -> bool:
    """Whether files of a kind of `clipsearch.media.formats.kind_by_head` are read with what is installed."""
    return kind == PICTURE or (kind in VIDEO_KINDS and has_extra("video"))
