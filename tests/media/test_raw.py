"""RAW files: DNGs that the tests write themselves, opened by LibRaw as it opens a camera's.

Other makers' files (ARW, CR2, CR3, NEF, RAF, ORF, RW2, PEF, SRW) are not at hand: none may be passed on with the
source, and none can be made without the maker's compression. What is shown of them is that their names lead to
LibRaw, that LibRaw's answers are used, and that the variants of the TIFF header are read; that LibRaw decodes
them is taken from its own list of cameras.
"""

from __future__ import annotations

import io
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray
from PIL import Image

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import decode_image, load_image
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.media.metadata.reading import read_raw_metadata
from clipsearch.media.metadata.values import ImageMetadata, Source
from clipsearch.media.raw import RAW_SUFFIXES
from tests.media.test_decoding import TURNS

WIDTH, HEIGHT = 192, 128
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))

Entry = tuple[int, int, bytes]
"""Of a directory: type, number of values, their bytes."""


def shorts(*values: int) -> Entry:
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def longs(*values: int) -> Entry:
    return 4, len(values), struct.pack(f"<{len(values)}I", *values)


def opaque(*values: int) -> Entry:
    return 1, len(values), bytes(values)


def text(value: str) -> Entry:
    return 2, len(value) + 1, value.encode() + b"\0"


def rationals(*values: tuple[int, int], kind: int = 5) -> Entry:
    return kind, len(values), b"".join(struct.pack("<iI", *value) for value in values)


