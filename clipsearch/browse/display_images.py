"""Pictures as they are shown on a screen: JPEGs with the picture's pixels and colours, and nothing else of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import decode_image
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, existing_thumbnail, thumbnail_jpeg, write_thumbnail
from clipsearch.retrieval.source_files import ContentFile, read_original

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails

VIEW_SIDE = 2048
"""Longest side of a picture that is looked at on its own, in pixels."""


@dataclass(frozen=True)
class Rendition:
    """A picture for a screen.

    Attributes:
        jpeg: the whole file.
        is_preview: it is the library's small preview, because no file of the picture can be read now.
    """

    jpeg: bytes
    is_preview: bool = False


def preview(library: Path, picture: PictureDetails) -> Rendition:
    """The library's preview of a picture; made from a file of it, and kept, where it is missing.

    Args:
        library: its directory.
        picture: that the library holds.

    Raises:
        ImageReadError: there is no preview, and no file of it can be read.
    """
    kept = _read_preview(library, picture.content_hash)
    if kept is not None:
        return Rendition(kept, is_preview=True)
    image = _decode(picture, side=THUMBNAIL_SIDE)
    write_thumbnail(library, picture.content_hash, image)
    return Rendition(thumbnail_jpeg(image), is_preview=True)


def large_view(library: Path, picture: PictureDetails, *, longest_side: int = VIEW_SIDE) -> Rendition:
    """A picture at the size of a screen, upright; its preview where no file of it can be read.

    Args:
        library: its directory.
        picture: that the library holds.
        longest_side: in pixels; never enlarged.

    Raises:
        ImageReadError: there is neither.
    """
    try:
        return Rendition(thumbnail_jpeg(_decode(picture, side=longest_side), longest_side=longest_side))
    except ImageReadError:
        kept = _read_preview(library, picture.content_hash)
        if kept is None:
            raise
        return Rendition(kept, is_preview=True)


def _decode(picture: PictureDetails, *, side: int) -> Image.Image:
    """Decode a file that still holds the picture, with the guards of indexing, at no more than is needed."""
    files = [ContentFile(file.path, picture.content_hash, file.online) for file in picture.files]
    content, path = read_original(files)
    return decode_image(content, path=path, min_longest=side).image


def _read_preview(library: Path, content_hash: str) -> bytes | None:
    path = existing_thumbnail(library, content_hash)
    try:
        return path.read_bytes() if path is not None else None
    except OSError:
        return None
