"""What a video's container says of it: when, where and with what it was taken."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from clipsearch.media.metadata.dates import Moment, read_moment
from clipsearch.media.metadata.exif import camera_name
from clipsearch.media.metadata.sources import checked_position
from clipsearch.media.metadata.text import MAX_NAME, clean_text
from clipsearch.media.metadata.values import NOWHERE, ImageMetadata, Position, Source

_DATES = ("com.apple.quicktime.creationdate", "date", "creation_time", "date_digitized", "icrd")
"""Keys of dates, those that have the camera's own zone first; ``creation_time`` is in UTC."""

_PLACES = ("com.apple.quicktime.location.iso6709", "location", "location-eng", "xyz")
_MAKES = ("com.apple.quicktime.make", "make", "com.android.manufacturer")
_MODELS = ("com.apple.quicktime.model", "model", "com.android.model")
_TITLES = ("title", "com.apple.quicktime.title")
_CAPTIONS = ("description", "com.apple.quicktime.description", "comment")

_ISO_6709 = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")


def read_video_metadata(*tags: Mapping[str, str]) -> ImageMetadata:
    """Metadata from the tags of a container and of its streams; what makes no sense is left out.

    Args:
        tags: by name, those that go first first.
    """
    known = {name.lower(): value for group in reversed(tags) for name, value in group.items() if value.strip()}

    def first(names: tuple[str, ...]) -> str:
        return next((known[name] for name in names if name in known), "")

    taken = next((moment for name in _DATES if (moment := read_date(known.get(name, ""))) is not None), None)
    place = read_iso_6709(first(_PLACES))
    return ImageMetadata(
        taken_at=taken.at if taken else None,
        taken_offset_min=taken.offset_min if taken else None,
        taken_precision=taken.precision if taken else None,
        taken_source=Source.CONTAINER if taken else None,
        camera=camera_name(clean_text(first(_MAKES), limit=MAX_NAME), clean_text(first(_MODELS), limit=MAX_NAME)),
        latitude=place.latitude,
        longitude=place.longitude,
        altitude_m=place.altitude_m,
        position_source=Source.CONTAINER if place.latitude is not None else None,
        title=clean_text(first(_TITLES)),
        caption=clean_text(first(_CAPTIONS)),
    )


def read_date(text: str) -> Moment | None:
    """A date with a time of day; ``None`` for a bare year, which says when a film was made."""
    return read_moment(text) if ":" in text else None


def read_iso_6709(text: str) -> Position:
    """A position as QuickTime writes it, ``+48.8577+002.295+035.000/``.

    Degrees may be followed by minutes and seconds without a separator: ``+4851.46`` is 48° 51.46′.

    Source: ISO 6709:2008, annex H.

    >>> read_iso_6709("+48.8577+002.2950/").longitude, read_iso_6709("+4851.462-00217.70/").longitude
    (2.295, -2.295)
    """
    match = _ISO_6709.match(text.strip())
    if match is None:
        return NOWHERE
    altitude = float(match[3]) if match[3] is not None else None
    return checked_position(_degrees(match[1], 2), _degrees(match[2], 3), altitude)


def _degrees(text: str, digits: int) -> float:
    """A signed angle whose degrees have that many digits; what follows before the point is minutes, then seconds."""
    sign = -1.0 if text[0] == "-" else 1.0
    whole, _, fraction = text[1:].partition(".")
    if len(whole) <= digits:
        return sign * float(text[1:])
    parts = [whole[:digits], *(whole[place : place + 2] for place in range(digits, len(whole), 2))]
    parts[-1] += f".{fraction}" if fraction else ""
    return sign * math.fsum(float(part) / math.pow(60, power) for power, part in enumerate(parts))
