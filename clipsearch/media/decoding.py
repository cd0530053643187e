"""From a file's bytes to the RGB pixels an image tower takes."""

from __future__ import annotations

import io
import math
import re
import stat
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from clipsearch.errors import ImageReadError
from clipsearch.media.formats import HEAD_BYTES, PICTURE, is_raw_head, kind_by_head
from clipsearch.media.metadata.reading import read_metadata, read_raw_metadata
from clipsearch.media.metadata.strip import strip_metadata
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.pixels import to_rgb, turn_upright
from clipsearch.media.raw import RAW_SUFFIXES, NotRawError, open_raw
from clipsearch.media.tiff_pages import has_sensor_values, with_picture_first
from clipsearch.system.remote_files import read_file, scheme_of

MAX_PIXELS = 300_000_000
"""Width × height beyond which a picture is refused unread; the largest cameras and stitched panoramas fit."""

MAX_FILE_BYTES = 2**30
"""File size beyond which a file is refused unread."""

_FORMATS = [
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "DIB",
    "HEIF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "TGA",
    "ICO",
    "ICNS",
]
"""Pillow's formats that are tried, whatever the file's name: EPS, for one, would start another program."""

_PILLOW_WARNINGS = re.compile(r"PIL\.")
"""Modules whose warnings are dropped: large pictures (the cap is ours), odd EXIF: nothing a person can mend."""

_EXIF_ORIENTATION = 0x0112

_FIRST_SIDEWAYS, _LAST_ORIENTATION = 5, 8
"""EXIF orientations between these swap width and height."""


@dataclass(frozen=True)
class DecodedImage:
    """A picture ready for an encoder, and what its header said.

    Attributes:
        image: mode RGB, upright, possibly at reduced scale.
        format: Pillow's name of the format, for example ``JPEG``; of a RAW file its suffix, for example ``CR2``.
        width: of the full picture after EXIF rotation, in pixels.
        height: of the full picture, in pixels, as `width`.
        metadata: what the file says of the picture.
    """

    image: Image.Image
    format: str
    width: int
    height: int
    metadata: ImageMetadata


