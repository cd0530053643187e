"""What EXIF tags mean: when, where and with what a picture was taken.

Cameras, phones and programs fill tags with noughts, placeholders and nonsense, so that every value is checked
and what cannot be is ``None``.

Source: CIPA DC-008-2023, Exif 3.0, sections 4.6.4 to 4.6.6; the tags are named beside their numbers.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import NamedTuple

from clipsearch.media.metadata.text import MAX_NAME, Descriptions, clean_keywords, clean_text, decode_text
from clipsearch.media.metadata.tiff import TiffTags, Value

_MAKE, _MODEL, _ORIENTATION, _DATE_TIME = 0x010F, 0x0110, 0x0112, 0x0132
_IMAGE_DESCRIPTION, _RATING, _XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x010E, 0x4746, 0x9C9B, 0x9C9C, 0x9C9E
_EXPOSURE_TIME, _F_NUMBER, _ISO, _SENSITIVITY = 0x829A, 0x829D, 0x8827, (0x8832, 0x8831, 0x8833)
_SHUTTER_SPEED, _APERTURE, _FOCAL_LENGTH, _FOCAL_LENGTH_35MM, _LENS_MODEL = 0x9201, 0x9202, 0x920A, 0xA405, 0xA434
_ORIGINAL, _DIGITIZED, _CHANGED = (0x9003, 0x9011), (0x9004, 0x9012), (_DATE_TIME, 0x9010)
_LATITUDE, _LONGITUDE, _ALTITUDE, _ALTITUDE_REFERENCE = (1, 2), (3, 4), 6, 5

_TIMESTAMP = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(?!\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_YEARS = range(1800, 2200)
"""Of photographs, scans of old ones included; outside are clocks that were never set."""

_MAX_OFFSET_MIN = 14 * 60

_COMPANY_WORDS = frozenset(
    {"corporation", "corp", "company", "co", "ltd", "inc", "ag", "gmbh", "imaging", "optical", "limited"}
)
_PLACEHOLDERS = frozenset(
    {
        "olympus digital camera", "konica minolta digital camera", "minolta digital camera", "digital camera",
        "sony dsc", "samsung", "samsung camera pictures", "exif_jpeg_picture", "dcim", "default", "untitled",
        "hdrpl", "dav", "sdr", "bty", "mde", "ptr", "cof", "oznor", "rhdr",
    }
)  # fmt: skip
"""What cameras write as the description of every picture: it would make each of them match a search for it."""


class Position(NamedTuple):
    """Where a picture was taken; see `ImageMetadata`."""

    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None


def taken(tags: TiffTags) -> tuple[datetime | None, int | None]:
    """When the picture was taken, by the camera's clock, and that clock's offset from UTC in minutes.

    That is DateTimeOriginal, else DateTimeDigitized, else DateTime where a camera is named too: programs set
    DateTime whenever they save, but cameras without the other two write only this one.
    """
    for date_tag, offset_tag in (_ORIGINAL, _DIGITIZED):
        moment = _moment(tags.exif.get(date_tag) or tags.image.get(date_tag))
        if moment is not None:
            return moment, _offset_min(tags.exif.get(offset_tag))
    date_tag, offset_tag = _CHANGED
    moment = _moment(tags.image.get(date_tag)) if _text(tags.image.get(_MAKE), MAX_NAME) else None
    return moment, _offset_min(tags.exif.get(offset_tag)) if moment else None


def camera(tags: TiffTags) -> str | None:
    """Make and model in one line, the make not repeated and without its legal form."""
    make, model = (_text(tags.image.get(tag), MAX_NAME) for tag in (_MAKE, _MODEL))
    if make is None or model is None:
        return model or make
    makers = [word for word in make.split() if word.casefold().strip(".,") not in _COMPANY_WORDS] or make.split()
    if model.split()[0].casefold() in (word.casefold() for word in makers):
        return model
    return f"{' '.join(makers).rstrip(',')} {model}"[:MAX_NAME]


def lens(tags: TiffTags) -> str | None:
    """Model of the lens; cameras write dashes or noughts for one that does not tell them its name."""
    name = _text(tags.exif.get(_LENS_MODEL), MAX_NAME)
    return name if name is not None and re.search(r"[1-9]|[^\W\d_]{3}", name) else None


def focal_length_mm(tags: TiffTags) -> float | None:
    """As set on the lens."""
    return _number(_either(tags, _FOCAL_LENGTH), 0.1, 50_000)


def focal_length_35mm(tags: TiffTags) -> float | None:
    """Its equivalent on 35 mm film."""
    return _number(tags.exif.get(_FOCAL_LENGTH_35MM), 0.1, 50_000)


def f_number(tags: TiffTags) -> float | None:
    """FNumber, else ApertureValue, which is APEX: the square root of two to its power."""
    apex = _number(tags.exif.get(_APERTURE), -2, 20)
    return _number(_either(tags, _F_NUMBER), 0.1, 1_000) or (None if apex is None else round(2 ** (apex / 2), 1))


def exposure_s(tags: TiffTags) -> float | None:
    """ExposureTime, else ShutterSpeedValue, which is APEX: minus the binary logarithm of the seconds."""
    apex = _number(tags.exif.get(_SHUTTER_SPEED), -20, 20)
    return _number(_either(tags, _EXPOSURE_TIME), 1e-7, 1e6) or (None if apex is None else 2.0**-apex)


def iso(tags: TiffTags) -> int | None:
    """PhotographicSensitivity; being 16 bits wide it says 65535 for more, and another tag has the number."""
    found = _number(_either(tags, _ISO), 1, 65_534)
    for tag in _SENSITIVITY:
        found = found or _number(tags.exif.get(tag), 1, 100_000_000)
    return None if found is None else round(found)


def orientation(tags: TiffTags) -> int | None:
    """As stored, 1 to 8."""
    found = _number(tags.image.get(_ORIENTATION), 1, 8)
    return None if found is None else int(found)


def position(tags: TiffTags) -> Position:
    """Latitude and longitude, both or neither, and altitude.

    Noughts without a hemisphere are what devices write that have no fix; with one they are a place at sea.
    """
    latitude, longitude = _degrees(tags, *_LATITUDE, "S", 90), _degrees(tags, *_LONGITUDE, "W", 180)
    altitude = _number(tags.gps.get(_ALTITUDE), -12_000, 100_000)
    if altitude is not None and tags.gps.get(_ALTITUDE_REFERENCE) in (b"\x01", b"\x03", (1,), (3,)):
        altitude = -abs(altitude)
    if latitude is None or longitude is None:
        return Position(altitude_m=altitude)
    without_hemisphere = not (_letter(tags, _LATITUDE[0]) and _letter(tags, _LONGITUDE[0]))
    if latitude == longitude == 0 and without_hemisphere:
        return Position()
    return Position(latitude, longitude, altitude)


def descriptions(tags: TiffTags) -> Descriptions:
    """Caption, and the title, comment, keywords and stars that Windows keeps in tags of its own."""
    caption = _text(tags.image.get(_IMAGE_DESCRIPTION))
    if caption is None or caption.casefold() in _PLACEHOLDERS:
        caption = clean_text(_utf_16(tags.image.get(_XP_COMMENT)))
    rating = _number(tags.image.get(_RATING), 0, 5)
    return Descriptions(
        title=clean_text(_utf_16(tags.image.get(_XP_TITLE))),
        caption=caption,
        keywords=clean_keywords(_utf_16(tags.image.get(_XP_KEYWORDS)).split(";")),
        rating=None if rating is None else int(rating),
    )


def _either(tags: TiffTags, tag: int) -> Value | None:
    return tags.exif.get(tag) or tags.image.get(tag)


def _number(value: Value | None, lowest: float, highest: float) -> float | None:
    """The first number of a tag, if it is in range; NaN never is."""
    if not isinstance(value, tuple) or not value or not lowest <= value[0] <= highest:
        return None
    return float(value[0])


def _text(value: Value | None, limit: int = 2_000) -> str | None:
    return clean_text(decode_text(value.split(b"\0", 1)[0]), limit=limit) if isinstance(value, bytes) else None


def _utf_16(value: Value | None) -> str:
    return value.decode("utf-16-le", errors="ignore").rstrip("\0") if isinstance(value, bytes) else ""


def _moment(value: Value | None) -> datetime | None:
    found = _TIMESTAMP.match(_text(value, MAX_NAME) or "")
    if found is None or int(found[1]) not in _YEARS:
        return None
    try:
        return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
    except ValueError:  # the 31st of February
        return None


def _offset_min(value: Value | None) -> int | None:
    text = _text(value, MAX_NAME) or ""
    if text == "Z":
        return 0
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[3]) >= 60:
        return None
    minutes = 60 * int(found[2]) + int(found[3])
    return (-minutes if found[1] == "-" else minutes) if minutes <= _MAX_OFFSET_MIN else None


def _letter(tags: TiffTags, tag: int) -> str | None:
    """The hemisphere: N, S, E or W."""
    letter = (_text(tags.gps.get(tag), 8) or "")[:1].upper()
    return letter if letter in ("N", "S", "E", "W") else None


def _degrees(tags: TiffTags, reference_tag: int, tag: int, negative: str, highest: int) -> float | None:
    """Degrees, minutes and seconds as degrees, if each is a number in its range; the smaller parts may be missing."""
    parts = tags.gps.get(tag)
    if not isinstance(parts, tuple) or not 1 <= len(parts) <= 3 or not all(math.isfinite(part) for part in parts):
        return None
    whole, *fractions = parts
    if any(not 0 <= part <= 60 for part in fractions) or (whole < 0 and any(fractions)):
        return None
    degrees = whole + sum(part / divisor for part, divisor in zip(fractions, (60, 3600), strict=False))
    if abs(degrees) > highest:
        return None
    return round(-abs(degrees) if _letter(tags, reference_tag) == negative else degrees, 7)
