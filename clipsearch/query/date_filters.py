"""The filters ``date:``, ``after:`` and ``before:``: a period, a range of two, or a comparison with one."""

from __future__ import annotations

import re
from datetime import date

from clipsearch.query.ast import Condition, DateRange, Operator, YearlyDays
from clipsearch.query.date_points import DatePoint, Span, plain_date
from clipsearch.query.named_periods import named_period
from clipsearch.query.values import BadValueError, NotADateError, shown, split_operator

_FORMS = "write 2021, 2021-06-15, june 2021, 25 december or last summer"

_WORDS: tuple[tuple[str, Operator], ...] = (
    (r"(?:before|prior to)\s+(?=\S)", "<"),
    (r"(?:until|till|up to)\s+(?=\S)", "<="),
    (r"after\s+(?=\S)", ">"),
    (r"(?:since|from)\s+(?=\S)", ">="),
)
_BETWEEN = re.compile(r"(?:between|from)\s+(.+?)\s+(?:and|to|until|till|-|–)\s+(.+)", re.IGNORECASE)
_JOINED = re.compile(r"\s*\.\.\.?\s*|\s+(?:to|until|till|through|thru|-|–|—)\s+", re.IGNORECASE)
_NUMBERS_JOINED = re.compile(r"([0-9]{4})\s*[-–—]\s*([0-9]{4})")
_DASHES = re.compile(r"[-–—]")


def parse_dates(text: str, today: date) -> Condition:
    """A period, a range of two, or a comparison with one.

    >>> today = date(2026, 11, 28)
    >>> str(parse_dates("june to august 2021", today).value), str(parse_dates(">2021", today).value)
    ('date:2021-06..2021-08', 'after:2022-01-01')
    >>> str(parse_dates("25 december", today).value), str(parse_dates("last summer", today).value)
    ('date:12-25', 'date:"last summer"')
    """
    operator, bare = _operator(text.strip())
    if operator != "=":
        return _compared("date", operator, bare, text, today)
    ends = _ends(bare)
    if ends is None:
        dates = read_period(bare, today)
    elif ends[0] and ends[1]:
        dates = read_range(ends[0], ends[1], today)
    elif ends[0]:
        return _compared("date", ">=", ends[0], text, today)
    elif ends[1]:
        return _compared("date", "<=", ends[1], text, today)
    else:
        raise BadValueError("a range of dates has at least one end, as in 2021-06..2021-08")
    if isinstance(dates, YearlyDays):
        return Condition("date", "in", dates)
    return _in(DateRange(dates.start, dates.end), dates, "date", text)


def parse_after(text: str, today: date) -> Condition:
    """From the first moment of a period on."""
    return _compared("after", ">=", text, text, today)


def parse_before(text: str, today: date) -> Condition:
    """Up to, but without, the first moment of a period."""
    return _compared("before", "<", text, text, today)


def _compared(field: str, operator: Operator, period: str, text: str, today: date) -> Condition:
    dates = read_period(period, today)
    if isinstance(dates, YearlyDays):
        raise BadValueError(f"{shown(period)} is in every year; add one, as in december 2021")
    ranges = {
        ">": DateRange(dates.end, None),
        ">=": DateRange(dates.start, None),
        "<": DateRange(None, dates.start),
        "<=": DateRange(None, dates.end),
    }
    return _in(ranges[operator], dates, field, text)


def _in(dates: DateRange, found: Span, field: str, text: str) -> Condition:
    """The condition; what depends on today keeps its words."""
    words = " ".join(text.split()).replace('"', '""')
    return Condition("date", "in", DateRange(dates.start, dates.end, f'{field}:"{words}"' if found.moves else ""))


def _operator(text: str) -> tuple[Operator, str]:
    operator, bare = split_operator(text)
    if operator != "=" or bare != text or _BETWEEN.fullmatch(text):
        return operator, bare.strip()
    for words, meant in _WORDS:
        match = re.match(words, text, re.IGNORECASE)
        if match is not None:
            return meant, text[match.end() :]
    return "=", text


def _ends(text: str) -> tuple[str, str] | None:
    """The two ends of a range, one of which may be empty; ``None`` if it is none."""
    match = _BETWEEN.fullmatch(text) or _NUMBERS_JOINED.fullmatch(text)
    if match is not None:
        return match[1], match[2]
    parts = _JOINED.split(text)
    if len(parts) == 2:
        return parts[0], parts[1]
    # with names or one dash only it is no date in numbers, as 2021-06 is
    around = _DASHES.split(text)
    if len(around) == 2 and re.search(r"[^\W\d_]", text) and all(part.strip() for part in around):
        begin, end = around
        if re.search(r"[^\W\d_]{3}", end) and (re.search(r"[^\W\d_]{3}", begin) or begin.strip().isdigit()):
            return begin.strip(), end.strip()
    return None


def read_period(text: str, today: date) -> Span | YearlyDays:
    """A day, month, season, year or another period.

    >>> read_period("sep 2015", date(2026, 11, 28)).start, read_period("25 december", date(2026, 11, 28)).first
    (datetime.datetime(2015, 9, 1, 0, 0), (12, 25))

    Raises:
        BadValueError: it is none.
    """
    plain = plain_date(text)
    point = DatePoint.read(plain)
    if point is not None:
        return point.period(text)
    dates = named_period(plain, today)
    if dates is None:
        raise NotADateError(f"{shown(text)} is not a date; {_FORMS}")
    return dates


def read_range(first: str, last: str, today: date) -> Span | YearlyDays:
    """All from one period to another; the first lacks what the last says for both: ``june to august 2015``.

    Raises:
        BadValueError: one of them is none, or the first is the later one.
    """
    start, end = DatePoint.read(plain_date(first), in_range=True), DatePoint.read(plain_date(last))
    if start is not None and end is not None:
        start, end = start.completed(end), end.after(start)
    begin = start.period(first) if start is not None else read_period(first, today)
    finish = end.period(last) if end is not None else read_period(last, today)
    if isinstance(begin, YearlyDays) and isinstance(finish, YearlyDays):
        return YearlyDays(begin.first, finish.last)
    if isinstance(begin, YearlyDays) or isinstance(finish, YearlyDays):
        raise BadValueError(f"one end of {shown(f'{first} to {last}')} has a year and the other has none")
    if begin.start >= finish.end:
        raise BadValueError(f"{shown(first)} is later than {shown(last)}")
    return Span(begin.start, finish.end, begin.moves or finish.moves)