def corners(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture whose corners tell how it is turned: red, green / blue, yellow."""
    image = Image.new("RGB", (width, height))
    for number, colour in enumerate(COLOURS):
        x, y = number % 2 * width // 2, number // 2 * height // 2
        image.paste(colour, (x, y, x + width // 2, y + height // 2))
    return image


def assert_corners(image: Image.Image, *, tolerance: int = 40) -> None:
    assert image.mode == "RGB"
    for colour, (x, y) in zip(COLOURS, ((1, 1), (3, 1), (1, 3), (3, 3)), strict=True):
        found = image.getpixel((image.width * x // 4, image.height * y // 4))
        assert isinstance(found, tuple)
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= tolerance, (found, colour)


def bayer(image: Image.Image) -> NDArray[np.uint16]:
    """What a sensor with a red-green / green-blue filter sees, 16 bits linear."""
    linear = ((np.asarray(image) / 255.0) ** 2.2 * 60_000).astype(np.uint16)  # [height, width, 3]
    seen = linear[..., 1].copy()
    seen[0::2, 0::2], seen[1::2, 1::2] = linear[0::2, 0::2, 0], linear[1::2, 1::2, 2]
    return seen


class TiffFile:
    """A little-endian TIFF file, written from back to front so that every offset is known when it is needed."""

    def __init__(self) -> None:
        self._body = bytearray()

    def add(self, data: bytes) -> int:
        """Append data; returns its offset in the file."""
        self._body += bytes(len(self._body) % 2)
        self._body += data
        return 8 + len(self._body) - len(data)

    def add_directory(self, entries: dict[int, Entry]) -> int:
        table = b""
        for tag, (kind, number, data) in sorted(entries.items()):
            field = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", self.add(data))
            table += struct.pack("<HHI", tag, kind, number) + field
        return self.add(struct.pack("<H", len(entries)) + table + bytes(4))

    def finish(self, first_directory: int) -> bytes:
        return b"II*\0" + struct.pack("<I", first_directory) + self._body


EXIF: dict[int, Entry] = {
    33434: rationals((1, 60)),
    33437: rationals((28, 10)),
    34855: shorts(400),
    36867: text("2020:06:07 08:09:10"),
    36881: text("-07:00"),
    37386: rationals((35, 1)),
    42036: text("Prime 35mm f/2"),
}
GPS: dict[int, Entry] = {
    1: text("N"), 2: rationals((48, 1), (8, 1), (30, 1)), 3: text("E"), 4: rationals((11, 1), (34, 1), (12, 1)),
}  # fmt: skip

SRGB_FROM_XYZ = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)


def dng(
    image: Image.Image, *, orientation: int = 1, preview: bytes | Image.Image | None = None, plain: bool = False
) -> bytes:
    """An uncompressed DNG of the picture as the sensor saw it.

    Args:
        image: before it is turned upright.
        orientation: EXIF orientation.
        preview: a JPEG, or a picture that is stored uncompressed.
        plain: leave out the Exif and GPS directories.
    """
    file = TiffFile()
    sensor = bayer(image).tobytes()
    entries: dict[int, Entry] = {
        254: longs(0), 256: longs(image.width), 257: longs(image.height), 258: shorts(16), 259: shorts(1),
        262: shorts(32803), 271: text("Maker"), 272: text("Model 1"), 273: longs(file.add(sensor)),
        274: shorts(orientation), 277: shorts(1), 278: longs(image.height), 279: longs(len(sensor)),
        33421: shorts(2, 2), 33422: opaque(0, 1, 1, 2), 50706: opaque(1, 4, 0, 0), 50708: text("Maker Model 1"),
        50717: longs(60_000), 50721: rationals(*((value, 10_000) for value in SRGB_FROM_XYZ), kind=10),
        50728: rationals((1, 1), (1, 1), (1, 1)), 50778: shorts(21),
    }  # fmt: skip
    if preview is not None:
        entries[330] = longs(file.add_directory(_preview(file, preview)))
    if not plain:
        entries[34665] = longs(file.add_directory(EXIF))
        entries[34853] = longs(file.add_directory(GPS))
    return file.finish(file.add_directory(entries))


def _preview(file: TiffFile, preview: bytes | Image.Image) -> dict[int, Entry]:
    compressed = isinstance(preview, bytes)
    data = preview if isinstance(preview, bytes) else preview.tobytes()
    size = Image.open(io.BytesIO(preview)).size if isinstance(preview, bytes) else preview.size
    return {
        254: longs(1), 256: longs(size[0]), 257: longs(size[1]), 258: shorts(8, 8, 8),
        259: shorts(7 if compressed else 1), 262: shorts(6 if compressed else 2), 273: longs(file.add(data)),
        277: shorts(3), 278: longs(size[1]), 279: longs(len(data)),
    }  # fmt: skip


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = TURNS[orientation]
    return image if turn is None else image.transpose(turn)


PREVIEWS = ("none", "JPEG", "bitmap", "JPEG with EXIF")


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", PREVIEWS)
def test_a_dng_is_upright_with_and_without_a_preview(kind: str, orientation: int) -> None:
    stored = turned(corners(), orientation)
    small = stored.resize((stored.width * 3 // 4, stored.height * 3 // 4), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    previews = {"JPEG": jpeg(small), "bitmap": small, "JPEG with EXIF": jpeg(small, exif=exif.tobytes())}
    decoded = decode_image(dng(stored, orientation=orientation, preview=previews.get(kind)), path=Path("photo.DNG"))
    assert decoded.format == "DNG"
    assert (decoded.width, decoded.height) == (WIDTH, HEIGHT)
    assert decoded.image.size == ((WIDTH // 2, HEIGHT // 2) if kind == "none" else (WIDTH * 3 // 4, HEIGHT * 3 // 4))
    assert_corners(decoded.image)
    assert decoded.metadata.orientation == orientation


def test_libraw_takes_these_files_for_what_they_are() -> None:
    content = dng(corners(), orientation=6, preview=jpeg(corners()))  # held here: rawpy lets go of it on unpacking
    with rawpy.imread(io.BytesIO(content)) as raw:
        assert (raw.sizes.width, raw.sizes.height, raw.sizes.flip) == (WIDTH, HEIGHT, 6)
        assert raw.extract_thumb().format == rawpy.ThumbFormat.JPEG
        np.testing.assert_array_equal(raw.raw_image, bayer(corners()))


@pytest.mark.parametrize("preview", [None, jpeg(corners())])
def test_metadata_of_a_dng(preview: bytes | None) -> None:
    assert decode_image(dng(corners(), preview=preview), path=Path("a.dng")).metadata == ImageMetadata(
        taken_at=datetime(2020, 6, 7, 8, 9, 10),
        taken_source=Source.EXIF,
        taken_offset_min=-420,
        camera="Maker Model 1",
        lens="Prime 35mm f/2",
        focal_length_mm=35.0,
        f_number=2.8,
        exposure_s=1 / 60,
        iso=400,
        latitude=48.1416667,
        longitude=11.57,
        position_source=Source.EXIF,
        orientation=1,
    )


def test_a_dng_without_exif() -> None:
    decoded = decode_image(dng(corners(), plain=True), path=Path("a.dng"))
    assert decoded.metadata == ImageMetadata(camera="Maker Model 1", orientation=1)


@pytest.mark.parametrize("magic", [b"II*\0", b"IIRO", b"IIRS", b"IIU\0"])
def test_the_tiff_headers_of_olympus_and_panasonic(magic: bytes) -> None:
    metadata = read_raw_metadata(magic + dng(corners())[4:])
    assert metadata is not None
    assert (metadata.camera, metadata.iso) == ("Maker Model 1", 400)


def _box(kind: bytes, body: bytes, *, wide: bool = False) -> bytes:
    return (
        struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
        if wide
        else struct.pack(">I4s", len(body) + 8, kind) + body
    )


def _cr3(*, wide: bool = False) -> bytes:
    """The boxes of a CR3 that hold metadata; there is no picture in it."""
    blocks = {}
    for name, entries in (("CMT1", {271: text("Canon"), 272: text("Canon EOS R5")}), ("CMT2", EXIF), ("CMT4", GPS)):
        file = TiffFile()
        blocks[name] = file.finish(file.add_directory(entries))
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + b"".join(
        _box(name.encode(), block, wide=wide) for name, block in blocks.items()
    )
    moov = _box(b"uuid", bytes(40)) + _box(b"uuid", canon, wide=wide) + _box(b"trak", bytes(8))
    return _box(b"ftyp", b"crx \0\0\0\1crx isom") + _box(b"moov", moov) + _box(b"mdat", bytes(99), wide=True)


@pytest.mark.parametrize("wide", [False, True])
def test_the_metadata_boxes_of_a_cr3(wide: bool) -> None:
    metadata = read_raw_metadata(_cr3(wide=wide))
    assert metadata is not None
    assert (metadata.camera, metadata.lens, metadata.iso) == ("Canon EOS R5", "Prime 35mm f/2", 400)
    assert (metadata.taken_at, metadata.latitude) == (datetime(2020, 6, 7, 8, 9, 10), 48.1416667)


@pytest.mark.parametrize("keep", range(0, 460, 20))
def test_a_truncated_cr3_has_no_metadata(keep: int) -> None:
    assert read_raw_metadata(_cr3()[:keep]) is None


@pytest.mark.parametrize("suffix", sorted(RAW_SUFFIXES))
def test_every_raw_suffix_leads_to_libraw(tmp_path: Path, suffix: str) -> None:
    assert suffix in IMAGE_SUFFIXES
    path = tmp_path / f"photo{suffix.upper()}"
    path.write_bytes(dng(corners()))
    decoded = load_image(path)
    assert decoded.format == suffix[1:].upper()
    assert_corners(decoded.image)


def test_a_thumbnail_that_is_too_small_is_passed_over() -> None:
    content = dng(corners(), preview=jpeg(Image.new("RGB", (48, 32), "white")))
    assert decode_image(content, path=Path("a.dng"), min_side=32).image.size == (48, 32)
    developed = decode_image(content, path=Path("a.dng"), min_side=64).image
    assert developed.size == (WIDTH // 2, HEIGHT // 2)
    assert_corners(developed)


def test_a_preview_is_decoded_at_reduced_scale() -> None:
    content = dng(corners(), preview=jpeg(corners(1920, 1280)))
    decoded = decode_image(content, path=Path("a.dng"), min_side=64)
    assert decoded.image.size == (240, 160)
    assert (decoded.width, decoded.height) == (WIDTH, HEIGHT)
    assert_corners(decoded.image)


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_preview_that_is_already_upright_is_not_turned_again(orientation: int) -> None:
    upright = corners(HEIGHT, WIDTH)
    content = dng(turned(upright, orientation), orientation=orientation, preview=jpeg(upright))
    decoded = decode_image(content, path=Path("a.dng"))
    assert (decoded.width, decoded.height) == decoded.image.size == (HEIGHT, WIDTH)
    assert_corners(decoded.image)


def test_a_damaged_preview_gives_way_to_the_sensor() -> None:
    preview = jpeg(corners())
    damaged = dng(corners(), preview=preview).replace(preview, preview[:20] + bytes(len(preview) - 20))
    assert_corners(decode_image(damaged, path=Path("a.dng")).image)


@pytest.mark.parametrize("keep", [0.001, 0.01, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", [".dng", ".cr3"])
def test_a_truncated_raw_file_is_refused(suffix: str, keep: float) -> None:
    content = dng(corners(), preview=jpeg(corners()))
    with pytest.raises(ImageReadError) as raised:
        decode_image(content[: int(len(content) * keep)], path=Path("photo").with_suffix(suffix))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"dear diary", b"II*\0\xff\xff\xff\xff", b"FUJIFILMCCD-RAW " + bytes(200), bytes(999)]
)
def test_what_is_no_raw_file_is_refused(content: bytes) -> None:
    with pytest.raises(ImageReadError):
        decode_image(content, path=Path("photo.raf"))


def test_a_plain_picture_under_a_raw_name_is_read() -> None:
    decoded = decode_image(jpeg(corners()), path=Path("photo.nef"))
    assert decoded.format == "JPEG"
    assert_corners(decoded.image)


def test_a_raw_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.media.decoding.MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(ImageReadError, match="too large"):
        decode_image(dng(corners()), path=Path("a.dng"))
