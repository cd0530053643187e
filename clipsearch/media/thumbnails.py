"""Previews of pictures: small JPEGs in the library, named by the content they show.

They are a cache beside the catalog. A preview that is missing, because it could not be written or somebody
emptied the folder, costs the reader a look at the picture itself and nothing else.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.system import atomic

if TYPE_CHECKING:
    from PIL import Image

THUMBNAILS_NAME = "thumbnails"

THUMBNAIL_SIDE = 384
"""Longest side of a preview, in pixels: sharp in a grid of results on a high-density screen."""

_QUALITY = 80

_REDUCING_GAP = 3.0
"""Pillow's trade of speed for quality when scaling down; at 3 the result is indistinguishable from the exact one."""


def thumbnail_path(library: Path, content_hash: str) -> Path:
    """Where the preview of a content lies, whether it is there or not."""
    return Path(library, THUMBNAILS_NAME, content_hash[:2], f"{content_hash}.jpg")


def existing_thumbnail(library: Path, content_hash: str) -> Path | None:
    """Where the preview of a content lies; ``None`` if there is none."""
    path = thumbnail_path(library, content_hash)
    return path if path.exists() else None


def write_thumbnail(library: Path, content_hash: str, image: Image.Image) -> None:
    """Write the preview of a content, unless there is one.

    A preview that cannot be written (a full disk, a read-only library) is skipped silently: the picture
    can still be found, and if the disk is full, the catalog's next commit says so. Nothing is forced to the
    disk: after a power cut a preview may be missing or damaged.

    Args:
        library: its directory.
        content_hash: of the picture's file.
        image: mode RGB, upright; never enlarged.
    """
    path = thumbnail_path(library, content_hash)
    with contextlib.suppress(OSError):
        if not path.exists():
            atomic.write_bytes(path, thumbnail_jpeg(image))


def keep_thumbnail(library: Path, content_hash: str, jpeg: bytes) -> None:
    """Write a preview that was made elsewhere, as `write_thumbnail` does."""
    path = thumbnail_path(library, content_hash)
    with contextlib.suppress(OSError):
        if not path.exists():
            atomic.write_bytes(path, jpeg)


def thumbnail_jpeg(image: Image.Image, *, longest_side: int = THUMBNAIL_SIDE) -> bytes:
    """A preview as a file: a JPEG in sRGB with nothing else of the picture.

    Args:
        image: mode RGB, upright; never enlarged.
        longest_side: of the preview at most, in pixels.
    """
    from PIL import Image

    scale = min(1.0, longest_side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.HAMMING, reducing_gap=_REDUCING_GAP)
    small.info = {}  # Pillow would copy comments into the preview
    written = io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
