"""Years, months and days as people write them: ``2015-09``, ``september 2015``, ``25 december``, ``15.9.2015``.

Names of months are known in seven languages.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from clipsearch.query.ast import YearlyDays
from clipsearch.query.values import BadValueError, shown
from clipsearch.text import fold


@dataclass(frozen=True)
class Span:
    """Whole days from `start` up to but without `end`; `moves` if these depend on the day of reading."""

    start: datetime
    end: datetime
    moves: bool = False


_ISO = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?")

_MONTHS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janner janvier janv enero gennaio janeiro januari",
            "february feb februar fevrier fevr febrero febbraio fevereiro februari",
            "march mar marz mars marzo marco maart",
            "april apr avril avr abril aprile",
            "may mai mayo maggio maio mei",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet juil julio luglio julho",
            "august aug aout agosto augustus",
            "september sep sept septembre septiembre settembre setembro",
            "october oct oktober okt octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez decembre diciembre dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAY = "|".join(f"{name}|{name[:3]}" for name in WEEKDAYS)

_HOLIDAYS = {
    "christmas eve": "24 december",
    "christmas day": "25 december",
    "christmas": "25 december",
    "boxing day": "26 december",
    "new year's eve": "31 december",
    "new year's day": "1 january",
    "halloween": "31 october",
    "valentine's day": "14 february",
}
FILLERS = frozenset({"the", "of", "in", "on", "during"})
"""Words that say nothing inside of a date, and are no end of one."""

_FILLER = re.compile(rf"\b(?:{'|'.join(sorted(FILLERS))})\b")
_ORDINAL = re.compile(r"\b([0-9]{1,2})(?:st|nd|rd|th)\b")
_EAST_ASIAN = re.compile(r"(?<=[0-9])\s*([年月日년월일])\s*")


@dataclass(frozen=True)
class DatePoint:
    """A year, month or day, or a day of a month in any year; ``None`` is what was not written."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    @classmethod
    def read(cls, plain: str, *, in_range: bool = False) -> DatePoint | None:
        """From plain text; ``None`` if it is no such thing. Only at the beginning of a range is a day enough."""
        if in_range and re.fullmatch(r"[0-9]{1,2}", plain):
            return cls(day=int(plain))
        return _in_numbers(plain) or _in_words(plain)

    def completed(self, other: DatePoint) -> DatePoint:
        """With the year, and beside a day the month, of the end of the range."""
        month = other.month if self.month is None and self.day is not None else self.month
        year = other.year if self.year is None and month is not None else self.year
        if self.year is None and year is not None and (month or 1) > (other.month or 12):
            year -= 1
        return DatePoint(year, month, self.day)

    def after(self, start: DatePoint) -> DatePoint:
        """With the year of the beginning of the range, or the next one, where it is written there alone."""
        if self.year is not None or start.year is None:
            return self
        return DatePoint(start.year + ((self.month or 1) < (start.month or 1)), self.month, self.day)

    def period(self, text: str) -> Span | YearlyDays:
        """All of it.

        Raises:
            BadValueError: there is no such date.
        """
        year, month, day = self.year, self.month, self.day
        if year is not None and not 1000 <= year <= 9998:
            raise BadValueError(f"{shown(text)} is not a date; years go from 1000 to 9998")
        try:
            # a leap year has every day
            start = datetime(2000 if year is None else year, 1 if month is None else month, 1 if day is None else day)
        except ValueError as error:
            raise BadValueError(f"there is no date {shown(text)}") from error
        if month is None:
            return Span(start, datetime(start.year + 1, 1, 1))
        end = months_later(start, 1) if day is None else start + timedelta(days=1)
        if year is None:
            last = end - timedelta(days=1)
            return YearlyDays((start.month, start.day), (last.month, last.day))
        return Span(start, end)


