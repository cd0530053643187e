"""Uploaded pictures: validated, and stored as temporary files while the server runs."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import content_hash, decode_image
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.media.thumbnails import thumbnail_jpeg

MOST_KEPT = 64
"""Maximum files of all sessions; the oldest are deleted first."""

_PREVIEW_SIDE = 96

_lock = threading.Lock()


@dataclass(frozen=True)
class Upload:
    """An uploaded picture.

    Attributes:
        path: the temporary file.
        name: the original file name; untrusted.
        preview: a small JPEG.
    """

    path: Path
    name: str
    preview: bytes

    @property
    def is_kept(self) -> bool:
        """Whether the file still exists."""
        return self.path.is_file()


def keep_upload(name: str, content: bytes) -> Upload:
    """Validate and store a picture.

    Args:
        name: the file name; its suffix identifies RAW formats.
        content: the bytes of the file.

    Raises:
        ImageReadError: the file is not a picture, is damaged or too large.
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
    """The temporary folder of the process."""
    return tempfile.TemporaryDirectory(prefix="clipsearch-")


def _folder() -> Path:
    return Path(_temporary().name)


def _drop_oldest() -> None:
    kept = sorted(_folder().iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in kept[:-MOST_KEPT]:
        path.unlink()
