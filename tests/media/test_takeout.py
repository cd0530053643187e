"""The JSON of Google Takeout, and JSON that is something else."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.media.metadata.takeout import read_takeout
from clipsearch.media.metadata.values import ImageMetadata, Source

FACTS = {
    "title": "IMG_1.jpg",
    "description": "At dusk\nin Chengdu",
    "creationTime": {"timestamp": "1700000000"},
    "photoTakenTime": {"timestamp": "1258375918", "formatted": "16 Nov 2009, 12:51:58 UTC"},
    "geoData": {"latitude": 30.65, "longitude": 104.07, "altitude": 505.0},
    "people": [{"name": "Anna"}, {"name": "Ben"}],
}


def read(**changes: Any) -> ImageMetadata:
    return read_takeout(json.dumps({**FACTS, **changes}).encode())


def test_what_takeout_says() -> None:
    assert read() == ImageMetadata(
        taken_at=datetime(2009, 11, 16, 12, 51, 58),
        taken_offset_min=0,
        taken_source=Source.TAKEOUT,
        latitude=30.65,
        longitude=104.07,
        altitude_m=505.0,
        position_source=Source.TAKEOUT,
        caption="At dusk in Chengdu",
        keywords=("Anna", "Ben"),
    )


@pytest.mark.parametrize(
    "timestamp",
    ["0", "-1", "1e308", "NaN", "Infinity", "", "yesterday", "9" * 400, 10**400, -(10**18), 4e9, None, True, [], {}],
)
def test_a_time_that_is_none(timestamp: Any) -> None:
    assert read(photoTakenTime={"timestamp": timestamp}).taken_at is None


@pytest.mark.parametrize("timestamp", [1258375918, "1258375918", 1258375918.25])
def test_a_time_in_each_type(timestamp: Any) -> None:
    assert read(photoTakenTime={"timestamp": timestamp}).taken_at == datetime(2009, 11, 16, 12, 51, 58)


@pytest.mark.parametrize(
    "place",
    [
        {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0},
        {"latitude": 91, "longitude": 0.5},
        {"latitude": float("nan"), "longitude": float("inf")},
        {"latitude": 10**400, "longitude": 1},
        {"latitude": "north", "longitude": []},
        {"latitude": 30.65},
        {},
        None,
        "here",
    ],
)
def test_a_place_that_is_none(place: Any) -> None:
    found = read(geoData=place)
    assert (found.latitude, found.longitude, found.altitude_m, found.position_source) == (None, None, None, None)
    assert read(geoData=place, geoDataExif={"latitude": 1.5, "longitude": -2.5}).longitude == -2.5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_encoding_of_an_editor(encoding: str) -> None:
    text = json.dumps({**FACTS, "description": "Übung"}, ensure_ascii=False)
    assert read_takeout(text.encode(encoding)).caption == "Übung"


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"3", b'"text"', b'{"name": "a package"}'])
def test_other_json_says_nothing(content: bytes) -> None:
    assert read_takeout(content) == ImageMetadata()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"no JSON", b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe\x00", b"1" * 5000]
)
def test_what_is_no_json_is_damaged(content: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_takeout(content)


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*FACTS, "geoDataExif"]), _JSON))
def test_no_types_make_reading_raise(changes: dict[str, Any]) -> None:
    read(**changes)
