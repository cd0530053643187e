"""A date of which only the year or the month is known is found by these, and never by a day in them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from clipsearch.library import Library
from clipsearch.retrieval.results import result_to_json
from tests.conftest import ColourEncoder

DATES = {
    "year": "1987",
    "month": "1987-05",
    "first day": "1987-05-01",
    "last day": "1987-05-31T23:59:59",
    "december": "1986-12",
}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("dates") / "album"
    folder.mkdir()
    for number, (name, date) in enumerate(DATES.items()):
        out = io.BytesIO()
        Image.new("RGB", (16, 12), (40 * number, 90, 90)).save(out, "PNG")
        path = folder / f"{name}.png"
        path.write_bytes(out.getvalue())
        path.with_suffix(".xmp").write_text(
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
            f'photoshop:DateCreated="{date}"/></rdf:RDF></x:xmpmeta>'
        )
    with Library.open(folder.with_name("library"), create=True, encoder=ColourEncoder()) as library:
        assert library.index(folder).embedded == len(DATES)
        yield library


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("date:1987", {"year", "month", "first day", "last day"}),
        ("date:1986-1987", set(DATES)),
        ("date:1987-05", {"month", "first day", "last day"}),
        ("date:1987-04..1987-06", {"month", "first day", "last day"}),
        ("date:1987-01", set()),
        ("date:1987-01-01", set()),
        ("date:1987-05-01", {"first day"}),
        ("date:1987-05-01..1987-05-30", {"first day"}),
        ("date:1987-05-01..1987-05-31", {"month", "first day", "last day"}),
        ("date:1987-01..1987-11", {"month", "first day", "last day"}),
        ("before:1987-05-15", {"first day", "december"}),
        ("before:1987-06", {"month", "first day", "last day", "december"}),
        ("before:1988", set(DATES)),
        ("after:1987", {"year", "month", "first day", "last day"}),
        ("after:1987-02", {"month", "first day", "last day"}),
        ("date:05-01", {"first day"}),
        ("date:may", {"month", "first day", "last day"}),
        ("date:january", set()),
        ("date:winter", {"december"}),
        ("date:12-31", set()),
    ],
)
def test_a_date_filter_meets_the_whole_period_or_not_at_all(album: Library, query: str, found: set[str]) -> None:
    assert {result.path.stem for result in album.search(query, k=9)} == found
    assert {result.path.stem for result in album.search(f"not {query}", k=9)} == set(DATES) - found


def test_results_say_how_much_of_a_date_is_known(album: Library) -> None:
    results = {result.path.stem: result_to_json(result) for result in album.search("date:1986-1987", k=9)}
    assert {name: result["taken_precision"] for name, result in results.items()} == {
        "year": "year", "month": "month", "first day": None, "last day": None, "december": "month",
    }  # fmt: skip
    facets = album.browse.facets()
    assert {(item.value, item.count) for item in facets.months} == {("1986-12", 1), ("1987-05", 3)}
