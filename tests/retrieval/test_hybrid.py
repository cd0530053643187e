"""Words are searched by meaning and by text together: rare ones lead, common ones do not swamp, names come first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.catalog.full_text import OcrLine
from clipsearch.errors import QueryError
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.media.segments import WHOLE_IMAGE
from clipsearch.query import parse_query
from clipsearch.retrieval.hybrid.finding import TextMatch
from clipsearch.retrieval.hybrid.fusion import fused_order
from clipsearch.retrieval.hybrid.words import grade, query_words, whole_text
from clipsearch.retrieval.results import LOOKS_LIKE, Evidence, SearchResult
from tests.conftest import ColourEncoder, save_photo


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Sixty pictures of six colours; a blue receipt with text; a folder of that many that a word is common."""
    folder = tmp_path_factory.mktemp("mixed") / "photos"
    for number in range(30):
        save_photo(folder / "Holiday" / f"IMG_{2000 + number}.png", (200, 5 * number, 40))
    for number in range(29):
        save_photo(folder / f"DSC{number:04}.png", (20, 5 * number, 220))
    save_photo(folder / "receipt.png", "blue")
    with Library.open(folder.with_name("library"), create=True, encoder=ColourEncoder()) as library:
        library.index(folder)
        write_text(library, folder / "receipt.png", "IKEA Deutschland", "Total amount 9.90")
        yield library


def write_text(library: Library, path: Path, *lines: str) -> None:
    result = library.search(f"path:{path.name}", k=1)[0]
    read = [OcrLine(WHOLE_IMAGE, line, 0.9, "latin", (1, 10 * number, 40, 8)) for number, line in enumerate(lines)]
    library._context.store.texts.write({result.content_hash: read}, reader="test")


def names(results: list[SearchResult]) -> list[str]:
    return [result.path.name for result in results]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("The IKEA invoice.", ("ikea", "invoice")),
        ('"total amount" receipt', ("receipt", "total amount")),
        ("beach -people date:2021", ("beach",)),
        ("IMG_2041.JPG", ("img_2041.jpg",)),
        ("a an of 7", ()),
        ("-people", ()),
        ("~#a1b2c3 crème", ("creme",)),
        ("合計 領", ("合計",)),
        ("dog dog Dog", ("dog",)),
    ],
)
def test_words_of_a_query(line: str, words: tuple[str, ...]) -> None:
    assert set(query_words(parse_query(line))) == set(words)


def test_the_whole_text_is_that_of_one_term_alone() -> None:
    assert whole_text(parse_query("Summer  Party.jpg date:2021")) == "summer party.jpg"
    assert whole_text(parse_query("beach -people")) == ""


@pytest.mark.parametrize(
    ("word", "text", "expected"),
    [
        ("dog", "hot dog stand", 1.0),
        ("dog", "dogs", 0.8),
        ("dog", "dogma", 0.0),
        ("cat", "location", 0.0),
        ("invoice", "invoices", 0.8),
        ("rechnung", "stromrechnung", 0.5),
        ("scan", "scan0042.jpg", 1.0),
        ("bad", "1000268201_693bad8cb0e.jpg", 0.0),
        ("2041", "img_2041.jpg", 1.0),
        ("204", "img_2041.jpg", 0.0),
        ("合計", "御合計金額", 1.0),
        ("ikea", "", 0.0),
    ],
)
def test_how_well_a_text_has_a_word(word: str, text: str, expected: float) -> None:
    assert grade(word, text) == expected


def test_a_rare_word_in_a_picture_comes_first_and_says_why(mixed: Library) -> None:
    results = mixed.search("red ikea", k=5)  # by meaning the last: it is blue
    assert names(results)[0] == "receipt.png"
    assert results[0].matched[0] == Evidence("text", "IKEA Deutschland", Box(1, 0, 40, 8))
    assert results[0].score is not None
    assert names(results)[1:] == names(mixed.search("red ikea", k=4, by="meaning"))
    assert results[1].matched == (LOOKS_LIKE,)


