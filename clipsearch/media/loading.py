"""Pictures of files of any kind: of a photo itself, of a video a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from clipsearch.errors import ImageReadError, QueryError
from clipsearch.media.box import Box
from clipsearch.media.cropping import cut, decode_crop
from clipsearch.media.decoding import content_hash, decode_image, read_image_bytes
from clipsearch.media.formats import HEAD_BYTES, VIDEO_KINDS, VIDEO_SUFFIXES, kind_by_head
from clipsearch.media.video.animation import animation_frame, is_animation
from clipsearch.media.video.reading import load_frame
from clipsearch.system.remote_files import open_binary, read_head, scheme_of

_BLOCK_BYTES = 2**22


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name or else by its first bytes; false if it cannot be opened."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        return not path.suffix and kind_by_head(read_head(path, HEAD_BYTES)) in VIDEO_KINDS
    except (OSError, ValueError):
        return False


def hash_file(path: Path, alive: Callable[[], None] = lambda: None) -> str:
    """`clipsearch.media.decoding.content_hash` of a file of any size, which is read block by block.

    Args:
        path: of the file.
        alive: called after each block.

    Raises:
        ImageReadError: it cannot be read, is empty, or is no regular file.
    """
    import xxhash

    digest, length = xxhash.xxh3_128(), 0
    try:
        if not path.is_file() and path.exists():
            raise ImageReadError(path, "not a regular file")  # reading a pipe would wait for ever
        with open_binary(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                length += len(block)
                alive()
    except ValueError as error:  # a NUL in the name
        raise ImageReadError(path, "no such file or directory") from error
    except OSError as error:
        raise ImageReadError(path, (error.strerror or str(error)).lower()) from error
    if not length:
        raise ImageReadError(path, "the file is empty")
    return digest.hexdigest()


@dataclass(frozen=True)
class MediaFile:
    """A file to take pictures from.

    Attributes:
        path: of the file.
        content: the whole file; ``None`` of a video, which is read as it is decoded.
    """

    path: Path
    content: bytes | None

    @cached_property
    def content_hash(self) -> str:
        """`clipsearch.media.decoding.content_hash` of its bytes; reads a video through."""
        return hash_file(self.path) if self.content is None else content_hash(self.content)

    def picture(
        self, *, at_s: float | None = None, min_side: int | None = None, min_longest: int | None = None
    ) -> Image.Image:
        """Decode the photo, or of a video its cover or the frame at a time in seconds; RGB, upright.

        Args:
            at_s: of a video, from its start.
            min_side: see `clipsearch.media.decoding.decode_image`.
            min_longest: see there.

        Raises:
            ImageReadError: it cannot be decoded.
            QueryError: a photo has no frame at a time.
        """
        if self.content is None:
            position = None if at_s is None else round(1000 * at_s)
            return load_frame(self.path, position, min_side=min_side, min_longest=min_longest)
        if at_s is not None:
            if not is_animation(self.content):
                raise QueryError("--at needs a video")
            position, path = round(1000 * at_s), self.path
            return animation_frame(self.content, position, path=path, min_side=min_side, min_longest=min_longest)
        return decode_image(self.content, path=self.path, min_side=min_side, min_longest=min_longest).image

    def part(self, box: Box, *, at_s: float | None = None, min_side: int) -> Image.Image:
        """A part of `picture`; see `clipsearch.media.cropping.decode_crop`."""
        if self.content is None or at_s is not None:
            return cut(self.picture(at_s=at_s), box)
        return decode_crop(self.content, box, path=self.path, min_side=min_side)


def open_media(path: Path) -> MediaFile:
    """Read a file, unless it is a video.

    Raises:
        ImageReadError: it cannot be read or is empty; a video is only looked for.
    """
    if not is_video(path):
        return MediaFile(path, read_image_bytes(path))
    if scheme_of(path) is None and not path.is_file():
        raise ImageReadError(path, "no such file or directory")
    return MediaFile(path, None)


def load_picture(path: Path, *, min_side: int | None = None, min_longest: int | None = None) -> Image.Image:
    """Open a file and decode its picture; see `MediaFile.picture`."""
    return open_media(path).picture(min_side=min_side, min_longest=min_longest)
