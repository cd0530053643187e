"""The preview of a result: from the library, or made from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsearch.errors import ImageReadError
from clipsearch.media.segments import SegmentKind

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchResult


def preview_jpeg(result: SearchResult) -> bytes | None:
    """A JPEG of at most `THUMBNAIL_SIDE` pixels on its longer side; ``None`` if neither is readable.

    Of a moment in a video it is that frame.
    """
    if result.segment.kind == SegmentKind.FRAME and result.online and (frame := _made_from_file(result)) is not None:
        return frame
    if result.thumbnail is not None:
        try:
            content = result.thumbnail.read_bytes()
        except OSError:
            content = b""
        if _is_whole_jpeg(content):
            return content
    return _made_from_file(result) if result.online else None


def _is_whole_jpeg(content: bytes) -> bool:
    """Whether the start and end markers are there; a power failure can truncate a preview."""
    return content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")


def _made_from_file(result: SearchResult) -> bytes | None:
    from clipsearch.media.loading import open_media
    from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_jpeg

    try:
        return thumbnail_jpeg(open_media(result.path).picture(at_s=result.segment.at_s, min_longest=THUMBNAIL_SIDE))
    except ImageReadError:  # deleted or damaged since it was indexed
        return None