def read_image_bytes(path: Path, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole file.

    Raises:
        ImageReadError: it cannot be read, is empty, or is larger than `limit`.
    """
    try:
        content = read_file(path, limit=limit) if scheme_of(path) is not None else _read_local_file(path, limit)
    except ValueError as error:  # a NUL in the name
        raise ImageReadError(path, "no such file or directory") from error
    except OSError as error:
        raise ImageReadError(path, (error.strerror or str(error)).lower()) from error
    if not content:
        raise ImageReadError(path, "the file is empty")
    return content


def _read_local_file(path: Path, limit: int) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise ImageReadError(path, "not a regular file")  # reading a pipe would wait for ever
    if status.st_size > limit:
        raise ImageReadError(path, f"the file is larger than {limit // 2**20} MiB")
    return path.read_bytes()


def content_hash(content: bytes) -> str:
    """XXH3-128 of a file's bytes, 32 hex digits."""
    import xxhash

    return xxhash.xxh3_128_hexdigest(content)


def decode_image(
    content: bytes, *, path: Path | None = None, min_side: int | None = None, min_longest: int | None = None
) -> DecodedImage:
    """Decode a picture: first frame, EXIF orientation applied, alpha on white, 8-bit RGB in sRGB.

    Of a TIFF it is the largest page of full resolution.

    Args:
        content: the whole file.
        path: for the error message, and because only its name distinguishes a RAW file from a TIFF.
        min_side: what the short side will be scaled down to; lets JPEGs be decoded at the smallest DCT scale
            that leaves as much, of which embeddings show nothing (`tests/benchmarks/reduced_scale.py`: mean
            cosine 0.998 to decoding at full size). RAW files have their preview decoded.
        min_longest: the same for the long side. With neither, a picture is decoded at full size.

    Raises:
        ImageReadError: it is no picture, is damaged, or has more than `MAX_PIXELS` pixels.
    """
    _silence_pillow()
    try:
        return _decode_any(content, path, _Wanted(min_side, min_longest))
    except ImageReadError:
        raise
    except UnidentifiedImageError as error:
        kind = kind_by_head(content[:HEAD_BYTES])
        named = f" ({kind})" if kind not in ("", PICTURE) else ""
        raise ImageReadError(path, f"not a picture in a format that can be read{named}") from error
    except Image.DecompressionBombError as error:
        raise ImageReadError(path, _too_large(f"more than {2 * MAX_PIXELS // 10**6} megapixels")) from error
    except MemoryError as error:
        raise ImageReadError(path, "decoding it needs more memory than there is") from error
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise ImageReadError(path, f"damaged or truncated ({_one_line(error)})") from error


def load_image(path: Path, *, min_side: int | None = None, min_longest: int | None = None) -> DecodedImage:
    """Read and decode a file; see `decode_image`.

    Raises:
        ImageReadError: as `read_image_bytes` and `decode_image`.
    """
    return decode_image(read_image_bytes(path), path=path, min_side=min_side, min_longest=min_longest)


@dataclass(frozen=True)
class _Wanted:
    """The least size that a picture may be decoded at; ``None`` of both for its full size."""

    side: int | None
    longest: int | None

    def scale(self, width: int, height: int) -> float | None:
        """What a picture of this size may be multiplied with; may be above 1."""
        short, long = sorted((width, height))
        scales = [(self.side or 0) / short, (self.longest or 0) / long]
        return max(scales) if self.side or self.longest else None


def _decode_any(content: bytes, path: Path | None, wanted: _Wanted) -> DecodedImage:
    if _may_be_raw(content, path):
        with suppress(NotRawError):
            return _decode_raw(content, path, wanted)
    try:
        return _decode_plain(content, path, wanted)
    except (SyntaxError, ValueError, RuntimeError, struct.error, OSError):
        stripped = strip_metadata(content)  # which may be all that is wrong
        if stripped is None:
            raise
        return _decode_plain(stripped, path, wanted)


def _may_be_raw(content: bytes, path: Path | None) -> bool:
    """Whether LibRaw is to look at a file: by its name, or by its content where that has no other name."""
    if path is not None and path.suffix.lower() in RAW_SUFFIXES:
        return True
    return is_raw_head(content[:HEAD_BYTES]) or has_sensor_values(content)


def _decode_plain(content: bytes, path: Path | None, wanted: _Wanted) -> DecodedImage:
    reordered = with_picture_first(content)
    if reordered is not None:
        with suppress(SyntaxError, ValueError, RuntimeError, struct.error, OSError):  # Pillow may not know that page
            return _decode_page(reordered, content, path, wanted)
    with Image.open(io.BytesIO(content), formats=_prepare_pillow()) as opened:
        return _decode_opened(opened, content, path, wanted)


def _decode_page(reordered: bytes, content: bytes, path: Path | None, wanted: _Wanted) -> DecodedImage:
    """A page of a TIFF, with what the first one says of all of them."""
    with Image.open(io.BytesIO(content), formats=["TIFF"]) as first:
        metadata, orientation = read_metadata(first), _orientation(first)
    with Image.open(io.BytesIO(reordered), formats=["TIFF"]) as opened:
        is_turned = _EXIF_ORIENTATION in opened.getexif()
        decoded = _decode_opened(opened, reordered, path, wanted)
    decoded = replace(decoded, metadata=metadata)
    if is_turned or orientation == 1:
        return decoded
    sides = (decoded.width, decoded.height)
    width, height = sides[::-1] if orientation >= _FIRST_SIDEWAYS else sides
    return replace(decoded, image=turn_upright(decoded.image, orientation), width=width, height=height)


def _decode_opened(opened: Image.Image, content: bytes, path: Path | None, wanted: _Wanted) -> DecodedImage:
    width, height = opened.size
    image_format = opened.format or "?"
    metadata = read_metadata(opened)
    scaled_size = _load_scaled(opened, path, wanted)
    if image_format == "PNG":  # its metadata may come after its pixels, while a TIFF is closed by now
        metadata = read_metadata(opened)
    if opened.size != scaled_size:  # some formats turn upright themselves, and then drop the orientation
        width, height = opened.size
    orientation = _orientation(opened)
    if orientation >= _FIRST_SIDEWAYS:
        width, height = height, width
    image = turn_upright(to_rgb(opened, content=content), orientation)
    return DecodedImage(image, image_format, width, height, metadata)


def _decode_raw(content: bytes, path: Path | None, wanted: _Wanted) -> DecodedImage:
    raw = open_raw(content, path=path, min_side=wanted.side or wanted.longest, max_pixels=MAX_PIXELS)
    with raw.picture as picture:
        metadata = read_raw_metadata(content) or read_metadata(raw.preview or picture)
        if metadata.orientation is None:
            metadata = replace(metadata, orientation=raw.stored_orientation)
        _load_scaled(picture, path, wanted)
        image = turn_upright(to_rgb(picture), raw.orientation)
    suffix = path.suffix.lower() if path is not None else ""
    image_format = suffix[1:].upper() if suffix in RAW_SUFFIXES else "RAW"
    return DecodedImage(image, image_format, raw.width, raw.height, metadata)


def _load_scaled(opened: Image.Image, path: Path | None, wanted: _Wanted) -> tuple[int, int]:
    """Decode the pixels, a JPEG's at a reduced scale; returns the size that was to be expected."""
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise ImageReadError(path, _too_large(f"{width}×{height} pixels"))
    scale = wanted.scale(width, height)
    if scale is not None and opened.format in ("JPEG", "MPO"):
        opened.draft("RGB", (max(1, math.ceil(width * scale)), max(1, math.ceil(height * scale))))
    scaled_size = opened.size
    opened.load()
    return scaled_size


def _orientation(opened: Image.Image) -> int:
    """EXIF orientation, 1–8; 1 where there is none or the EXIF data is damaged, which spoils no picture."""
    try:
        orientation = opened.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # Pillow raises almost anything here
        return 1
    return orientation if isinstance(orientation, int) and orientation <= _LAST_ORIENTATION else 1


@cache
def _prepare_pillow() -> list[str]:
    """Register HEIC, set the pixel limit, and name the formats that this Pillow can read."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    # Pillow refuses pictures of twice this many pixels; the exact cap is checked after opening
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _silence_pillow() -> None:
    """Drop Pillow's warnings for good.

    `warnings.catch_warnings` would not do: it is not safe in threads, and pictures are decoded in several.
    """
    if ("ignore", None, Warning, _PILLOW_WARNINGS, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW_WARNINGS.pattern)


def _too_large(what: str) -> str:
    return f"too large ({what}; at most {MAX_PIXELS // 10**6} megapixels are read)"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
