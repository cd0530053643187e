"""The small JPEG that stands for a result: the library's preview, or one made from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsearch.errors import ImageReadError

if TYPE_CHECKING:
    from clipsearch.library import SearchResult


def preview_jpeg(result: SearchResult) -> bytes | None:
    """A preview of a result, at most `THUMBNAIL_SIDE` pixels on its longer side; ``None`` if there can be none."""
    if result.thumbnail is not None:
        try:
            content = result.thumbnail.read_bytes()
        except OSError:
            content = b""
        if _is_whole_jpeg(content):
            return content
    return _made_from_file(result) if result.online else None


def _is_whole_jpeg(content: bytes) -> bool:
    """Whether it begins and ends as a JPEG does: after a power cut a preview may be cut off."""
    return content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")


def _made_from_file(result: SearchResult) -> bytes | None:
    from clipsearch.media.decoding import load_image
    from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_jpeg

    try:
        return thumbnail_jpeg(load_image(result.path, min_longest=THUMBNAIL_SIDE).image)
    except ImageReadError:  # gone or damaged since it was indexed; the result is shown without a picture
        return None
