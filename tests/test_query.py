"""The query line parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import QueryError
from clipsearch.query import Query, check_k, parse_query


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a cat", "a cat"),
        ("  two dogs \n\t playing ", "two dogs playing"),
        ("Straße im Regen 🌧", "Straße im Regen 🌧"),
        ("wide\u3000space", "wide space"),
        ('"quoted" -minus +plus', '"quoted" -minus +plus'),
    ],
)
def test_words_are_kept_and_white_space_joined(line: str, text: str) -> None:
    assert parse_query(line) == Query(text=text)


@pytest.mark.parametrize("line", ["", " ", "\n\t ", "\u3000"])
def test_an_empty_query_says_what_to_do(line: str) -> None:
    with pytest.raises(QueryError, match=r"the query is empty; say what to look for, for example: clipsearch search"):
        parse_query(line)


@given(st.text())
def test_parsing_is_idempotent_and_raises_nothing_else(line: str) -> None:
    try:
        query = parse_query(line)
    except QueryError:
        assert not line.strip()
    else:
        assert parse_query(query.text) == query
        assert query.text.split() == line.split()


def test_k_is_returned_from_one_up() -> None:
    assert [check_k(k) for k in (1, 10, 10**9)] == [1, 10, 10**9]


@pytest.mark.parametrize("k", [0, -5])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(QueryError, match=f"k must be at least 1, not {k}"):
        check_k(k)
