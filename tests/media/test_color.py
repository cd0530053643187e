"""Colors of any profile become sRGB, whatever way a file says which they are."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from clipsearch.media.color import profile_of
from clipsearch.media.decoding import decode_image
from clipsearch.media.perceptual_hash import fingerprint
from clipsearch.media.pixels import to_rgb
from clipsearch.media.transform import ImageSpec, ImageTransform

SRGB = ImageCms.createProfile("sRGB")
SRGB_BYTES = ImageCms.ImageCmsProfile(SRGB).tobytes()

PRIMARIES = {
    "display-p3": ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
    "adobe-rgb": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "prophoto": ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)),
    "swapped": ((0.1431, 0.0606, 0.7141), (0.3851, 0.7169, 0.0971), (0.4361, 0.2225, 0.0139)),
}
"""Red, green and blue as XYZ at D50 (the specifications of each, adapted by Bradford's matrix)."""


def picture() -> Image.Image:
    """Smooth colors of every hue, none of them at the edge of sRGB."""
    down, across = np.mgrid[0:96, 0:128] / np.array([96, 128])[:, None, None]
    channels = [0.5 + 0.3 * np.sin(7 * across + 2), 0.5 + 0.3 * np.cos(6 * down), 0.5 + 0.3 * np.sin(5 * across * down)]
    return Image.fromarray((np.stack(channels, axis=-1) * 255).round().astype(np.uint8))


def profile(space: bytes, curve: bytes, colorants: tuple[tuple[float, float, float], ...] = ()) -> bytes:
    """An ICC profile of version 2, written as the specification says."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78),
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"cprt": b"text\0\0\0\0none\0",
    }
    for letter, values in zip(b"rgb", colorants, strict=False):
        tags |= {bytes([letter]) + b"XYZ": xyz(values), bytes([letter]) + b"TRC": curve}
    tags |= {} if colorants else {b"kTRC": curve}
    index, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        index += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return head + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + index + body


def power(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def rgb_profile(name: str, gamma: float = 2.2) -> bytes:
    return profile(b"RGB ", power(gamma), PRIMARIES[name])


def in_profile(content: bytes, mode: str = "RGB") -> Image.Image:
    """The picture with its colors in another space."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(content))
    converted = ImageCms.profileToProfile(picture(), SRGB, target, outputMode=mode)
    assert converted is not None
    converted.info.clear()
    return converted


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def difference(content: bytes, expected: Image.Image | None = None) -> float:
    """Mean levels that a decoded file is off."""
    decoded = decode_image(content)
    assert decoded.image.mode == "RGB" and "icc_profile" not in decoded.image.info
    levels = np.asarray(decoded.image, dtype=float) - np.asarray(expected or picture(), dtype=float)
    return float(np.abs(levels).mean())


@pytest.mark.parametrize("name", PRIMARIES)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "JPEG2000"])
def test_colors_of_a_profile_become_srgb(name: str, file_format: str) -> None:
    content = rgb_profile(name)
    decode_image(saved(picture(), "PNG"))  # registers HEIC
    stored = in_profile(content)
    if file_format == "JPEG2000":
        file = with_jp2_profile(saved(stored, file_format), content)
    else:
        quality = {} if file_format in ("PNG", "TIFF") else {"quality": 95}
        file = saved(stored, file_format, icc_profile=content, **quality)
    assert difference(file) < 2.0 < difference(saved(stored, "PNG"))


@pytest.mark.parametrize("name", PRIMARIES)
def test_the_conversion_is_within_a_level_of_exact_arithmetic(name: str) -> None:
    content = rgb_profile(name)
    stored = in_profile(content)
    light = (np.asarray(stored) / 255) ** (563 / 256) @ np.array(PRIMARIES[name])
    linear = np.clip(light @ np.linalg.inv(np.array(srgb_colorants())), 0, 1)
    exact = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    converted = np.asarray(decode_image(saved(stored, "PNG", icc_profile=content)).image, dtype=float)
    assert np.abs(converted - exact).max() <= 1.5  # half of it is rounding


