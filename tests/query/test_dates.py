"""Dates as people write them, read on one day: a table of values and what they mean."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import QueryError
from clipsearch.query import Condition, DateRange, Query, YearlyDays, hints, parse_query

TODAY = date(2026, 11, 28)
"""A Saturday."""

PERIODS = [
    # months and days
    ("september 2015", "2015-09-01", "2015-09-30"),
    ("Sept. 2015", "2015-09-01", "2015-09-30"),
    ("sep 2015", "2015-09-01", "2015-09-30"),
    ("2015 september", "2015-09-01", "2015-09-30"),
    ("september '15", "2015-09-01", "2015-09-30"),
    ("09/2015", "2015-09-01", "2015-09-30"),
    ("9.2015", "2015-09-01", "2015-09-30"),
    ("2015/09", "2015-09-01", "2015-09-30"),
    ("septembre 2015", "2015-09-01", "2015-09-30"),
    ("März 2015", "2015-03-01", "2015-03-31"),
    ("Ma\u0308rz 2015", "2015-03-01", "2015-03-31"),
    ("2015年9月", "2015-09-01", "2015-09-30"),
    ("２０１５", "2015-01-01", "2015-12-31"),
    ("12 Sep 2015", "2015-09-12", "2015-09-12"),
    ("Sep 12, 2015", "2015-09-12", "2015-09-12"),
    ("the 12th of September 2015", "2015-09-12", "2015-09-12"),
    ("Saturday 12 September 2015", "2015-09-12", "2015-09-12"),
    ("2015-9-12", "2015-09-12", "2015-09-12"),
    ("2015/09/12", "2015-09-12", "2015-09-12"),
    ("2015:09:12", "2015-09-12", "2015-09-12"),
    ("20150912", "2015-09-12", "2015-09-12"),
    ("12.09.2015", "2015-09-12", "2015-09-12"),
    ("25/12/2015", "2015-12-25", "2015-12-25"),
    ("12/25/2015", "2015-12-25", "2015-12-25"),
    ("2015年9月12日", "2015-09-12", "2015-09-12"),
    ("2015년 9월 12일", "2015-09-12", "2015-09-12"),
    ("christmas 2015", "2015-12-25", "2015-12-25"),
    # longer periods
    ("summer 2015", "2015-06-01", "2015-08-31"),
    ("fall of 2015", "2015-09-01", "2015-11-30"),
    ("winter 2015", "2015-12-01", "2016-02-29"),
    ("winter 2015/16", "2015-12-01", "2016-02-29"),
    ("Q3 2015", "2015-07-01", "2015-09-30"),
    ("2015-Q3", "2015-07-01", "2015-09-30"),
    ("third quarter of 2015", "2015-07-01", "2015-09-30"),
    ("2015-W37", "2015-09-07", "2015-09-13"),
    ("week 37 of 2015", "2015-09-07", "2015-09-13"),
    ("1990s", "1990-01-01", "1999-12-31"),
    ("the '90s", "1990-01-01", "1999-12-31"),
    # ranges
    ("2019-2021", "2019-01-01", "2021-12-31"),
    ("2019–2021", "2019-01-01", "2021-12-31"),
    ("2019..2021", "2019-01-01", "2021-12-31"),
    ("2019 to 2021", "2019-01-01", "2021-12-31"),
    ("between 2019 and 2021", "2019-01-01", "2021-12-31"),
    ("from june 2015 to august 2015", "2015-06-01", "2015-08-31"),
    ("june to august 2015", "2015-06-01", "2015-08-31"),
    ("june-august 2015", "2015-06-01", "2015-08-31"),
    ("december 2015 to february", "2015-12-01", "2016-02-29"),
    ("december to february 2016", "2015-12-01", "2016-02-29"),
    ("24-26 december 2015", "2015-12-24", "2015-12-26"),
    ("24 to 26 december 2015", "2015-12-24", "2015-12-26"),
    # relative to today
    ("today", "2026-11-28", "2026-11-28"),
    ("yesterday", "2026-11-27", "2026-11-27"),
    ("the day before yesterday", "2026-11-26", "2026-11-26"),
    ("friday", "2026-11-27", "2026-11-27"),
    ("saturday", "2026-11-28", "2026-11-28"),
    ("last saturday", "2026-11-21", "2026-11-21"),
    ("this week", "2026-11-23", "2026-11-29"),
    ("last week", "2026-11-16", "2026-11-22"),
    ("last weekend", "2026-11-21", "2026-11-22"),
    ("last month", "2026-10-01", "2026-10-31"),
    ("last quarter", "2026-07-01", "2026-09-30"),
    ("last year", "2025-01-01", "2025-12-31"),
    ("last summer", "2026-06-01", "2026-08-31"),
    ("last autumn", "2025-09-01", "2025-11-30"),
    ("last winter", "2025-12-01", "2026-02-28"),
    ("last september", "2026-09-01", "2026-09-30"),
    ("last december", "2025-12-01", "2025-12-31"),
    ("last christmas", "2025-12-25", "2025-12-25"),
    ("3 days ago", "2026-11-25", "2026-11-25"),
    ("two weeks ago", "2026-11-09", "2026-11-15"),
    ("a year ago", "2025-01-01", "2025-12-31"),
    ("last 7 days", "2026-11-22", "2026-11-28"),
    ("past month", "2026-10-29", "2026-11-28"),
]

YEARLY = [
    ("12-25", (12, 25), (12, 25)),
    ("25 december", (12, 25), (12, 25)),
    ("dec 25th", (12, 25), (12, 25)),
    ("25.12.", (12, 25), (12, 25)),
    ("29 february", (2, 29), (2, 29)),
    ("christmas", (12, 25), (12, 25)),
    ("december", (12, 1), (12, 31)),
    ("summer", (6, 1), (8, 31)),
    ("winter", (12, 1), (2, 29)),
    ("q1", (1, 1), (3, 31)),
    ("24 december to 6 january", (12, 24), (1, 6)),
    ("24-26 december", (12, 24), (12, 26)),
    ("12-24..01-06", (12, 24), (1, 6)),
]

OPEN = [
    ("date:before 2010", None, "2010-01-01"),
    ("date:until june 2010", None, "2010-07-01"),
    ("date:after june 2015", "2015-07-01", None),
    ("date:since 2015", "2015-01-01", None),
    ("date:>=june 2015", "2015-06-01", None),
    ("after:june 2015", "2015-06-01", None),
    ("before:yesterday", None, "2026-11-27"),
    ("date:..2010", None, "2011-01-01"),
]

REFUSED = [
    ("soon", "is not a date"),
    ("last", "is not a date"),
    ("3/4/2015", "can be two dates; write 2015-03-04 or 2015-04-03"),
    ("3/4", "can be two dates; write 03-04 or 04-03"),
    ('"29 february 2015"', "there is no date"),
    ('"week 54 2015"', "there is no week 54 in 2015"),
    ('"june 2016 to may 2015"', "is later than"),
    ('"25 december to june 2015"', ""),
    ('"before 25 december"', "is in every year"),
]


def the_filter(line: str) -> Condition:
    condition = parse_query(line, today=TODAY).filter
    assert isinstance(condition, Condition), line
    return condition


@pytest.mark.parametrize(("value", "first", "last"), PERIODS)
def test_periods(value: str, first: str, last: str) -> None:
    for line in (f"date:{value}", f'date:"{value}"', f"DATE:{value.upper()}"):
        found = the_filter(line).value
        assert isinstance(found, DateRange) and found.start is not None and found.end is not None, line
        days = found.end.date().toordinal() - 1
        assert (str(found.start.date()), str(date.fromordinal(days))) == (first, last), line


@pytest.mark.parametrize(("value", "first", "last"), YEARLY)
def test_days_of_any_year(value: str, first: tuple[int, int], last: tuple[int, int]) -> None:
    assert the_filter(f"date:{value}").value == the_filter(f'date:"{value}"').value == YearlyDays(first, last)


@pytest.mark.parametrize(("line", "start", "end"), OPEN)
def test_comparisons_in_words(line: str, start: str | None, end: str | None) -> None:
    found = the_filter(line).value
    assert isinstance(found, DateRange)
    assert [bound and str(bound.date()) for bound in (found.start, found.end)] == [start, end]


@pytest.mark.parametrize(("value", "message"), REFUSED[:7] + REFUSED[8:])
def test_what_is_no_date_is_refused(value: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse_query(f"date:{value}", today=TODAY)


@pytest.mark.parametrize(
    ("line", "words", "dates"),
    [
        ("date:september 2015 dogs", "dogs", "date:2015-09"),
        ("dogs date:last summer on a beach", "dogs on a beach", 'date:"last summer"'),
        ("date:2015 summer dress", "summer dress", "date:2015"),
        ("date:2019 to 2021 dogs", "dogs", "date:2019..2021"),
        ("date:december snow", "snow", "date:12-01..12-31"),
        ("date:sep 2015 -people", "", "date:2015-09"),
        ("(date:sep 2015 or date:may 2016) dogs", "dogs", "date:2015-09 or date:2016-05"),
    ],
)
def test_a_date_without_quotes_ends_where_it_is_none_any_more(line: str, words: str, dates: str) -> None:
    query = parse_query(line, today=TODAY)
    assert str(query.filter) == dates
    assert words in ("", str(query.terms[0]))


@pytest.mark.parametrize("value", [value for value, *_ in PERIODS + YEARLY])
def test_what_is_saved_means_the_same(value: str) -> None:
    query = parse_query(f'date:"{value}"', today=TODAY)
    assert parse_query(str(query), today=TODAY) == query


def test_what_depends_on_today_is_saved_in_words() -> None:
    saved = str(parse_query('dogs date:"last summer"', today=TODAY))
    assert saved == 'dogs date:"last summer"'
    assert parse_query(saved, today=date(2030, 1, 1)).filter == the_filter("date:2029-06..2029-08")


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    quoted = text.replace('"', '""')
    try:
        query = parse_query(f'date:"{quoted}"', today=TODAY)
    except QueryError:
        return
    assert parse_query(str(query), today=TODAY) == query


OFFERED = [
    ("september 2015", "date:2015-09"),
    ("dogs in september 2015", "dogs date:2015-09"),
    ("my vacation 2019 in Crete", "my vacation in Crete date:2019"),
    ('"25 december"', "date:12-25"),
    ("yesterday", 'date:"yesterday"'),
    ("beach last summer", 'beach date:"last summer"'),
    ("2015 camera:fuji", "camera:fuji date:2015"),
    ("IMG_1.jpg", "path:*IMG_1.jpg"),
    ("dogs DSC01234", "dogs path:*DSC01234*"),
    ("Screenshot_20190201-212530", "path:*Screenshot_20190201-212530*"),
    ("*.heic", "path:*.heic"),
    ("Übung.jpg", "path:*Übung.jpg"),
]
NOT_OFFERED = (
    *("a dog", "summer beach", "may flowers", "1000 birds", "10-12 people", "a boeing 747", "last supper", "4 dogs"),
    *("sunday dinner", "1980s fashion", "blade runner 2049", "march of dimes", "-2015", "date:2015", "screenshot"),
    *("this is a dog", "p1 racing car", "@garden", "~photo.jpg"),
)


@pytest.mark.parametrize(("line", "offered"), OFFERED)
def test_words_that_look_like_a_filter_are_offered_as_one(line: str, offered: str) -> None:
    (hint,) = hints(parse_query(line, today=TODAY), TODAY)
    shown = hint.partition("to search by it: ")[2]
    assert parse_query(shown, today=TODAY) == parse_query(offered, today=TODAY)


@pytest.mark.parametrize("line", NOT_OFFERED)
def test_other_words_are_left_alone(line: str) -> None:
    assert hints(parse_query(line, today=TODAY), TODAY) == ()


def test_a_hint_changes_nothing() -> None:
    query = parse_query("september 2015", today=TODAY)
    assert query == Query(query.terms) and query.text == "september 2015"
