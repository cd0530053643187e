"""Dates in file names, as phones, messengers and screenshot programs write them."""

from __future__ import annotations

import re
from datetime import timedelta

from clipsearch.media.metadata.dates import Moment, from_timestamp, read_moment

_FIRST_YEAR = 1900
"""Of names: eight digits that begin with less are a number more often than a date."""

_DATED = re.compile(
    r"(?<![0-9A-Za-z])(?:[A-Za-z]{1,12}_?)?(?<!\d)"
    r"(?P<year>\d{4})(?P<mark>[-_. ]?)(?P<month>\d\d)(?P=mark)(?P<day>\d\d)(?!\d)"
    r"(?:[-_. T]{1,2}(?:at |um |à |kl\. )?"
    r"(?P<hour>\d{1,2})[-_.:h]?(?P<minute>\d\d)[-_.:m]?(?P<second>\d\d)(?:[-_.]?\d{3})?(?!\d)"
    r"(?:\s?(?P<half>[AP])M)?|(?![0-9A-Za-z]))",
    re.IGNORECASE,
)
"""``IMG_20210607_123456``, ``Screenshot 2019-02-01 at 21.25.30``, ``signal-2021-06-07-12-34-56-789`` and their like."""

_TOGETHER = re.compile(r"(?<!\d)((?:19|20)\d{6})(\d{6})(?:\d{3})?(?!\d)")
"""``20190201212530``, with or without milliseconds."""

_MILLISECONDS = re.compile(r"(?:FB_IMG_|mmexport|IMG_?|image_?|photo_?)?(1\d{12})(?:[-_ (].*)?", re.IGNORECASE)
"""Since 1970, as Facebook, WeChat and Android programs name what they save."""

_UTC_PREFIX = "pxl_"
"""Of Google's phones: the others name pictures by the local time."""


def date_in_name(relative_path: str) -> Moment | None:
    """The date in a file's name; ``None`` if there is none on which a picture was taken.

    A name without a time has the first second of the day; folders are not looked at.
    """
    stem = relative_path.rpartition("/")[2].rpartition(".")[0]
    if not any(character.isdigit() for character in stem):
        return None
    if found := _MILLISECONDS.fullmatch(stem):
        return from_timestamp(int(found[1]) // 1000)
    if found := _TOGETHER.search(stem):
        moment = _moment(f"{found[1]}T{found[2]}")
        if moment is not None:
            return moment
    for match in _DATED.finditer(stem):
        day = f"{match['year']}{match['month']}{match['day']}"
        if match["month"] == "00" or match["day"] == "00":
            continue
        moment = _with_time(match, day) or _moment(day)
        if moment is not None:
            return moment._replace(offset_min=0) if stem.lower().startswith(_UTC_PREFIX) else moment
    return None


def _with_time(match: re.Match[str], day: str) -> Moment | None:
    """The date with the time behind it, if that is a time of the day: it may be a counter."""
    if match["hour"] is None or (len(match["hour"]) == 1 and match["half"] is None):
        return None
    half = (match["half"] or "").upper()
    if half and not 1 <= int(match["hour"]) <= 12:
        return None
    moment = _moment(f"{day}T{int(match['hour']) % (12 if half else 100):02}{match['minute']}{match['second']}")
    return moment._replace(at=moment.at + timedelta(hours=12)) if moment is not None and half == "P" else moment


def _moment(text: str) -> Moment | None:
    moment = read_moment(text)
    return moment if moment is not None and moment.at.year >= _FIRST_YEAR else None
