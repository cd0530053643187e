"""Cameras' RAW files: the preview they carry, or the sensor's own values where there is none."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ImageReadError

if TYPE_CHECKING:
    import rawpy
    from PIL import Image

# fmt: off
RAW_SUFFIXES = frozenset(
    {
        ".arw", ".cr2", ".cr3", ".nef", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw", ".crw", ".nrw", ".sr2", ".srf",
        ".3fr", ".fff", ".iiq", ".mos", ".mef", ".erf", ".kdc", ".dcr", ".mrw", ".rwl", ".x3f", ".gpr", ".raw",
    }
)
# fmt: on
"""Lower-case endings of RAW files. Most are TIFF at heart and look like one."""

_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""LibRaw's ``flip`` (bits: mirror left–right, top–bottom, transpose) as EXIF orientation."""

_TRANSPOSED = 4

_FULL_SIZE_SIDE = 1024
"""Short side of a preview that stands for the picture where no wanted size is given."""


@dataclass(frozen=True)
class RawPicture:
    """What is worth decoding of a RAW file.

    Attributes:
        picture: the preview, opened but not loaded, or the developed picture.
        preview: the preview even where it is too small to be the picture; its EXIF may be all there is.
        orientation: EXIF orientation that makes it upright.
        stored_orientation: EXIF orientation of the RAW file itself.
        width: of the full picture, upright, in pixels.
        height: of the full picture, upright, in pixels.
    """

    picture: Image.Image
    preview: Image.Image | None
    orientation: int
    stored_orientation: int
    width: int
    height: int


class NotRawError(Exception):
    """LibRaw does not know the file; it may still be a plain picture under a RAW file's name."""


def open_raw(content: bytes, *, path: Path | None, min_side: int | None, max_pixels: int) -> RawPicture:
    """Open a RAW file's largest preview, or develop it at half size where it has none that is large enough.

    Args:
        content: the whole file.
        path: for the error message only.
        min_side: what the short side will be scaled down to; ``None`` for as large as the preview goes.
        max_pixels: of the full picture; more are refused.

    Raises:
        NotRawError: LibRaw does not know the file.
        ImageReadError: it is too large, or damaged beyond its header.
    """
    import rawpy
    from PIL import Image

    try:
        raw = rawpy.imread(io.BytesIO(content))
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawIOError) as error:
        raise NotRawError from error
    except rawpy.LibRawError as error:
        raise _damaged(error, path) from error
    with raw:
        sizes = raw.sizes
        if sizes.width * sizes.height > max_pixels:
            raise ImageReadError(path, f"too large ({sizes.width}×{sizes.height} pixels)")
        stored = _ORIENTATIONS.get(sizes.flip, 1)
        upright = (sizes.height, sizes.width) if sizes.flip & _TRANSPOSED else (sizes.width, sizes.height)
        preview = _preview(raw)  # before any unpacking, after which rawpy lets go of the bytes that LibRaw reads
        if preview is None or not _large_enough(preview, sizes, min_side):
            try:
                developed = Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
                return RawPicture(developed, preview, 1, stored, *upright)  # LibRaw has turned it
            except rawpy.LibRawError as error:
                if preview is None:
                    raise _damaged(error, path) from error
        return RawPicture(preview, preview, _preview_orientation(preview, sizes, stored), stored, *upright)


def _preview(raw: rawpy.RawPy) -> Image.Image | None:
    """The largest preview; ``None`` where there is none, or none that can be read."""
    import rawpy
    from PIL import Image

    try:
        preview = raw.extract_thumb()
        if isinstance(preview.data, bytes):
            return Image.open(io.BytesIO(preview.data), formats=["JPEG", "MPO"])
        return Image.fromarray(preview.data.squeeze())
    except (rawpy.LibRawError, OSError, TypeError, ValueError):
        return None


def _large_enough(picture: Image.Image, sizes: rawpy.ImageSizes, min_side: int | None) -> bool:
    """Whether developing at half size would give nothing that is of use beyond the preview."""
    return min(picture.size) >= min(min_side or _FULL_SIZE_SIDE, min(sizes.width, sizes.height) // 2)


def _preview_orientation(picture: Image.Image, sizes: rawpy.ImageSizes, stored: int) -> int:
    """The preview's own EXIF orientation, else the RAW file's: cameras store both as the sensor saw them.

    LibRaw gives a preview without EXIF some of its own, with the RAW file's orientation. A preview that stands
    where the sensor lies has been turned already, whatever it says.
    """
    if sizes.flip & _TRANSPOSED and (picture.width < picture.height) != (sizes.width < sizes.height):
        return 1
    try:
        orientation = picture.getexif().get(0x0112)
    except Exception:  # Pillow raises almost anything on damaged EXIF
        orientation = None
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else stored


def _damaged(error: rawpy.LibRawError, path: Path | None) -> Exception:
    import rawpy

    if isinstance(error, rawpy.LibRawUnsufficientMemoryError):
        return MemoryError()
    text = error.args[0] if error.args else ""
    reason = text.decode("ascii", errors="replace") if isinstance(text, bytes) else str(text)
    return ImageReadError(path, f"damaged or truncated ({reason})")
