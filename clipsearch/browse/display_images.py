"""JPEGs for display, without the metadata of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ImageReadError
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, existing_thumbnail, thumbnail_jpeg, write_thumbnail
from clipsearch.retrieval.source_files import open_original

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails

VIEW_SIDE = 2048
"""Longest side of a large view, in pixels."""


@dataclass(frozen=True)
class Rendition:
    """A JPEG for display.

    Attributes:
        jpeg: the encoded image.
        is_preview: whether it is the library's small preview.
    """

    jpeg: bytes
    is_preview: bool = False


def preview(library: Path, picture: PictureDetails) -> Rendition:
    """See `Library.browse.preview`."""
    stored = _read_preview(library, picture.content_hash)
    if stored is not None:
        return Rendition(stored, is_preview=True)
    image = _decode(picture, side=THUMBNAIL_SIDE)
    write_thumbnail(library, picture.content_hash, image)
    return Rendition(thumbnail_jpeg(image), is_preview=True)


def large_view(library: Path, picture: PictureDetails) -> Rendition:
    """See `Library.browse.large_view`."""
    try:
        return Rendition(thumbnail_jpeg(_decode(picture, side=VIEW_SIDE), longest_side=VIEW_SIDE))
    except ImageReadError:
        stored = _read_preview(library, picture.content_hash)
        if stored is None:
            raise
        return Rendition(stored, is_preview=True)


def frame_view(picture: PictureDetails, at_s: float) -> Rendition:
    """See `Library.browse.frame`."""
    image = open_original(picture.files).picture(at_s=at_s, min_longest=THUMBNAIL_SIDE)
    return Rendition(thumbnail_jpeg(image), is_preview=True)


def _decode(picture: PictureDetails, *, side: int) -> Image.Image:
    """Decode a file of the picture, at reduced scale where the format allows."""
    return open_original(picture.files).picture(min_longest=side)


def _read_preview(library: Path, content_hash: str) -> bytes | None:
    path = existing_thumbnail(library, content_hash)
    try:
        return path.read_bytes() if path is not None else None
    except OSError:
        return None
