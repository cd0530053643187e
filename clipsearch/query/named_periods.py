"""Periods with names of their own: ``last summer``, ``yesterday``, ``3 weeks ago``, ``q2 2019``, ``the 90s``.

Names are English. What depends on the day on which it is read says so, so that a saved search means the same words
the next day.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from clipsearch.query.ast import YearlyDays
from clipsearch.query.date_points import WEEKDAY, WEEKDAYS, DatePoint, Span, full_year, months_later
from clipsearch.query.values import BadValueError

_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""The first month of each, north of the equator."""

_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_COUNTS |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12}

_SEASON = "|".join(_SEASONS)
_UNIT = "day|week|month|year"
_COUNT = "[0-9]{1,4}|" + "|".join(_COUNTS)


def named_period(plain: str, today: date) -> Span | YearlyDays | None:
    """The period that a text of `plain_date` names; ``None`` if it names none."""
    for pattern, read in _PATTERNS:
        match = re.fullmatch(pattern, plain)
        period = read(match, datetime(today.year, today.month, today.day)) if match is not None else None
        if period is not None:
            return period
    return None


def _days(start: datetime, count: int, *, moves: bool = True) -> Span:
    return Span(start, start + timedelta(days=count), moves)


def _months(start: datetime, count: int, *, moves: bool = False) -> Span:
    return Span(start, months_later(start, count), moves)


def _week_of(day: datetime) -> datetime:
    """Its Monday."""
    return day - timedelta(days=day.weekday())


def _day_named(match: re.Match[str], today: datetime) -> Span:
    back = {"today": 0, "now": 0, "yesterday": 1, "day before yesterday": 2}[match[0]]
    return _days(today - timedelta(days=back), 1)


def _weekday(match: re.Match[str], today: datetime) -> Span:
    """The latest one; today is none of the last."""
    number = next(place for place, name in enumerate(WEEKDAYS) if name.startswith(match["weekday"]))
    if match["which"] == "this":
        return _days(_week_of(today) + timedelta(days=number), 1)
    back = (today.weekday() - number) % 7
    return _days(today - timedelta(days=back or (7 if match["which"] else 0)), 1)