def with_jp2_profile(content: bytes, icc: bytes) -> bytes:
    """A JPEG 2000 file whose colors are those of a profile."""
    place = content.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", content, place)
    box = struct.pack(">I", 11 + len(icc)) + b"colr\2\0\0" + icc
    header = content.index(b"jp2h") - 4
    (header_length,) = struct.unpack_from(">I", content, header)
    grown = struct.pack(">I", header_length + len(box) - length)
    return content[:header] + grown + content[header + 4 : place] + box + content[place + length :]


def png_with(image: Image.Image, **chunks: bytes) -> bytes:
    """A PNG with chunks before its pixels."""
    content = saved(image, "PNG")
    made = b""
    for name, body in chunks.items():
        made += struct.pack(">I", len(body)) + name.encode() + body
        made += struct.pack(">I", zlib.crc32(name.encode() + body))
    return content[:33] + made + content[33:]


P3_XY = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def numbers(*values: float) -> bytes:
    return b"".join(struct.pack(">I", round(value * 100_000)) for value in values)


def test_a_png_says_its_colors_in_chunks() -> None:
    srgb_curve = b"curv\0\0\0\0" + struct.pack(">I", 1024)
    steps = np.linspace(0, 1, 1024)
    light = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    p3 = profile(b"RGB ", srgb_curve + (light * 65535).round().astype(">u2").tobytes(), PRIMARIES["display-p3"])
    wide = in_profile(p3)
    assert difference(png_with(wide, cICP=bytes((12, 13, 0, 1)))) < 1.0
    assert difference(png_with(wide, cICP=bytes((12, 13, 0, 1)), sRGB=b"\0")) < 1.0  # the first goes before the second
    assert difference(png_with(wide, cHRM=numbers(*P3_XY), gAMA=numbers(0.45455))) < 1.0
    srgb_xy = numbers(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    steep = in_profile(profile(b"RGB ", power(1.0), tuple(map(tuple, srgb_colorants()))))
    assert difference(png_with(steep, gAMA=numbers(1.0), cHRM=srgb_xy)) < 2.0 < difference(png_with(steep))


def srgb_colorants() -> list[list[float]]:
    return [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]]


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": numbers(0.45455)},
        {"gAMA": numbers(0.45455), "cHRM": numbers(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)},
        {"sRGB": b"\0", "gAMA": numbers(1.0)},
        {"cICP": bytes((1, 13, 0, 1))},
        {"cICP": bytes((1, 1, 0, 1))},
        {"cICP": bytes((2, 2, 0, 1))},
        {"cICP": bytes((99, 99, 0, 1))},
        {"gAMA": bytes(4)},
        {"cHRM": bytes(32)},
        {"cHRM": numbers(0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)},
    ],
)
def test_what_comes_to_srgb_or_to_nothing_leaves_a_png_as_it_is(chunks: dict[str, bytes]) -> None:
    assert difference(png_with(picture(), **chunks)) == 0.0


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_mapped_into_the_range_of_srgb(transfer: int) -> None:
    """Paper white, half-way up the curve, is light but not clipped, and black stays black."""
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2))
    pixels = np.asarray(decode_image(png_with(ramp, cICP=bytes((9, transfer, 0, 1)))).image)[0].astype(int)
    assert (np.diff(pixels, axis=0) >= -1).all() and pixels[0].max() <= 2 and pixels[-1].min() >= 250
    paper_white = 148 if transfer == 16 else 191
    assert 200 < pixels[paper_white].mean() < 252


