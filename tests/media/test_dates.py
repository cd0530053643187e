"""Dates as files and their names have them, and those that are nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.media.metadata.dates import FIRST_PHOTOGRAPH, Moment, from_timestamp, is_plausible, read_moment
from clipsearch.media.metadata.names import date_in_name
from clipsearch.system.file_times import stamp_of, time_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021:07:14 19:28:37", (datetime(2021, 7, 14, 19, 28, 37), None)),
        ("2021-07-14T19:28:37.25+02:00", (datetime(2021, 7, 14, 19, 28, 37), 120)),
        ("2021-07-14T19:28Z", (datetime(2021, 7, 14, 19, 28), 0)),
        ("2021-07-14T19:28:37-0330", (datetime(2021, 7, 14, 19, 28, 37), -210)),
        ("2021-07-14T19:28:37+99:00", (datetime(2021, 7, 14, 19, 28, 37), None)),
        ("2019: 7: 4 10: 5: 3", (datetime(2019, 7, 4, 10, 5, 3), None)),
        ("  2021/07/14 19:28:37  ", (datetime(2021, 7, 14, 19, 28, 37), None)),
        ("2016:12:31 23:59:60", (datetime(2016, 12, 31, 23, 59, 59), None)),  # a leap second
        ("2021:07:14 19:28:61", None),
        ("2021:07:14 24:00:00", None),
        ("20210714", (datetime(2021, 7, 14), None)),
        ("20210714T192837+0200", (datetime(2021, 7, 14, 19, 28, 37), 120)),
        ("2021:07:14", (datetime(2021, 7, 14), None)),
        ("2021:07:14   :  :  ", (datetime(2021, 7, 14), None)),
        ("2019:07", (datetime(2019, 7, 1), None, "month")),
        ("2019", (datetime(2019, 1, 1), None, "year")),
        ("1970", (datetime(1970, 1, 1), None, "year")),  # a person's: a clock has a day
        ("2019:00:00 00:00:00", (datetime(2019, 1, 1), None, "year")),
        ("2019:07:00 10:00:00", (datetime(2019, 7, 1), None, "month")),
        ("2019 Canon", None),
        ("0000:00:00 00:00:00", None),
        ("0000:00:00 24:61:61", None),
        ("9999:99:99 99:99:99", None),
        ("99999999999:01:01 00:00:00", None),
        ("2021:02:31 12:00:00", None),
        ("-2021:07:14 19:28:37", None),
        ("12:30", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_read_in_every_form(text: str, expected: tuple[Any, ...] | None) -> None:
    assert read_moment(text) == (None if expected is None else Moment(*expected))


def test_the_offset_of_another_field_comes_after_that_of_the_text() -> None:
    assert read_moment("2021-07-14T19:28:37", offset="+02:00") == Moment(datetime(2021, 7, 14, 19, 28, 37), 120)
    assert read_moment("2021-07-14T19:28:37Z", offset="+02:00") == Moment(datetime(2021, 7, 14, 19, 28, 37), 0)


@pytest.mark.parametrize(
    "made_up",
    [
        "1601-01-01 00:00:00", "1825-12-31 00:00:00", "1899-12-30 00:00:00", "1900-01-01 00:00:00",
        "1904-01-01 00:00:00", "1969-12-31 16:00:00", "1969-12-31 23:59:59", "1970-01-01 00:00:00",
        "1970-01-01 01:00:00", "1970-01-01 13:45:12", "1979-11-30 00:00:00", "1980-01-01 00:00:00",
        "1980-01-01 00:03:07", "1980-01-06 00:00:00", "1999-11-30 00:00:00", "2000-01-01 00:00:00",
        "2001-01-01 00:00:00", "2002-12-08 12:00:00", "2150-12-31 00:00:00", "9999-12-31 23:59:59",
    ],
)  # fmt: skip
def test_a_clock_that_was_never_set_gives_no_date(made_up: str) -> None:
    assert not is_plausible(datetime.fromisoformat(made_up))
    assert read_moment(made_up) is None
    assert read_moment(made_up.replace("-", ":")) is None


@pytest.mark.parametrize(
    "real",
    ["1826-06-04 12:00:00", "1912-04-14 23:40:00", "1969-12-31 11:00:00", "1970-01-02 00:00:00", "1979-12-31 23:00:00",
     "1987-01-01 00:00:00", "2000-01-01 00:00:30", "2000-01-02 00:00:00", "2002-12-08 12:00:01"],
)  # fmt: skip
def test_dates_beside_those_are_kept(real: str) -> None:
    assert read_moment(real) == Moment(datetime.fromisoformat(real))


def test_the_future_is_none_but_clocks_differ() -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    assert is_plausible(now + timedelta(hours=14))
    assert is_plausible(now + timedelta(hours=14), 14 * 60)
    assert not is_plausible(now + timedelta(days=2))


@pytest.mark.parametrize("seconds", [1e308, -1e308, float("nan"), float("inf"), 2**63, -(2**63), 0, -1, 4e9, 1e12])
def test_a_timestamp_that_is_no_date(seconds: float) -> None:
    assert from_timestamp(seconds) is None


def test_a_timestamp_is_utc() -> None:
    assert from_timestamp(1258375918) == Moment(datetime(2009, 11, 16, 12, 51, 58), 0)
    assert from_timestamp(-86400 * 365.25 * 30) is not None  # a scan from 1940


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="0123456789 :-/T.Z+", max_size=30))
def test_no_text_makes_reading_raise(text: str) -> None:
    moment = read_moment(text)
    assert moment is None or (moment.at.year >= FIRST_PHOTOGRAPH and moment.at < datetime(2200, 1, 1))
    date_in_name(f"{text}.jpg")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG-20210607-WA0001.jpg", "2021-06-07"),
        ("Screenshot_20190201-212530.jpg", "2019-02-01 21:25:30"),
        ("IMG_20210607_123456.jpg", "2021-06-07 12:34:56"),
        ("IMG20190201212530.jpg", "2019-02-01 21:25:30"),
        ("MVIMG_20190201_212530.jpg", "2019-02-01 21:25:30"),
        ("20210607_123456.jpg", "2021-06-07 12:34:56"),
        ("20210607_123456(1).jpg", "2021-06-07 12:34:56"),
        ("PXL_20210607_123456789.MP.jpg", "2021-06-07 12:34:56"),
        ("00000IMG_00000_BURST20190201212530123_COVER.jpg", "2019-02-01 21:25:30"),
        ("2019-02-01 21.25.30.jpg", "2019-02-01 21:25:30"),
        ("Screenshot 2019-02-01 at 21.25.30.png", "2019-02-01 21:25:30"),
        ("Screen Shot 2019-02-01 at 9.25.30 PM.png", "2019-02-01 21:25:30"),
        ("Screen Shot 2019-02-01 at 12.25.30 AM.png", "2019-02-01 00:25:30"),
        ("Screenshot_2019-02-01-21-25-30-123_com.example.png", "2019-02-01 21:25:30"),
        ("signal-2021-06-07-12-34-56-789.jpg", "2021-06-07 12:34:56"),
        ("signal-2021-06-07-123456.jpg", "2021-06-07 12:34:56"),
        ("photo_2021-06-07_12-34-56.jpg", "2021-06-07 12:34:56"),
        ("WhatsApp Image 2021-06-07 at 12.34.56.jpeg", "2021-06-07 12:34:56"),
        ("WP_20140607_12_34_56_Pro.jpg", "2014-06-07 12:34:56"),
        ("DJI_20210607123456_0001_D.jpg", "2021-06-07 12:34:56"),
        ("FB_IMG_1571234567890.jpg", "2019-10-16 14:02:47"),
        ("mmexport1571234567890.jpg", "2019-10-16 14:02:47"),
        ("1987-06-05 Wedding.jpg", "1987-06-05"),
        ("a/folder/of/2001-02-03/19870605.tif", "1987-06-05"),
        ("IMG_20190201_0001.jpg", "2019-02-01"),  # a counter
        ("Screenshot_20190201-996199.jpg", "2019-02-01"),
        ("IMG-20211399-WA0001.jpg", None),
        ("IMG-20210231-WA0001.jpg", None),
        ("IMG_20210000_000000.jpg", None),
        ("IMG_19700101_000000.jpg", None),
        ("IMG_21500101_120000.jpg", None),
        ("2001-02-03/IMG_0123.jpg", None),  # folders are not looked at
        ("DSC_2019.jpg", None),
        ("12345678.jpg", None),
        ("20210607123_abc_o.jpg", None),
        ("a20210607bc.jpg", None),
        ("2019-07.jpg", None),
        ("٢٠٢١٠٦٠٧.jpg", "2021-06-07"),
        ("photo.jpg", None),
    ],
)
def test_the_date_in_a_name(name: str, expected: str | None) -> None:
    found = date_in_name(name)
    assert (found and found.at) == (datetime.fromisoformat(expected) if expected else None)


def test_names_by_utc_say_so() -> None:
    offsets = [date_in_name(name) for name in ("PXL_20210607_123456789.jpg", "FB_IMG_1571234567890.jpg")]
    assert [found and found.offset_min for found in offsets] == [0, 0]


@pytest.mark.parametrize("year", [1970, 2021, 2261])
def test_a_time_of_last_change_comes_back_from_the_catalog(year: int) -> None:
    time = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert time_of(stamp_of(round(time.timestamp()) * 10**9)) == time


@pytest.mark.parametrize("seconds", [10_413_792_000, 2**40, -(2**40), 2**62, -(2**62), 10**30])
def test_a_time_that_no_database_can_hold_is_unknown_yet_another_one_when_it_changes(seconds: int) -> None:
    first, second = stamp_of(seconds * 10**9), stamp_of(seconds * 10**9 + 1)
    assert -(2**63) <= first < 2**63 and first != second
    assert time_of(first) is None
