"""What Google Takeout writes of a photo into a JSON file beside it."""

from __future__ import annotations

import json
import math
from typing import Any

from clipsearch.media.metadata.dates import from_timestamp
from clipsearch.media.metadata.sources import checked_position
from clipsearch.media.metadata.text import clean_keywords, clean_text, decode_text
from clipsearch.media.metadata.values import NOWHERE, ImageMetadata, Position, Source


def read_takeout(content: bytes) -> ImageMetadata:
    """Read date (UTC), place, description and the names of people; nothing where it is JSON of another kind.

    Raises:
        ValueError: it is no JSON; the text says why.
    """
    try:
        facts = json.loads(_decode(content))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    taken = facts.get("photoTakenTime") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not (isinstance(taken, dict) or isinstance(facts.get("geoData"), dict)):
        return ImageMetadata()
    seconds = _number(taken.get("timestamp")) if isinstance(taken, dict) else None
    moment = from_timestamp(seconds) if seconds is not None else None
    position = _position(facts.get("geoData"))
    if position.latitude is None:
        position = _position(facts.get("geoDataExif"))
    return ImageMetadata(
        taken_at=moment.at if moment else None,
        taken_offset_min=moment.offset_min if moment else None,
        taken_source=Source.TAKEOUT if moment else None,
        latitude=position.latitude,
        longitude=position.longitude,
        altitude_m=position.altitude_m if position.latitude is not None else None,
        position_source=Source.TAKEOUT if position.latitude is not None else None,
        caption=clean_text(_text(facts.get("description"))),
        keywords=clean_keywords(_people(facts.get("people"))),
    )


def _position(place: Any) -> Position:
    if not isinstance(place, dict):
        return NOWHERE
    return checked_position(*(_number(place.get(name)) for name in ("latitude", "longitude", "altitude")))


def _people(people: Any) -> list[str]:
    return (
        [_text(person.get("name")) for person in people if isinstance(person, dict)] if isinstance(people, list) else []
    )


def _number(value: Any) -> float | None:
    """A finite number, also as text, which is how Takeout writes times."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decode(content: bytes) -> str:
    """JSON is UTF-8; editors on Windows make UTF-16 or a mark at the beginning of it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return decode_text(content).removeprefix("\ufeff")
