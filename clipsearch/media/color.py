"""Colors of any profile as sRGB, which image towers, fingerprints and previews take for granted.

What a file says of its colors is looked for in the order of the PNG specification, third edition, 4.3: code points
(``cICP``, ``nclx``), an ICC profile, ``sRGB``, primaries and gamma. All of it becomes an ICC profile, and LittleCMS
converts. A profile that comes to the same as sRGB costs a look-up.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

COLOR_KEYS = ("icc_profile", "icc_profile_type", "nclx_profile", "gamma", "chromaticity", "srgb")
"""What Pillow and pillow-heif note of a picture's colors; none of it holds after `to_srgb`."""

_KEPT_PROFILES = 64
"""Profiles whose conversion is kept: a collection has a handful, and a conversion of a printer takes a megabyte."""

_MAX_PROFILE_BYTES = 2**24

_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}
"""Color spaces of the data (ICC.1:2022, 7.2.6), and Pillow's modes of them."""

_DEVICES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
"""Profile classes (7.2.5) that say what a picture's numbers mean; the others link or name colors."""

_SAME = 2
"""Levels of 255 that a profile may differ from sRGB, as its many editions do, to count as sRGB."""

_WHITE_FROM, _BLACK_TO = 180, 100
"""Levels of the darkest channel of white and the lightest of black beyond which a profile is damaged."""

_Curve: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, tuple[tuple[float, ...], tuple[float, float]]] = {
    1: ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), _D65),
    4: ((0.67, 0.33, 0.21, 0.71, 0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), _D65),
    6: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), _D65),
    7: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), _D65),
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), _D65),
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), _D65),
}
"""Red, green and blue, and white, as x and y, by the code points of ITU-T H.273, table 2."""

_SRGB_PRIMARIES, _LIKE_SRGB = 1, frozenset({1, 2, 6, 13, 14, 15})
"""Video's own curves (table 3: 1, 6, 14, 15) are shown as sRGB's is: a screen's curve counts, not a camera's."""

_ADOBE_RGB = ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), _D65)
_ADOBE_GAMMA = 563 / 256
_ADOBE_MARK = re.compile(rb"\x01\x00\x02\x00\x04\x00\x00\x00R03\x00|\x00\x01\x00\x02\x00\x00\x00\x04R03\x00")
"""The interoperability index of Adobe RGB (DCF 2.0, 3.3): cameras write it in place of a profile."""

_SDR_WHITE_NITS = 203.0
"""Luminance that HDR pictures give to white paper (ITU-R BT.2408, table 1)."""

_CURVE_POINTS = 4096


def profile_of(image: Image.Image, content: bytes = b"") -> bytes | None:
    """The ICC profile that a picture's colors are in, made where the file says it in another way; ``None`` for sRGB.

    Args:
        image: as Pillow opened it.
        content: the file, for what Pillow does not read of it.
    """
    info = image.info
    points = _code_points(image.format, info, content)
    if points is not None and (found := _profile_of_points(*points)) is not None:
        return found or None
    profile = info.get("icc_profile") or _jpeg2000_profile(image.format, content)
    if isinstance(profile, bytes) and profile:
        return profile
    if "srgb" in info:
        return None
    if "gamma" in info or "chromaticity" in info:
        return _profile_of_gamma(info.get("gamma"), info.get("chromaticity"))
    exif = info.get("exif")
    if isinstance(exif, bytes) and image.format in ("JPEG", "MPO") and _ADOBE_MARK.search(exif):
        return _power_profile(*_ADOBE_RGB, _ADOBE_GAMMA)
    return None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture's colors as sRGB.

    Args:
        image: of any mode.
        profile: ICC profile of its colors. One that is damaged, or of another kind than the picture, is ignored.

    Returns:
        Mode RGB or RGBA where a profile was applied, else the picture itself.
    """
    mode = _input_mode(image, profile)
    if mode is None:
        return image
    conversion = _conversion(profile, mode)
    if conversion is None:
        return image
    source = image if image.mode == mode else image.convert(mode)
    converted = ImageCms.applyTransform(source, conversion)
    assert converted is not None, "it is not made in place"
    if image.has_transparency_data and mode == "L":
        converted.putalpha(image.convert("LA").getchannel("A"))
    return converted


def _input_mode(image: Image.Image, profile: bytes | None) -> str | None:
    """The mode that a picture has to have for its profile; ``None`` if the two do not go together."""
    if profile is None:
        return "LAB" if image.mode == "LAB" else None  # which Pillow cannot convert by itself
    if not 128 <= len(profile) <= _MAX_PROFILE_BYTES or profile[12:16] not in _DEVICES:
        return _input_mode(image, None)
    space = _SPACES.get(profile[16:20])
    if space == "RGB" and image.mode not in ("CMYK", "LAB", "YCbCr", "HSV", "I", "F"):
        return "RGBA" if image.has_transparency_data else "RGB"
    if space == "L" and image.mode in ("1", "L", "LA", "La"):
        return "L"
    return space if space in ("CMYK", "LAB") and image.mode == space else _input_mode(image, None)


@lru_cache(maxsize=_KEPT_PROFILES)
def _conversion(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What converts a picture of this mode; ``None`` if nothing has to, or the profile is damaged."""
    try:
        source = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        output = "RGBA" if mode == "RGBA" else "RGB"
        conversion = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, output)
        if profile is None:
            return conversion
        probe = _probe(mode)
        converted = ImageCms.applyTransform(probe, conversion)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    assert converted is not None
    pixels = np.asarray(converted, dtype=np.int16)[0, :, :3]
    if pixels[0].min() < _WHITE_FROM or pixels[1].max() > _BLACK_TO:
        return None
    if mode in ("RGB", "RGBA", "L"):
        before = np.asarray(probe.convert("RGB"), dtype=np.int16)[0]
        if np.abs(pixels - before).max() <= _SAME:
            return None
    return conversion


