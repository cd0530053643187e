"""From a file's bytes to the RGB pixels an image tower takes."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from clipsearch.errors import ImageReadError

if TYPE_CHECKING:
    from clipsearch.encoders.manifest import ImageSpec

# fmt: off
IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif",
        ".tiff", ".bmp", ".dib", ".heic", ".heif", ".hif", ".avif", ".jp2",
        ".j2k", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".ico",
        ".mpo",
    }
)
# fmt: on
"""Lower-case file name endings that indexing looks at; everything else is not a picture."""

MAX_PIXELS = 300_000_000
"""Width × height beyond which a picture is refused unread; the largest cameras and stitched panoramas fit."""

MAX_FILE_BYTES = 2**30
"""File size beyond which a file is refused unread."""

_DRAFT_FACTOR = 2
"""JPEGs are decoded at the smallest DCT scale that still leaves this multiple of the wanted size."""

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class DecodedImage:
    """A picture ready for an encoder, and what its header said.

    Attributes:
        image: mode RGB, upright, possibly at reduced scale.
        format: Pillow's name of the format, for example ``JPEG``.
        width: of the full picture as it is looked at (after EXIF orientation), in pixels.
        height: likewise.
    """

    image: Image.Image
    format: str
    width: int
    height: int


def read_image_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        ImageReadError: it cannot be read, is empty, or is larger than `MAX_FILE_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ImageReadError(path, f"the file is larger than {MAX_FILE_BYTES // 2**20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise ImageReadError(path, (error.strerror or str(error)).lower()) from error
    if not content:
        raise ImageReadError(path, "the file is empty")
    return content


def content_hash(content: bytes) -> str:
    """XXH3-128 of a file's bytes, 32 hex digits."""
    import xxhash

    return xxhash.xxh3_128_hexdigest(content)


def decode_image(content: bytes, *, path: Path | None = None, min_side: int | None = None) -> DecodedImage:
    """Decode a picture: first frame, EXIF orientation applied, alpha on white, 8-bit RGB.

    Args:
        content: the whole file.
        path: for the error message only.
        min_side: what the short side will be scaled down to; lets JPEGs be decoded at a reduced DCT scale
            of at least twice that. ``None`` decodes at full size.

    Raises:
        ImageReadError: it is no picture, is damaged, or has more than `MAX_PIXELS` pixels.
    """
    _register_heif()
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures (the cap below is ours) and of odd EXIF, which a person cannot mend
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as opened:
                return _decode_opened(opened, path, min_side)
    except ImageReadError:
        raise
    except UnidentifiedImageError as error:
        raise ImageReadError(path, "not a picture in a format that can be read") from error
    except Image.DecompressionBombError as error:
        raise ImageReadError(path, _too_large("more than twice Pillow's limit")) from error
    except MemoryError as error:
        raise ImageReadError(path, "decoding it needs more memory than there is") from error
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise ImageReadError(path, f"damaged or truncated ({_one_line(error)})") from error


def load_image(path: Path, *, min_side: int | None = None) -> DecodedImage:
    """Read and decode a file; see `decode_image`.

    Raises:
        ImageReadError: as `read_image_bytes` and `decode_image`.
    """
    return decode_image(read_image_bytes(path), path=path, min_side=min_side)


def _decode_opened(opened: Image.Image, path: Path | None, min_side: int | None) -> DecodedImage:
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise ImageReadError(path, _too_large(f"{width}×{height} pixels"))
    image_format = opened.format or "?"
    orientation = opened.getexif().get(0x0112, 1)
    if min_side is not None and image_format in ("JPEG", "MPO"):
        scale = _DRAFT_FACTOR * min_side / min(width, height)
        opened.draft("RGB", (max(1, int(width * scale)), max(1, int(height * scale))))
    opened.load()
    upright = ImageOps.exif_transpose(opened)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return DecodedImage(_to_rgb(upright), image_format, width, height)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Flatten any mode to 8-bit RGB; transparent parts become white."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _sixteen_bit_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _sixteen_bit_to_rgb(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float greys to 8 bits.

    16-bit files use the whole range by convention. 32-bit and float ones do not say what white is, so that
    their own minimum and maximum become black and white unless they fit a known range.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = 0.0, 65535.0
    if not image.mode.startswith("I;16") and (values.min() < 0 or values.max() > 65535 or image.mode == "F"):
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    # Pillow refuses pictures of twice this many pixels; the exact cap is checked after opening
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def _too_large(what: str) -> str:
    return f"too large ({what}; at most {MAX_PIXELS // 10**6} megapixels are read)"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@dataclass(frozen=True)
class ImageTransform:
    """Brings a picture to an image tower's input size, exactly as open_clip's preprocessing does.

    Source: open_clip 3, `transform.py` (`image_transform_v2`), torchvision's `Resize` and `CenterCrop` on
    Pillow images.
    """

    spec: ImageSpec

    @property
    def min_side(self) -> int:
        """What the short side of a picture is scaled to, in pixels; for `decode_image`."""
        return max(self.spec.size)

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize, then crop or pad.

        Args:
            image: mode RGB, any size.

        Returns:
            uint8 [height, width, 3].
        """
        image = image if image.mode == "RGB" else _to_rgb(image)
        height, width = self.spec.size
        filter_ = _RESAMPLING[self.spec.interpolation]
        if self.spec.resize_mode == "squash":
            return np.asarray(image.resize((width, height), filter_), dtype=np.uint8)
        if self.spec.resize_mode == "longest":
            return self._longest(image, filter_)
        return self._shortest(image, filter_)

    def _shortest(self, image: Image.Image, filter_: Image.Resampling) -> NDArray[np.uint8]:
        height, width = self.spec.size
        if height == width:
            short, long = sorted(image.size)
            scaled = int(height * long / short)
            size = (height, scaled) if image.width <= image.height else (scaled, height)
        else:
            scale = max(height / image.height, width / image.width)
            size = (round(image.width * scale), round(image.height * scale))
        resized = image if image.size == size else image.resize(size, filter_)
        left, top = round((resized.width - width) / 2.0), round((resized.height - height) / 2.0)
        return np.asarray(resized.crop((left, top, left + width, top + height)), dtype=np.uint8)

    def _longest(self, image: Image.Image, filter_: Image.Resampling) -> NDArray[np.uint8]:
        height, width = self.spec.size
        scale = min(height / image.height, width / image.width)
        size = (round(image.width * scale), round(image.height * scale))
        resized = image.resize((max(1, size[0]), max(1, size[1])), filter_)
        canvas = Image.new("RGB", (width, height), (self.spec.fill_color,) * 3)
        canvas.paste(resized, ((width - resized.width) // 2, (height - resized.height) // 2))
        return np.asarray(canvas, dtype=np.uint8)