def plain_date(text: str) -> str:
    """In lower case without accents, commas, fillers and ordinals; holidays as their dates."""
    text = _EAST_ASIAN.sub(lambda match: "-" if match[1] in "年月년월" else " ", text).strip().rstrip("-")
    folded = unicodedata.normalize("NFD", fold(text))
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    plain = re.sub(r"[–—−]", "-", plain).replace(",", " ")
    plain = _ORDINAL.sub(r"\1", _FILLER.sub(" ", plain))
    for name, day in _HOLIDAYS.items():
        plain = re.sub(rf"\b{name}\b", day, plain)
    return " ".join(plain.split())


def _in_numbers(plain: str) -> DatePoint | None:
    iso = _ISO.fullmatch(plain)
    if iso is not None:
        return DatePoint(*(None if part is None else int(part) for part in iso.groups()))
    for pattern, order in _NUMBERS:
        match = re.fullmatch(pattern, plain)
        if match is not None:
            return DatePoint(**{name: int(match[name]) for name in order.split()})
    match = re.fullmatch(r"([0-9]{1,2})([-/.])([0-9]{1,2})(?:\2([0-9]{4}))?\.?", plain)
    if match is None:
        return None
    first, second, year = int(match[1]), int(match[3]), int(match[4]) if match[4] else None
    if match[2] == "." or first > 12:
        return DatePoint(year, second, first)
    if second > 12 or first == second or (match[2] == "-" and year is None):
        return DatePoint(year, first, second)
    whole = f"{year}-" if year is not None else ""
    raise BadValueError(
        f"{shown(plain)} can be two dates; write {whole}{first:02}-{second:02} or {whole}{second:02}-{first:02}, "
        "month before day"
    )


_NUMBERS = (
    (r"(?P<year>[0-9]{4})([-/.:])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})", "year month day"),
    (r"(?P<year>[0-9]{4})[/.](?P<month>[0-9]{1,2})", "year month"),
    (r"(?P<year>[12][0-9]{3})(?P<month>[01][0-9])(?P<day>[0-3][0-9])", "year month day"),
    (r"(?P<month>[0-9]{1,2})[-/.](?P<year>[0-9]{4})", "month year"),
)

_ORDERS = {
    "M": "month",
    "MY": "month year",
    "YM": "year month",
    "DM": "day month",
    "MD": "month day",
    "DMY": "day month year",
    "MDY": "month day year",
    "YMD": "year month day",
    "YDM": "year day month",
}


def _in_words(plain: str) -> DatePoint | None:
    """With the name of a month; a weekday before it is passed over."""
    plain = re.sub(rf"^(?:{WEEKDAY})\.?\s+(?=.*[0-9])", "", plain)
    parts = re.findall(r"'[0-9]{2}\b|[0-9]+|[a-z]+", plain)
    if not parts or re.sub(r"[\s./-]|'(?=[0-9]{2}\b)", "", plain) != "".join(part.lstrip("'") for part in parts):
        return None
    values: list[tuple[str, int]] = []
    for part in parts:
        if part in _MONTHS:
            values.append(("M", _MONTHS[part]))
        elif part.startswith("'"):
            values.append(("Y", full_year(int(part[1:]))))
        elif part.isdigit() and len(part) in (1, 2, 4):
            values.append(("Y" if len(part) == 4 else "D", int(part)))
        else:
            return None
    order = _ORDERS.get("".join(kind for kind, _ in values))
    if order is None:
        return None
    return DatePoint(**dict(zip(order.split(), (number for _, number in values), strict=True)))


def full_year(two_digits: int) -> int:
    """The year from 1930 to 2029 that two digits stand for."""
    return two_digits + (1900 if two_digits >= 30 else 2000)


def is_month_name(word: str) -> bool:
    """Whether a word is the name of a month, and hardly another word."""
    return plain_date(word) in _MONTHS.keys() - {"mar", "march", "may", "mars"}


def months_later(start: datetime, count: int) -> datetime:
    """The first of a month so many months later."""
    years, month = divmod(start.month - 1 + count, 12)
    return datetime(min(max(start.year + years, 1), 9999), month + 1, 1)