@lru_cache
def _probe(mode: str) -> Image.Image:
    """A strip of colors of a mode: white, black, then all over the space."""
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    ends = {"RGB": (255, 0), "RGBA": (255, 0), "L": (255, 0), "CMYK": (0, 255)}
    if mode == "L":
        grays = np.concatenate([[255, 0], np.linspace(0, 255, 32)]).round().astype(np.uint8)
        return Image.fromarray(grays[None])
    if mode == "LAB":
        return Image.frombytes("LAB", (2, 1), bytes((255, 128, 128, 0, 128, 128)))
    white, black = (np.full((1, 3), level, np.uint8) for level in ends[mode])
    colors = np.concatenate([white, black, colors])[None]
    if mode == "CMYK":
        key = np.zeros((*colors.shape[:2], 1), np.uint8)
        key[0, 1] = 255
        return Image.fromarray(np.concatenate([colors, key], axis=-1), "CMYK")
    return Image.fromarray(np.ascontiguousarray(colors)).convert(mode)


# --- what files say of their colors beside ICC profiles ---------------------------------------------


def _code_points(image_format: str | None, info: dict[Any, Any], content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer characteristics as code points of ITU-T H.273; ``None`` where the file has none."""
    if image_format == "PNG":
        place = content.find(b"cICP", 8, content.find(b"IDAT"))
        if place > 0 and content[place - 4 : place] == b"\0\0\0\4":
            return content[place + 4], content[place + 5]
    if image_format in ("HEIF", "AVIF") and not info.get("icc_profile"):
        place = content.find(b"colrnclx")
        if place > 0 and len(content) >= place + 12:
            return struct.unpack_from(">HH", content, place + 8)
        nclx = info.get("nclx_profile")
        if isinstance(nclx, dict):
            return int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2))
    return None


def _jpeg2000_profile(image_format: str | None, content: bytes) -> bytes | None:
    """The ICC profile in a JPEG 2000 file (ISO/IEC 15444-1, I.5.3.3), which Pillow does not read."""
    if image_format != "JPEG2000" or not content.startswith(b"\0\0\0\x0cjP"):
        return None
    place = content.find(b"colr", 0, content.find(b"jp2c"))
    if place < 4 or content[place + 4 : place + 5] != b"\2":
        return None
    (length,) = struct.unpack_from(">I", content, place - 4)
    return content[place + 7 : place - 4 + length]


@lru_cache
def _profile_of_points(primaries: int, transfer: int) -> bytes | None:
    """The profile of code points: empty for sRGB, ``None`` for points that say nothing."""
    if transfer not in _CURVES and transfer not in _LIKE_SRGB:
        return None
    if primaries not in _PRIMARIES:
        if primaries != 2 or transfer in _LIKE_SRGB:
            return None
        primaries = _SRGB_PRIMARIES
    if primaries in (1, 5, 6, 7) and transfer in _LIKE_SRGB:
        return b""  # the primaries of old television differ less than its pictures were ever adjusted
    return _make_profile(*_PRIMARIES[primaries], _CURVES.get(transfer, _srgb_curve))


def _profile_of_gamma(gamma: Any, chromaticity: Any) -> bytes | None:
    """The profile of a PNG's gAMA and cHRM; ``None`` for sRGB, and for values that make no sense."""
    primaries, white = _PRIMARIES[_SRGB_PRIMARIES]
    is_other = False
    if isinstance(chromaticity, tuple) and len(chromaticity) == 8 and all(0 < value < 1 for value in chromaticity):
        white, primaries = (chromaticity[0], chromaticity[1]), tuple(chromaticity[2:])
        known, known_white = _PRIMARIES[_SRGB_PRIMARIES]
        pairs = zip((*primaries, *white), (*known, *known_white), strict=True)
        is_other = any(abs(one - other) > 0.005 for one, other in pairs)
    exponent = 1 / gamma if isinstance(gamma, int | float) and 0.1 <= gamma <= 2.0 else None
    if exponent is not None and abs(exponent - 2.2) > 0.05:  # 2.2 stands for sRGB, as in every browser
        return _power_profile(primaries, white, exponent)
    return _make_profile(primaries, white, _srgb_curve) if is_other else None


@lru_cache
def _power_profile(primaries: tuple[float, ...], white: tuple[float, float], exponent: float) -> bytes | None:
    return _make_profile(primaries, white, lambda values: values**exponent)


def _make_profile(primaries: tuple[float, ...], white: tuple[float, float], curve: _Curve) -> bytes | None:
    """An ICC profile (version 2) of primaries and a white, as x and y, and a curve from values to light, 0 to 1.

    Source: ICC.1:2001-04, 6.3.1.2, with the white adapted to D50 by the Bradford matrix (ICC.1:2022, annex E).
    """
    xy = np.array(primaries, dtype=np.float64).reshape(3, 2)
    columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(3), (1 - xy.sum(axis=1)) / xy[:, 1]])
    white_xyz = np.array([white[0] / white[1], 1.0, (1 - sum(white)) / white[1]])
    try:
        matrix = columns * np.linalg.solve(columns, white_xyz)
    except np.linalg.LinAlgError:
        return None
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1.0, 0.8249])
    adapt = np.linalg.solve(cone, np.diag(cone @ d50 / (cone @ white_xyz)) @ cone)
    colorants = adapt @ matrix
    if not np.isfinite(colorants).all() or np.abs(colorants).max() > 4:
        return None
    levels = np.clip(curve(np.linspace(0, 1, _CURVE_POINTS)), 0, 1)
    table = b"curv\0\0\0\0" + struct.pack(">I", _CURVE_POINTS) + (levels * 65535).round().astype(">u2").tobytes()
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz_tag(d50),
        **{name: _xyz_tag(colorants[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), table),
    }
    return _pack_profile(tags)


def _xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _pack_profile(tags: dict[bytes, bytes]) -> bytes:
    start, index, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        index += name + struct.pack(">II", start + len(body), len(value))
        body += padded
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + struct.pack(">I", 0)
    head += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + index + body


def _srgb_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1."""
    light: NDArray[np.float64] = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light


def _pq_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084, with paper white at 1."""
    powered = values ** (32 / 2523)
    light = (np.maximum(powered - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * powered)) ** (16384 / 2610)
    return _compress(light * 10000 / _SDR_WHITE_NITS)


def _hlg_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.2100, table 5, on a screen of 1,000 nits, with paper white at 1."""
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return _compress(scene**1.2 * 1000 / _SDR_WHITE_NITS)


def _compress(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light above 0.8 of white bent so that it never exceeds 1."""
    bent: NDArray[np.float64] = np.where(light <= 0.8, light, 1 - 0.2 * np.exp(-np.maximum(light - 0.8, 0) / 0.2))
    return bent


_CURVES: dict[int, _Curve] = {
    4: lambda values: values**2.2,
    5: lambda values: values**2.8,
    8: lambda values: values,
    16: _pq_curve,
    18: _hlg_curve,
}
"""From values to light, by the code points of H.273, table 3, that are not shown as sRGB."""
