"""What EXIF tags mean: when, where and with what a picture was taken.

Cameras, phones and programs fill tags with noughts, placeholders and nonsense, so that every value is checked
and what cannot be is ``None``.

Source: CIPA DC-008-2023, Exif 3.0, sections 4.6.4 to 4.6.6; the tags are named beside their numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from unicodedata import category

from clipsearch.media.metadata.dates import read_moment
from clipsearch.media.metadata.sources import checked_position
from clipsearch.media.metadata.text import (
    MAX_NAME,
    Descriptions,
    clean_keywords,
    clean_text,
    decode_text,
    stars_of_percent,
)
from clipsearch.media.metadata.tiff import TiffTags, Value
from clipsearch.media.metadata.values import DateClaim, Meaning, Position, Source

_MAKE, _MODEL, _ORIENTATION, _DATE_TIME = 0x010F, 0x0110, 0x0112, 0x0132
_IMAGE_DESCRIPTION, _RATING, _RATING_PERCENT = 0x010E, 0x4746, 0x4749
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
_EXPOSURE_TIME, _F_NUMBER, _ISO, _SENSITIVITY = 0x829A, 0x829D, 0x8827, (0x8832, 0x8831, 0x8833)
_SHUTTER_SPEED, _APERTURE, _FOCAL_LENGTH, _FOCAL_LENGTH_35MM, _LENS_MODEL = 0x9201, 0x9202, 0x920A, 0xA405, 0xA434
_USER_COMMENT = 0x9286
_ORIGINAL, _DIGITIZED, _CHANGED = (0x9003, 0x9011), (0x9004, 0x9012), (_DATE_TIME, 0x9010)
_LATITUDE, _LONGITUDE, _ALTITUDE, _ALTITUDE_REFERENCE, _GPS_TIME, _GPS_DATE = (1, 2), (3, 4), 6, 5, 7, 0x1D

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


def dates(tags: TiffTags) -> Iterator[DateClaim]:
    """When the picture was taken, in the order in which that is to be believed.

    That is DateTimeOriginal, DateTimeDigitized, and DateTime where a camera is named too: programs set DateTime
    whenever they save, but cameras without the other two write only this one. The time of the GPS fix is UTC.
    """
    has_camera = _text(tags.image.get(_MAKE), MAX_NAME) is not None
    for (date_tag, offset_tag), meaning in (
        (_ORIGINAL, Meaning.TAKEN),
        (_DIGITIZED, Meaning.DIGITIZED),
        (_CHANGED, Meaning.WRITTEN),
    ):
        if meaning == Meaning.WRITTEN and not has_camera:
            continue
        text = _text(tags.exif.get(date_tag), MAX_NAME) or _text(tags.image.get(date_tag), MAX_NAME)
        moment = read_moment(text or "", offset=_text(tags.exif.get(offset_tag), MAX_NAME) or "")
        if moment is not None:
            yield DateClaim(*moment, Source.EXIF, meaning)
    fixed = read_moment(_time_of_fix(tags), offset="Z")
    if fixed is not None:
        yield DateClaim(*fixed, Source.EXIF, Meaning.WRITTEN)


def _time_of_fix(tags: TiffTags) -> str:
    """GPSDateStamp and GPSTimeStamp, hours, minutes and seconds as numbers."""
    day, clock = _text(tags.gps.get(_GPS_DATE), MAX_NAME), tags.gps.get(_GPS_TIME)
    if day is None or not isinstance(clock, tuple) or len(clock) != 3 or not all(0 <= part <= 60 for part in clock):
        return day or ""
    return f"{day} {int(clock[0]):02}:{int(clock[1]):02}:{int(clock[2]):02}"


def camera(tags: TiffTags) -> str | None:
    """Make and model in one line; see `camera_name`."""
    return camera_name(*(_text(tags.image.get(tag), MAX_NAME) for tag in (_MAKE, _MODEL)))


def camera_name(make: str | None, model: str | None) -> str | None:
    """Make and model in one line, the make not repeated and without its legal form."""
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
    sensitivity = _number(_either(tags, _ISO), 1, 65_534)
    for tag in _SENSITIVITY:
        sensitivity = sensitivity or _number(tags.exif.get(tag), 1, 100_000_000)
    return None if sensitivity is None else round(sensitivity)


def orientation(tags: TiffTags) -> int | None:
    """As stored, 1 to 8."""
    value = _number(tags.image.get(_ORIENTATION), 1, 8)
    return None if value is None else int(value)


def position(tags: TiffTags) -> Position:
    """Latitude and longitude, both or neither, and altitude."""
    altitude = _number(tags.gps.get(_ALTITUDE), -12_000, 100_000)
    if altitude is not None and tags.gps.get(_ALTITUDE_REFERENCE) in (b"\x01", b"\x03", (1,), (3,)):
        altitude = -abs(altitude)
    return checked_position(_degrees(tags, *_LATITUDE, "S"), _degrees(tags, *_LONGITUDE, "W"), altitude)


def descriptions(tags: TiffTags) -> Descriptions:
    """Caption, and the title, comment, keywords and stars that Windows keeps in tags of its own."""
    caption = _text(tags.image.get(_IMAGE_DESCRIPTION))
    if caption is None or caption.casefold() in _PLACEHOLDERS:
        caption = clean_text(_utf_16(tags.image.get(_XP_COMMENT))) or _user_comment(tags.exif.get(_USER_COMMENT))
    rating, percent = _number(tags.image.get(_RATING), 0, 5), _number(tags.image.get(_RATING_PERCENT), 0, 100)
    if rating is None and percent is not None:
        rating = stars_of_percent(percent)
    return Descriptions(
        title=clean_text(_utf_16(tags.image.get(_XP_TITLE))) or clean_text(_utf_16(tags.image.get(_XP_SUBJECT))),
        caption=caption,
        keywords=clean_keywords(_utf_16(tags.image.get(_XP_KEYWORDS)).split(";")),
        rating=None if rating is None else int(rating),
    )


def _user_comment(value: Value | None) -> str | None:
    """A comment behind eight bytes that name its encoding; ``None`` for what cameras keep there that is no text.

    Source: Exif 3.0, section 4.6.6.4. Writers of Unicode do not agree on its byte order.
    """
    if not isinstance(value, bytes):
        return None
    code, comment = value[:8].rstrip(b"\0 "), value[8:]
    if code == b"UNICODE":
        big, little = (comment.decode(name, errors="replace") for name in ("utf-16-be", "utf-16-le"))
        text = min(little, big, key=_strangeness)
    elif code == b"JIS":
        text = comment.decode("iso2022_jp", errors="replace")
    else:
        text = decode_text(comment if code in (b"", b"ASCII") else value)
    text = text.rstrip("\0 ").lstrip("\ufeff")
    if any(_is_strange(each) and not each.isspace() for each in text):
        return None
    cleaned = clean_text(text)
    return cleaned if cleaned is not None and cleaned.casefold() not in _PLACEHOLDERS else None


def _is_strange(character: str) -> bool:
    """Whether no text has it: control characters, what is unassigned or private, and what could not be decoded."""
    return character == "\ufffd" or category(character) in ("Cc", "Cn", "Co", "Cs")


def _strangeness(text: str) -> float:
    """How much a text looks as if decoded in the wrong byte order: by strange characters, and those beyond Latin-1."""
    return sum(_is_strange(each) + (ord(each) > 0xFF) / 2 for each in text)


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


def _letter(tags: TiffTags, tag: int) -> str | None:
    """The hemisphere: N, S, E or W."""
    letter = (_text(tags.gps.get(tag), 8) or "")[:1].upper()
    return letter if letter in ("N", "S", "E", "W") else None


def _degrees(tags: TiffTags, reference_tag: int, tag: int, negative: str) -> float | None:
    """Degrees, minutes and seconds as degrees, if each is a number in its range; the smaller parts may be missing."""
    parts = tags.gps.get(tag)
    if not isinstance(parts, tuple) or not 1 <= len(parts) <= 3 or not all(math.isfinite(part) for part in parts):
        return None
    whole, *fractions = parts
    if any(not 0 <= part <= 60 for part in fractions) or (whole < 0 and any(fractions)):
        return None
    degrees = whole + sum(part / divisor for part, divisor in zip(fractions, (60, 3600), strict=False))
    return -abs(degrees) if _letter(tags, reference_tag) == negative else degrees
