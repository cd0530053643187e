"""The search page's part of an address."""

from __future__ import annotations

import pytest

from ui.search_state import SearchState

_HASH = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "state",
    [
        SearchState(),
        SearchState(
            line='"red bicycle" -people', filters="camera:fuji or camera:leica", sort="date", page=3, fold=True
        ),
        SearchState(line="~#0123456789ab", box="10%,10%,20%,20%", view=_HASH),
    ],
)
def test_an_address_restores_what_it_was_made_of(state: SearchState) -> None:
    assert SearchState.read(state.params()) == state


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "²", "1.5"])
def test_a_page_that_is_none_is_the_first(page: str) -> None:
    assert SearchState.read({"page": page}) == SearchState()


def test_nonsense_does_not_get_far() -> None:
    assert SearchState.read({"page": "9" * 5000, "sort": "size"}).page == 10_000


def test_going_on_from_a_picture() -> None:
    state = SearchState(line="beach", filters="rating:5", page=4, view=_HASH)
    assert state.like(_HASH) == SearchState(line="~#0123456789ab", filters="rating:5")
    assert state.with_picture(_HASH).line == "beach ~#0123456789ab"
    assert state.with_picture(_HASH, sign="-").line == "beach -~#0123456789ab"
    assert SearchState().with_picture(_HASH).line == "~#0123456789ab"


@pytest.mark.parametrize(
    ("line", "like"),
    [
        ("", "~#0123456789ab"),
        ("a cat", "~#0123456789ab"),
        ("a cat date:2021 -dog", "~#0123456789ab date:2021"),
        ("camera:fuji or camera:leica", "~#0123456789ab camera:fuji or camera:leica"),
        ("a cat camra:fuji", "~#0123456789ab"),
    ],
)
def test_what_is_like_a_picture_is_looked_for_under_the_same_filters(line: str, like: str) -> None:
    state = SearchState(line=line, filters="rating:>=3", page=3, view="0123456789abcdef").like("0123456789abcdef")
    assert state == SearchState(line=like, filters="rating:>=3")
