"""Filters that are picked, to the query language and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.query import parse_query
from ui.filter_line import CHOICE_FIELDS, PickedFilters, months_between, read_filters

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8).filter(
    lambda text: not text.endswith("/") and "\\" not in text
)
_MONTHS = st.tuples(st.integers(1900, 2100), st.integers(1, 12)).map(lambda month: f"{month[0]}-{month[1]:02}")


@pytest.mark.parametrize(
    ("line", "picked"),
    [
        ("", PickedFilters()),
        ("camera:fuji or camera:leica", PickedFilters(choices={"camera": ("fuji", "leica")})),
        ("date:2021", PickedFilters(months=("2021-01", "2021-12"))),
        ("date:2021-06..2021-08 rating:>=4", PickedFilters(months=("2021-06", "2021-08"), rating=4)),
        ("near:35.3,25.1,20km", PickedFilters(near="35.3,25.1,20km")),
        ("date:2021-06-15 after:2020", PickedFilters(rest=("date:2021-06-15", "after:2020-01-01"))),
        ("tag:a tag:b", PickedFilters(choices={"tag": ("a",)}, rest=("tag:b",))),
        ("iso:100..400", PickedFilters(rest=("iso:>=100", "iso:<=400"))),
        ("not camera:fuji rating:3", PickedFilters(rest=("not camera:fuji", "rating:3"))),
        ("camera:a or lens:b", PickedFilters(rest=("camera:a or lens:b",))),
        ("words too", PickedFilters(rest=("words too",))),
    ],
)
def test_a_line_is_taken_apart(line: str, picked: PickedFilters) -> None:
    assert read_filters(line) == picked


@given(
    choices=st.dictionaries(
        st.sampled_from([name for name in CHOICE_FIELDS if name not in ("ext", "orientation", "status")]),
        st.lists(_TEXT, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    months=st.none() | st.tuples(_MONTHS, _MONTHS).map(lambda pair: tuple(sorted(pair))),
    rating=st.none() | st.integers(-1, 5),
)
def test_what_is_picked_comes_back_from_its_line(
    choices: dict[str, tuple[str, ...]], months: tuple[str, str] | None, rating: int | None
) -> None:
    picked = PickedFilters(months=months, choices=choices, rating=rating)
    line = picked.line()
    assert read_filters(line) == picked
    if line:
        assert not parse_query(line).terms


def test_months_over_a_new_year() -> None:
    assert months_between("2021-11", "2022-02") == ["2021-11", "2021-12", "2022-01", "2022-02"]