def _calendar_unit(match: re.Match[str], today: datetime) -> Span:
    """This or the last week, weekend, month, quarter or year."""
    back = 0 if match["which"] == "this" else 1
    unit = match["unit"]
    if unit == "week":
        return _days(_week_of(today) - timedelta(weeks=back), 7)
    if unit == "weekend":
        saturday = _week_of(today) + timedelta(days=5)
        return _days(saturday - timedelta(weeks=back), 2)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    begin = datetime(today.year, (today.month - 1) // months * months + 1, 1)
    return _months(months_later(begin, -months * back), months, moves=True)


def _recent(match: re.Match[str], today: datetime) -> Span:
    """So many days, weeks, months or years up to today."""
    count, unit = _count(match["count"] or "a"), match["unit"]
    tomorrow = today + timedelta(days=1)
    if unit in ("day", "week"):
        return Span(tomorrow - timedelta(days=count * (7 if unit == "week" else 1)), tomorrow, moves=True)
    months = count * (12 if unit == "year" else 1)
    begin = months_later(tomorrow, -months)
    last = months_later(begin, 1) - timedelta(days=1)
    return Span(begin.replace(day=min(tomorrow.day, last.day)), tomorrow, moves=True)


def _ago(match: re.Match[str], today: datetime) -> Span:
    """The day, week, month or year that was so many of them ago."""
    count, unit = _count(match["count"]), match["unit"]
    if unit == "day":
        return _days(today - timedelta(days=count), 1)
    if unit == "week":
        return _days(_week_of(today) - timedelta(weeks=count), 7)
    months = 12 if unit == "year" else 1
    begin = datetime(today.year, 1 if unit == "year" else today.month, 1)
    return _months(months_later(begin, -months * count), months, moves=True)


def _season_of_year(match: re.Match[str], _today: datetime) -> Span:
    """Three months; a winter begins in December of the year that is named first."""
    return _months(datetime(int(match["year"]), _SEASONS[match["season"]], 1), 3)


def _season(match: re.Match[str], today: datetime) -> Span | YearlyDays:
    """This one, the last that is over, or without such a word that of any year."""
    month = _SEASONS[match["season"]]
    if not match["which"]:
        last = months_later(datetime(1999, month, 1), 3) - timedelta(days=1)  # the winter of a leap year
        return YearlyDays((month, 1), (last.month, last.day))
    begin = datetime(today.year, month, 1)
    if match["which"] == "this":
        is_winter_begun_before = month == 12 and today.month < 3
        return _months(begin.replace(year=today.year - is_winter_begun_before), 3, moves=True)
    while months_later(begin, 3) > today:
        begin = begin.replace(year=begin.year - 1)
    return _months(begin, 3, moves=True)


def _latest(match: re.Match[str], today: datetime) -> Span | None:
    """The latest month or day of a month; that of this year, or the last that is over."""
    point = DatePoint.read(match["point"])
    if point is None or point.year is not None:
        return None
    for year in range(today.year, today.year - 9, -1):  # leap days may be eight years apart
        try:
            span = DatePoint(year, point.month, point.day).period(match[0])
        except BadValueError:
            continue
        assert isinstance(span, Span), "it has a year"
        if match["which"] == "this" or span.end <= today:
            return Span(span.start, span.end, moves=True)
    return None


def _quarter(match: re.Match[str], _today: datetime) -> Span | YearlyDays:
    names = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
    month = 3 * int(names.get(match["quarter"], match["quarter"])) - 2
    if match["year"]:
        return _months(datetime(int(match["year"]), month, 1), 3)
    last = months_later(datetime(2000, month, 1), 3) - timedelta(days=1)
    return YearlyDays((month, 1), (last.month, last.day))


def _numbered_week(match: re.Match[str], _today: datetime) -> Span:
    try:
        monday = datetime.fromisocalendar(int(match["year"]), int(match["week"]), 1)
    except ValueError as error:
        raise BadValueError(f"there is no week {match['week']} in {match['year']}") from error
    return _days(monday, 7, moves=False)


def _decade(match: re.Match[str], _today: datetime) -> Span:
    written = int(match["decade"])
    begin = datetime(written if len(match["decade"]) == 4 else full_year(written), 1, 1)
    return _months(begin, 120)


def _count(written: str) -> int:
    return _COUNTS.get(written) or int(written)


_YEAR = r"(?P<year>(?!9999)[1-9][0-9]{3})"
_WHICH = r"(?P<which>last|previous|past|this)"
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str], datetime], Span | YearlyDays | None]], ...] = (
    (r"today|now|yesterday|day before yesterday", _day_named),
    (rf"(?:{_WHICH}\s)?(?P<weekday>{WEEKDAY})", _weekday),
    (r"(?P<which>last|previous|this)\s(?P<unit>week|weekend|month|quarter|year)", _calendar_unit),
    (rf"(?:last|past|previous)\s(?:(?P<count>{_COUNT})\s)?(?P<unit>{_UNIT})s?", _recent),
    (rf"(?P<count>{_COUNT})\s(?P<unit>{_UNIT})s?\sago", _ago),
    (rf"(?P<season>{_SEASON})\s{_YEAR}(?:\s?[-/]\s?(?:[0-9]{{2}}){{1,2}})?", _season_of_year),
    (rf"{_YEAR}\s(?P<season>{_SEASON})", _season_of_year),
    (rf"(?:{_WHICH}\s)?(?P<season>{_SEASON})", _season),
    (rf"{_WHICH}\s(?P<point>.+)", _latest),
    (rf"q(?P<quarter>[1-4])(?:[\s/-]?{_YEAR})?", _quarter),
    (rf"{_YEAR}[\s/-]?q(?P<quarter>[1-4])", _quarter),
    (rf"(?P<quarter>first|second|third|fourth|last|[1-4]) quarter(?:\s{_YEAR})", _quarter),
    (rf"{_YEAR}[\s-]?w(?:eek)?\s?(?P<week>[0-9]{{1,2}})", _numbered_week),
    (rf"w(?:eek)?\s?(?P<week>[0-9]{{1,2}})[\s/-]{_YEAR}", _numbered_week),
    (r"'?(?P<decade>(?:[1-9][0-9])?[0-9]0)'?s", _decade),
)