def test_a_common_word_does_not_swamp(mixed: Library) -> None:
    assert names(mixed.search("holiday blue", k=5)) == names(mixed.search("holiday blue", k=5, by="meaning"))


@pytest.mark.parametrize("query", ["IMG_2007", "img_2007.png", "IMG_2007.PNG"])
def test_the_name_of_a_file_finds_it_first(mixed: Library, query: str) -> None:
    results = mixed.search(query, k=3)
    assert names(results)[0] == "IMG_2007.png"
    assert results[0].matched[0] == Evidence("name", "IMG_2007.png")
    assert results.notices == ()  # no filter is offered for what was found


def test_without_any_match_by_text_the_order_is_that_of_meaning(mixed: Library) -> None:
    assert mixed.search("green", k=60) == mixed.search("green", k=60, by="meaning")


def test_by_text_lists_only_what_has_the_words(mixed: Library) -> None:
    results = mixed.search("total amount", k=10, by="text")
    assert names(results) == ["receipt.png"] and results[0].score is None
    assert mixed.search("zebra", by="text") == []
    assert len(mixed.search("holiday", k=60, by="text")) == 30
    with pytest.raises(QueryError, match="by both, meaning, text"):
        mixed.search("red", by="colour")


def test_pages_are_parts_of_one_ranking(mixed: Library) -> None:
    whole = names(mixed.search("holiday ikea red", k=60))
    pages = [name for start in range(0, 60, 7) for name in names(mixed.search("holiday ikea red", k=7, offset=start))]
    assert pages == whole and len(set(whole)) == 60


@pytest.mark.parametrize("group", ["none", "copies", "stacks", "duplicates"])
def test_every_grouping_and_filter_holds(mixed: Library, group: str) -> None:
    results = mixed.search("ikea", k=5, group=group)  # type: ignore[arg-type]
    assert names(results)[0] == "receipt.png"
    inside = mixed.search("ikea folder:Holiday", k=60, group=group)  # type: ignore[arg-type]
    assert inside and {result.path.parent.name for result in inside} == {"Holiday"}
    assert names(mixed.search("ikea path:receipt*", by="text", group=group)) == ["receipt.png"]  # type: ignore[arg-type]


def test_a_minimum_keeps_what_the_text_says(mixed: Library) -> None:
    assert "receipt.png" in names(mixed.search("ikea", k=60, min_match="strong"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('text:"total amount"', True),
        ("text:TOTAL", True),
        ("text:holiday", False),  # a folder
        (r"text:/[0-9]+\.90$/", True),
        ("text:/^amount/", False),
        ("not text:ikea path:receipt*", False),
    ],
)
def test_text_filters_are_exact(mixed: Library, line: str, found: bool) -> None:
    assert names(mixed.search(line, k=5)) == (["receipt.png"] if found else [])
    assert names(mixed.search(f"red {line}", k=5)) == (["receipt.png"] if found else [])


def test_a_wrong_expression_is_refused_with_its_place() -> None:
    with pytest.raises(QueryError, match="regular expression") as caught:
        parse_query("red text:/(open/")
    assert caught.value.position == 9
    assert str(parse_query('text:"/a b+/"')) == 'text:"/a b+/"'


def test_ranks_are_fused_by_weight() -> None:
    by_meaning = list(range(1, 101))
    assert fused_order(by_meaning, []) == by_meaning
    assert fused_order(by_meaning, [TextMatch(100, 1.0)])[:2] == [100, 1]
    assert fused_order(by_meaning, [TextMatch(100, 0.001)])[:90] == by_meaning[:90]
    named = fused_order(by_meaning, [TextMatch(50, 1.0), TextMatch(100, 0.1, is_named=True)])
    assert named[:3] == [100, 50, 1]
