"""Dates as files write them, and which of them are no dates at all.

Clocks that were never set, programs without a date, and damaged files all write one. What is read here is a date on
which somebody can have taken a picture, or nothing.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from clipsearch.media.metadata.values import Precision

FIRST_PHOTOGRAPH = 1826
"""The year of Niépce's view from his window."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MAX_OFFSET_MIN = 14 * 60
"""Of Kiribati, the farthest from UTC."""

_ZONE = r"(?:\s*(Z|[+-]\d\d:?\d\d)(?!\d))?"
_WRITTEN = re.compile(
    r"(\d{4})(?:([:/.-])\s?(\d{1,2})(?:\2\s?(\d{1,2}))?)?(?!\d)"
    r"(?:(?:T|\s+)\s?(\d{1,2}):\s?(\d{1,2})(?::\s?(\d{1,2})(?:[.,]\d*)?)?(?!\d)" + _ZONE + ")?"
)
"""EXIF's ``2021:07:14 19:28:37`` and XMP's ``2021-07-14T19:28:37+02:00``, less exact forms and padding included."""

_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[T ]?(\d\d)(\d\d)(\d\d)?" + _ZONE + ")?")
"""IPTC's ``20210714`` with ``T192837+0200``."""

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")

_DEFAULT_DAYS = frozenset({date(1970, 1, 1), date(1980, 1, 1)})
"""Epochs from which clocks that lost their time count on, so that all of the day is suspect: Unix, DOS and FAT."""

_DEFAULT_TIMES = frozenset(
    {
        datetime(1899, 12, 30),  # OLE automation
        datetime(1900, 1, 1),
        datetime(1904, 1, 1),  # QuickTime, HFS
        datetime(1979, 11, 30),  # FAT, all zero bits
        datetime(1980, 1, 6),  # GPS
        datetime(1999, 11, 30),  # year 2000, month and day zero
        datetime(2000, 1, 1),
        datetime(2000, 1, 1, 12),
        datetime(2001, 1, 1),  # Cocoa
        datetime(2002, 12, 8, 12),  # the camera software of many Android phones
    }
)
"""Further defaults of clocks and programs, to the second."""

_BEFORE_EPOCH = (datetime(1969, 12, 31, 12), datetime(1970, 1, 1))
"""The Unix epoch by clocks west of Greenwich, and the second before it."""


class Moment(NamedTuple):
    """A date and time without a zone; see `clipsearch.media.metadata.values.ImageMetadata`.

    Attributes:
        at: the first of the period where the day is not known.
        offset_min: of its clock from UTC in minutes; ``None`` where nothing says.
        precision: ``None`` where the day is known.
    """

    at: datetime
    offset_min: int | None = None
    precision: Precision | None = None


def read_moment(text: str, *, offset: str = "") -> Moment | None:
    """Read a date with or without a time; ``None`` if it is none, or none on which a picture was taken.

    A month or a day that is missing or 0 is unknown.

    Args:
        text: in any of the forms that EXIF, XMP, IPTC and PNG use.
        offset: from UTC, where another field has it; one in `text` goes first.
    """
    text = text.strip()
    match = _COMPACT.fullmatch(text)
    if match is not None:
        year, month, day, *clock, zone = match.groups()
    elif (match := _WRITTEN.match(text)) is not None:
        year, _, month, day, *clock, zone = match.groups()
        if day is None and match.end() != len(text):
            return None  # a number in a sentence
    else:
        return None
    offset_min = _offset_min(zone) if zone else _offset_min(offset)
    return _checked((year, month, day), clock, offset_min)


def from_timestamp(seconds: float) -> Moment | None:
    """A time in seconds since 1970, UTC; ``None`` if it is none on which a picture was taken."""
    if not math.isfinite(seconds):
        return None
    try:
        at = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None, microsecond=0)
    except OverflowError:
        return None
    return Moment(at, 0) if is_plausible(at, 0) else None


def is_plausible(at: datetime, offset_min: int | None = None, precision: Precision | None = None) -> bool:
    """Whether a picture can have been taken then: after photography began, before now, and not by a clock's default."""
    if precision is not None:  # a clock's default has a day; of a mere year or month somebody knew no more
        return at.year >= FIRST_PHOTOGRAPH and not _is_in_future(at, None)
    if at.year < FIRST_PHOTOGRAPH or at.date() in _DEFAULT_DAYS or at.replace(microsecond=0) in _DEFAULT_TIMES:
        return False
    if _BEFORE_EPOCH[0] <= at < _BEFORE_EPOCH[1]:
        return False
    return not _is_in_future(at, offset_min)


def _is_in_future(at: datetime, offset_min: int | None) -> bool:
    # a day more than is: the clocks of camera and computer differ, and one of them may be in another zone
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1, minutes=offset_min or 0)
    return at > latest


def _checked(day: tuple[str, str | None, str | None], clock: list[str | None], offset_min: int | None) -> Moment | None:
    year, month, number = (int(part or 0) for part in day)
    precision = None if month and number else Precision.MONTH if month else Precision.YEAR
    hour, minute, second = (0, 0, 0) if precision else (int(part or 0) for part in clock)
    try:
        at = datetime(year, month or 1, (number or 1) if month else 1, hour, minute, min(second, 59 + (second > 60)))
    except ValueError:  # the 31st of February, or a second of 61
        return None
    return Moment(at, offset_min, precision) if is_plausible(at, offset_min, precision) else None


def _offset_min(text: str) -> int | None:
    if text == "Z":
        return 0
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[3]) >= 60:
        return None
    minutes = 60 * int(match[2]) + int(match[3])
    return (-minutes if match[1] == "-" else minutes) if minutes <= _MAX_OFFSET_MIN else None
