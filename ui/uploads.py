"""Pictures that people hand to the page: checked, and kept as files while the server runs."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import IMAGE_SUFFIXES, content_hash, decode_image
from clipsearch.media.thumbnails import thumbnail_jpeg

MOST_KEPT = 64
"""Files at once, of all sessions together; the oldest go first."""

_PREVIEW_SIDE = 96

_lock = threading.Lock()


@dataclass(frozen=True)
class Upload:
    """A picture to search with.

    Attributes:
        path: where it is kept.
        name: that it came with; anything at all.
        preview: a small JPEG.
    """

    path: Path
    name: str
    preview: bytes

    @property
    def is_kept(self) -> bool:
        """Whether it has not made room for others."""
        return self.path.is_file()


def keep_upload(name: str, content: bytes) -> Upload:
    """Decode a picture with the guards of indexing, and keep its bytes.

    Args:
        name: of the file; its ending tells RAW formats apart.
        content: all of it.

    Raises:
        ImageReadError: it is no picture, is damaged, or is too large.
    """
    if not content:
        raise ImageReadError(None, "the file is empty")
    suffix = Path(name).suffix.lower()
    path = _folder() / f"{content_hash(content)}{suffix if suffix in IMAGE_SUFFIXES else ''}"
    image = decode_image(content, path=Path(path.name), min_side=_PREVIEW_SIDE).image
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    with _lock:
        path.write_bytes(content)
        _drop_oldest()
    return Upload(path, name, thumbnail_jpeg(image))


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Of the process, and gone with it."""
    return tempfile.TemporaryDirectory(prefix="clipsearch-")


def _folder() -> Path:
    return Path(_temporary().name)


def _drop_oldest() -> None:
    kept = sorted(_folder().iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in kept[:-MOST_KEPT]:
        path.unlink()
