"""JPEGs like those of cameras: as large, as hard to decode, with EXIF, and each of them another content.

Photographs that come with scikit-image are cropped, turned, enlarged and given grain until they weigh as many bytes
a pixel as a camera's. A few pictures of each size are encoded; further files are these with other EXIF data: other
contents to every program that hashes files, at the cost of a copy.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SOURCES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "hubble_deep_field.jpg", "color.png")
DISTINCT = 24
QUALITY = 90
VERSION = 1
"""Part of the names of folders; to be raised when other photos are made."""

GRAIN = 7.0
"""Standard deviation of the grain, of 255: it brings 12 MP to about 3 MB, as a telephone's photo has."""

_TILE = 1024


@dataclass(frozen=True)
class PhotoSize:
    """A size of photo: its name in the report, and its pixels."""

    name: str
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


SIZES = (
    PhotoSize("0.3 MP", 640, 480),
    PhotoSize("2 MP", 1920, 1080),
    PhotoSize("12 MP", 4000, 3000),
    PhotoSize("48 MP", 8000, 6000),
)


def photo_folder(base: Path, size: PhotoSize, count: int) -> Path:
    """A folder with a number of photos of a size; reused if it exists."""
    folder = base / f"{size.width}x{size.height}-{count}-v{VERSION}"
    if not folder.exists():
        making = folder.with_name(f".{folder.name}")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        write_photos(making, size, count)
        making.replace(folder)
    return folder


def write_photos(folder: Path, size: PhotoSize, count: int, *, distinct: int = DISTINCT) -> None:
    """Write photos ``IMG_00000.jpg`` and so on into a folder."""
    random = np.random.default_rng(size.width)
    grain = random.normal(0, GRAIN, (2 * _TILE, 2 * _TILE, 3)).astype(np.int16)
    sources = _sources()
    encoded = [_encode(_picture(sources, size, grain, random)) for _ in range(min(distinct, count))]
    for number in range(count):
        content = encoded[number % len(encoded)]
        (folder / f"IMG_{number:05}.jpg").write_bytes(with_exif(content, number))


def with_exif(jpeg: bytes, number: int) -> bytes:
    """A JPEG with the EXIF data of the so-manieth photo of a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Example", "Example 12", 1  # make, model, orientation
    minute, day = number % (24 * 60), number // (24 * 60)
    details = exif.get_ifd(0x8769)
    details[0x9003] = f"2024:{1 + day // 28 % 12:02}:{1 + day % 28:02} {minute // 60:02}:{minute % 60:02}:00"
    details[0xA431] = f"{number:08}"  # the body's serial number
    details[0x829D], details[0x8827], details[0x920A] = 2.8, 200, 35.0  # aperture, ISO, focal length
    content = exif.tobytes()
    segment = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    return jpeg[:2] + segment + jpeg[2:]


def bytes_per_pixel(folder: Path, size: PhotoSize) -> float:
    """The mean over a folder's photos."""
    weights = [path.stat().st_size for path in folder.iterdir()]
    return round(sum(weights) / len(weights) / (size.width * size.height), 3)


def _sources() -> list[Image.Image]:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    found = []
    for name in SOURCES:
        with Image.open(folder / name) as image:
            found.append(image.convert("RGB"))
    return found


def _picture(
    sources: list[Image.Image], size: PhotoSize, grain: NDArray[np.int16], random: np.random.Generator
) -> Image.Image:
    """A random part of a source, maybe mirrored, at full size, with grain."""
    image = sources[int(random.integers(len(sources)))]
    width = int(image.width * random.uniform(0.5, 1))
    height = max(1, min(image.height, width * size.height // size.width))
    left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
    box = (left, top, left + width, top + height)
    picture = image.resize((size.width, size.height), Image.Resampling.BICUBIC, box=box)
    turns: tuple[Callable[[Image.Image], Image.Image], ...] = (lambda same: same, ImageOps.mirror)
    pixels = np.asarray(turns[int(random.integers(2))](picture)).copy()  # [height, width, 3]
    for y in range(0, size.height, _TILE):
        for x in range(0, size.width, _TILE):
            part = pixels[y : y + _TILE, x : x + _TILE]
            down, right = random.integers(_TILE, size=2)
            noise = grain[down : down + part.shape[0], right : right + part.shape[1]]
            part[:] = np.clip(part + noise, 0, 255)
    return Image.fromarray(pixels)


def _encode(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()