def test_the_color_description_of_an_avif_is_read() -> None:
    stored = in_profile(rgb_profile("display-p3"))
    content = bytearray(saved(stored, "AVIF", quality=98))
    place = content.index(b"colrnclx") + 8
    content[place : place + 4] = struct.pack(">HH", 12, 13)
    assert difference(bytes(content)) < 4.0 < difference(saved(stored, "AVIF", quality=98))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_mark_of_adobe_rgb_stands_for_a_profile(order: str) -> None:
    stored = in_profile(rgb_profile("adobe-rgb", 563 / 256))
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    for tag, offset in ((0x8769, 26), (0xA005, 44)):
        mark += struct.pack(f"{order}HHHIII", 1, tag, 4, 1, offset, 0)
    mark += struct.pack(f"{order}HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    options = {"quality": 97, "subsampling": 0}
    marked = saved(stored, "JPEG", exif=b"Exif\0\0" + mark, **options)
    assert difference(marked) < 1.5 < difference(saved(stored, "JPEG", **options))


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_gray_profiles_are_applied_at_every_depth(mode: str) -> None:
    expected = picture().convert("L")
    light = np.asarray(expected, dtype=np.float64) / 255
    linear = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    deep = mode == "I;16"
    stored = Image.fromarray((linear * (65535 if deep else 255)).round().astype(np.uint16 if deep else np.uint8))
    stored = Image.merge("LA", (stored, Image.new("L", stored.size, 255))) if mode == "LA" else stored
    content = saved(stored, "PNG", icc_profile=profile(b"GRAY", power(1.0)))
    assert difference(content, expected.convert("RGB")) < (0.6 if deep else 1.5)


def test_alpha_and_palettes_keep_their_meaning() -> None:
    content = rgb_profile("swapped")
    stored = in_profile(content).convert("RGBA")
    stored.putalpha(Image.new("L", stored.size, 0))
    white = decode_image(saved(stored, "PNG", icc_profile=content)).image
    assert white.getextrema() == ((255, 255),) * 3
    red = Image.new("RGB", (8, 8), (0, 0, 255)).quantize(4)
    assert decode_image(saved(red, "PNG", icc_profile=content)).image.getpixel((4, 4)) == pytest.approx(
        (255, 0, 0), abs=3
    )


def test_lab_pictures_are_read() -> None:
    stored = ImageCms.profileToProfile(picture(), SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert stored is not None
    assert difference(saved(stored, "TIFF")) < 1.5


@pytest.mark.parametrize(
    "damaged",
    [
        b"x" * 500,
        rgb_profile("prophoto")[:200],
        rgb_profile("prophoto")[:132] + bytes(300),
        profile(b"RGB ", power(2.2), ((0.0, 0.0, 0.0),) * 3),
        rgb_profile("prophoto").replace(b"RGB ", b"CMYK"),
        rgb_profile("prophoto").replace(b"mntr", b"link"),
        profile(b"GRAY", power(1.0)),  # of another kind than the picture
    ],
)
def test_profiles_that_are_damaged_or_do_not_fit_are_ignored(damaged: bytes) -> None:
    assert difference(saved(picture(), "PNG", icc_profile=damaged)) == 0.0


@pytest.mark.parametrize("content", [SRGB_BYTES, rgb_profile("display-p3")])
def test_a_picture_is_converted_once_however_often_it_is_flattened(content: bytes) -> None:
    opened = Image.open(io.BytesIO(saved(in_profile(content), "PNG", icc_profile=content)))
    flat = to_rgb(opened)
    assert profile_of(flat) is None
    assert to_rgb(flat) is flat


def test_srgb_profiles_change_nothing() -> None:
    content = saved(picture(), "PNG", icc_profile=SRGB_BYTES)
    assert difference(content) == 0.0


def test_what_is_embedded_and_fingerprinted_is_converted() -> None:
    content = rgb_profile("swapped")
    opened = in_profile(content)
    opened.info["icc_profile"] = content  # as a caller of the Python API brings it
    transform = ImageTransform(ImageSpec(size=(32, 32)))
    np.testing.assert_allclose(transform(opened), transform(picture()), atol=3)
    decoded = decode_image(saved(opened, "PNG", icc_profile=content)).image
    seen, expected = (np.frombuffer(fingerprint(image), np.uint8).astype(int) for image in (decoded, picture()))
    assert np.abs(seen - expected).max() <= 3
