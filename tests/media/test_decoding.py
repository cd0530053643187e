"""Decoding real files of every kind that the indexer looks at, and the transform against open_clip's own."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, features

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import decode_image, load_image
from clipsearch.media.transform import ImageSpec, ImageTransform, Interpolation, ResizeMode

pillow_heif.register_heif_opener()  # for writing; `decode_image` does it for itself

RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)
WIDTH, HEIGHT = 96, 64


def corners() -> Image.Image:
    """A picture whose corners tell how it is turned: red, green / blue, yellow."""
    image = Image.new("RGB", (WIDTH, HEIGHT), WHITE)
    draw = ImageDraw.Draw(image)
    for colour, (x, y) in zip((RED, GREEN, BLUE, YELLOW), ((0, 0), (48, 0), (0, 32), (48, 32)), strict=True):
        draw.rectangle((x, y, x + 47, y + 31), fill=colour)
    return image


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth coloured noise, which compresses and scales like a photograph."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def assert_corners(image: Image.Image, *, tolerance: int = 12) -> None:
    assert image.mode == "RGB"
    for colour, (x, y) in zip((RED, GREEN, BLUE, YELLOW), ((1, 1), (3, 1), (1, 3), (3, 3)), strict=True):
        found = image.getpixel((image.width * x // 4, image.height * y // 4))
        assert isinstance(found, tuple)
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= tolerance, (found, colour)


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # the inverse of how a viewer turns it
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_exif_orientation_is_applied(file_format: str, orientation: int) -> None:
    turn = TURNS[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(stored, file_format, exif=exif.tobytes(), quality=95))
    assert decoded.format == file_format
    assert (decoded.width, decoded.height) == decoded.image.size == (WIDTH, HEIGHT)
    assert_corners(decoded.image, tolerance=40)


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_applied_at_reduced_scale(orientation: int) -> None:
    turn = TURNS[orientation]
    upright = corners().resize((WIDTH * 10, HEIGHT * 10), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(upright if turn is None else upright.transpose(turn), "JPEG", exif=exif.tobytes())
    decoded = decode_image(content, min_side=32)
    assert (decoded.width, decoded.height) == (WIDTH * 10, HEIGHT * 10)
    assert decoded.image.size == (WIDTH * 10 // 8, HEIGHT * 10 // 8)
    assert_corners(decoded.image, tolerance=40)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_damaged_exif_spoils_no_picture(exif: bytes) -> None:
    assert_corners(decode_image(encode(corners(), "JPEG", exif=exif, quality=95)).image, tolerance=40)


def _sixteen_bit() -> Image.Image:
    ramp = np.linspace(0, 65535, WIDTH, dtype=np.uint16)
    return Image.fromarray(np.tile(ramp, (HEIGHT, 1)))


def _palette() -> Image.Image:
    return corners().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)


def _half_transparent(mode: str) -> Image.Image:
    image = corners().convert(mode)
    image.putalpha(Image.new("L", image.size, 0))
    return image


@pytest.mark.parametrize(
    ("image", "file_format", "options"),
    [
        (corners(), "JPEG", {"quality": 95}),
        (corners(), "JPEG", {"quality": 95, "progressive": True}),
        (corners(), "MPO", {"quality": 95, "save_all": True, "append_images": [Image.new("RGB", (WIDTH, HEIGHT))]}),
        (corners(), "PNG", {}),
        (_palette(), "PNG", {}),
        (_palette(), "GIF", {}),
        (_palette(), "BMP", {}),
        (_palette(), "TIFF", {}),
        (corners().convert("RGBA"), "PNG", {}),
        (corners().convert("RGBA"), "WEBP", {"lossless": True}),
        (corners().convert("RGBA"), "TIFF", {"compression": "tiff_lzw"}),
        (corners(), "WEBP", {"quality": 95}),
        (corners(), "BMP", {}),
        (corners(), "DIB", {}),
        (corners(), "PPM", {}),
        (corners(), "TGA", {}),
        (corners(), "ICO", {"sizes": [(WIDTH, HEIGHT)]}),
        (corners(), "JPEG2000", {}),
        (corners(), "HEIF", {"quality": 95}),
        (corners(), "AVIF", {"quality": 95}),
        (corners().convert("CMYK"), "JPEG", {"quality": 95}),
        (corners().convert("CMYK"), "TIFF", {}),
        (corners().convert("YCbCr"), "TIFF", {}),
        (corners().convert("LAB"), "TIFF", {}),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_format_and_mode_becomes_rgb(image: Image.Image, file_format: str, options: dict[str, Any]) -> None:
    decoded = decode_image(encode(image, file_format, **options))
    assert decoded.format == file_format
    assert decoded.image.size == (decoded.width, decoded.height)
    assert_corners(decoded.image, tolerance=60)


def test_a_cmyk_jpeg_is_also_read_at_reduced_scale() -> None:
    large = corners().resize((WIDTH * 10, HEIGHT * 10), Image.Resampling.NEAREST).convert("CMYK")
    assert_corners(decode_image(encode(large, "JPEG", quality=95), min_side=32).image, tolerance=60)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_transparent_parts_become_white(mode: str, file_format: str) -> None:
    image = decode_image(encode(_half_transparent(mode), file_format)).image
    assert set(image.get_flattened_data()) == {WHITE}


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_becomes_white(file_format: str) -> None:
    palette = Image.new("P", (4, 2), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (2, 0, 4, 2))
    image = decode_image(encode(palette, file_format, transparency=0)).image
    assert image.getpixel((0, 0)) == WHITE
    assert image.getpixel((3, 0)) == BLUE


def test_a_palette_with_graded_transparency_is_blended_with_white() -> None:
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    image = decode_image(encode(palette, "PNG", transparency=bytes([128, 255]))).image
    assert image.getpixel((0, 0)) == pytest.approx((127, 127, 127), abs=1)
    assert image.getpixel((1, 0)) == BLUE


def test_the_transparent_colour_of_an_rgb_png_becomes_white() -> None:
    image = decode_image(encode(corners(), "PNG", transparency=RED)).image
    assert image.getpixel((4, 4)) == WHITE
    assert image.getpixel((WIDTH - 4, 4)) == GREEN


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_greys_keep_their_range(file_format: str) -> None:
    grey = np.asarray(decode_image(encode(_sixteen_bit(), file_format)).image)[0, :, 0].astype(int)
    assert np.abs(grey - np.linspace(0, 255, WIDTH)).max() <= 1


def test_sixteen_bit_colour_png_keeps_its_range() -> None:
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">6H", 65535, 0, 32768, 0, 65535, 257)
    image = decode_image(_png(header, zlib.compress(row))).image
    assert image.getpixel((0, 0)) == pytest.approx((255, 0, 128), abs=1)
    assert image.getpixel((1, 0)) == pytest.approx((0, 255, 1), abs=1)


def _tiff(samples: NDArray[np.uint16], order: str, *, photometric: int) -> bytes:
    """An uncompressed 16-bit TIFF, which Pillow reads and cannot write in colour.

    Args:
        samples: [height, width, channels].
        order: of bytes, ``<`` or ``>``.
        photometric: 1 for grey, 2 for RGB.
    """
    height, width, channels = samples.shape
    data = samples.astype(f"{order}u2").tobytes()
    depths = struct.pack(f"{order}{channels}H", *[16] * channels).ljust(8, b"\0")
    table = 8 + 2 + 9 * 12 + 4
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, table if channels > 2 else 16), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, table + len(depths)), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    body = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        body += struct.pack(f"{order}HHI" + ("H2x" if short else "I"), tag, kind, count, value)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HI", 42, 8) + body + bytes(4) + depths + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiffs_in_colour_and_grey(order: str) -> None:
    colours = np.array([[[65535, 0, 32768], [0, 65535, 257]]], dtype=np.uint16)
    image = decode_image(_tiff(colours, order, photometric=2)).image
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 128), (0, 255, 1)]
    greys = np.array([[[0], [32768], [65535]]], dtype=np.uint16)
    image = decode_image(_tiff(greys, order, photometric=1)).image
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), WHITE]


def test_sixteen_bit_jpeg_2000_keeps_its_range() -> None:
    grey = np.asarray(decode_image(encode(_sixteen_bit(), "JPEG2000")).image)[0, :, 0].astype(int)
    assert np.abs(grey - np.linspace(0, 255, WIDTH)).max() <= 1


def test_a_bare_jpeg_2000_codestream() -> None:
    assert_corners(decode_image(encode(corners(), "JPEG2000", no_jp2=True)).image)


BLACK, GREY = (0, 0, 0), (128, 128, 128)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P1\n# a comment\n2 1\n1 0\n", [BLACK, WHITE]),
        (b"P2\n2 1\n255\n0 255\n", [BLACK, WHITE]),
        (b"P2\n3 1\n65535\n0 32768 65535\n", [BLACK, GREY, WHITE]),
        (b"P3\n2 1\n255\n255 0 0 0 0 255\n", [RED, BLUE]),
        (b"P3\n2 1\n65535\n65535 0 0 0 0 65535\n", [RED, BLUE]),
        (b"P4\n2 1\n\x80", [BLACK, WHITE]),
        (b"P5\n2 1\n255\n\0\xff", [BLACK, WHITE]),
        (b"P5\n3 1\n65535\n" + struct.pack(">3H", 0, 32768, 65535), [BLACK, GREY, WHITE]),
        (b"P5\n3 1\n1023\n" + struct.pack(">3H", 0, 512, 1023), [BLACK, GREY, WHITE]),
        (b"P6\n2 1\n255\n\xff\0\0\0\0\xff", [RED, BLUE]),
        (b"P6\n2 1\n65535\n" + struct.pack(">6H", 65535, 0, 0, 0, 0, 65535), [RED, BLUE]),
    ],
    ids=lambda value: value[:2].decode() if isinstance(value, bytes) else None,
)
def test_portable_anymaps(content: bytes, expected: list[tuple[int, int, int]]) -> None:
    decoded = decode_image(content)
    assert decoded.format == "PPM"
    assert [decoded.image.getpixel((x, 0)) for x in range(decoded.width)] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # the convention
        ([0.5, 0.5, 0.5], [128, 128, 128]),
        ([-100.0, 0.0, 100.0], [0, 128, 255]),  # its own range
        ([0.0, 500.0, 1000.0], [0, 128, 255]),
        ([7.0, 7.0, 7.0], [0, 0, 0]),
        ([0.0, float("nan"), 1.0], [0, 0, 255]),
        ([0.25, float("inf"), -float("inf")], [64, 255, 0]),
        ([float("nan"), float("nan"), float("nan")], [0, 0, 0]),
    ],
)
def test_float_tiffs_are_scaled_to_eight_bits(values: list[float], expected: list[int]) -> None:
    content = encode(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    red = np.asarray(decode_image(content).image)[0, :, 0]
    assert red.tolist() == pytest.approx(expected, abs=1)


def test_thirty_two_bit_tiffs_are_scaled_by_their_own_range() -> None:
    content = encode(Image.fromarray(np.array([[-(2**30), 0, 2**30]], dtype=np.int32)), "TIFF")
    assert np.asarray(decode_image(content).image)[0, :, 0].tolist() == pytest.approx([0, 128, 255], abs=1)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM", "BMP"])
def test_one_bit_pictures_are_black_and_white(file_format: str) -> None:
    image = Image.new("1", (16, 8), 0)
    image.paste(1, (8, 0, 16, 8))
    decoded = decode_image(encode(image, file_format)).image
    assert (decoded.getpixel((0, 0)), decoded.getpixel((15, 0))) == ((0, 0, 0), WHITE)


@pytest.mark.parametrize(
    ("file_format", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {}), ("AVIF", {})]
)
def test_the_first_frame_of_an_animation_is_taken(file_format: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in (GREEN, BLUE)]
    content = encode(corners(), file_format, save_all=True, append_images=frames, **options)
    assert_corners(decode_image(content).image, tolerance=40)


@pytest.mark.parametrize("min_side", [16, 50, 100, 224])
@pytest.mark.parametrize("size", [(1600, 1200), (1203, 1999), (640, 480)])
def test_reduced_scale_decoding_equals_full_decoding(size: tuple[int, int], min_side: int) -> None:
    content = encode(photograph(*size), "JPEG", quality=92)
    transform = ImageTransform(ImageSpec(size=(min_side, min_side)))
    full, reduced = decode_image(content), decode_image(content, min_side=min_side)
    assert (reduced.width, reduced.height) == size
    assert min(reduced.image.size) >= min(min_side, *size)
    difference = transform(full.image).astype(int) - transform(reduced.image)
    assert np.abs(difference).mean() < 3


# what cannot be read


def _png(header: bytes, *data: bytes) -> bytes:
    chunks = [(b"IHDR", header), *((b"IDAT", part) for part in data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _png_bomb(side: int) -> bytes:
    """One bit per pixel, all zero: a few hundred kilobytes that would be gigabytes."""
    compressor = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    return _png(struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0), data)


@pytest.mark.parametrize(("side", "reason"), [(30_000, "more than 600 megapixels"), (20_000, "20000×20000 pixels")])
def test_a_png_bomb_is_refused_unread(tmp_path: Path, side: int, reason: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_bomb(side))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ImageReadError, match=rf"cannot read .*bomb\.png: too large \({reason}; at most 300 megapixels"):
        load_image(path)


FORMATS_THAT_CAN_BE_CUT = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "JPEG2000", "TIFF")
# JPEG 2000 is layered: with its last bytes cut off it is the same picture with less detail
CUTS = [
    (name, keep) for name in FORMATS_THAT_CAN_BE_CUT for keep in (0.1, 0.5, 0.95) if (name, keep) != ("JPEG2000", 0.95)
]


@pytest.mark.parametrize(("file_format", "keep"), CUTS)
def test_a_truncated_file_is_refused(tmp_path: Path, file_format: str, keep: float) -> None:
    content = encode(photograph(300, 200), file_format)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ImageReadError) as raised:
        load_image(path, min_side=64)
    assert raised.value.path == path
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"dear diary", "not a picture in a format that can be read"),
        (b"\xff\xd8\xff\xe0 and then nothing", "not a picture|damaged or truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "not a picture in a format"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=reason):
        load_image(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="no such file or directory"):
        load_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageReadError, match="no such file or directory"):
        load_image(tmp_path / "nul\0byte.jpg")
    with pytest.raises(ImageReadError, match=r"is a directory|permission denied"):
        load_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageReadError, match="not a regular file"):
        load_image(tmp_path / "pipe.jpg")


def test_pillow_warnings_in_decoding_threads_refuse_no_picture() -> None:
    """`warnings.catch_warnings` in several threads at once let "error" filters through."""
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    content = encode(palette, "PNG", transparency=bytes([128, 255]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(lambda _: decode_image(content), range(200)))) == 200


# the transform


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(224, 224), (97, 97), (64, 96), (97, 65)])
def test_the_transform_equals_open_clips_pixel_for_pixel(
    size: tuple[int, int], interpolation: Interpolation, resize_mode: ResizeMode
) -> None:
    transform = ImageTransform(ImageSpec(size, resize_mode, interpolation, fill_color=127))
    for number, source in enumerate([(640, 480), (481, 643), (97, 97), (50, 31), (333, 334), (1000, 61), (7, 90)]):
        image = photograph(*source, seed=number)
        expected = _open_clip_pixels(image, size, resize_mode, interpolation)
        np.testing.assert_array_equal(transform(image), expected, err_msg=f"{source} to {size}")


def _open_clip_pixels(
    image: Image.Image, size: tuple[int, int], resize_mode: str, interpolation: str
) -> NDArray[np.uint8]:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    whole = size[0] if size[0] == size[1] else size
    cfg = PreprocessCfg(size=whole, resize_mode=resize_mode, interpolation=interpolation, fill_color=127)
    pipeline = image_transform_v2(cfg, is_train=False)
    for step in pipeline.transforms[:-2]:  # all but ToTensor and Normalize
        image = step(image)
    return np.asarray(image)


@pytest.mark.parametrize("source", [(60_000, 2), (2, 60_000), (1, 30_000)])
@pytest.mark.parametrize("size", [(224, 224), (64, 96)])
def test_a_long_thin_strip_is_transformed_without_gigabytes(source: tuple[int, int], size: tuple[int, int]) -> None:
    """Scaling the short side of 60,000×2 pixels to 224 would make a picture of 4.5 gigabytes."""
    assert ImageTransform(ImageSpec(size))(Image.new("RGB", source, RED)).tolist() == [[list(RED)] * size[1]] * size[0]


def test_cropping_before_scaling_equals_cropping_after(monkeypatch: pytest.MonkeyPatch) -> None:
    image = photograph(1500, 90)
    transform = ImageTransform(ImageSpec((96, 96)))
    after = transform(image).astype(int)
    monkeypatch.setattr("clipsearch.media.transform._MAX_RESIZED_PIXELS", 0)
    assert np.abs(after - transform(image)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "CMYK"])
def test_the_transform_takes_other_modes(mode: str) -> None:
    source = _sixteen_bit() if mode == "I;16" else corners().convert(mode)
    assert ImageTransform(ImageSpec((32, 32)))(source).shape == (32, 32, 3)


def test_this_pillow_reads_what_the_tests_promise() -> None:
    for codec in ("jpg", "zlib", "libtiff", "jpg_2000"):
        assert features.check_codec(codec)
