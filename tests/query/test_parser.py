"""The query language: a table of lines, good and bad, and the way back from what they mean to a line."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import pickle
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import QueryError
from clipsearch.query import (
    And,
    ConceptTerm,
    Condition,
    DateRange,
    Filter,
    ImageTerm,
    Near,
    Not,
    Or,
    Query,
    Size,
    Term,
    TextTerm,
    check_k,
    parse_query,
    same_extensions,
)
from clipsearch.query.fields import FIELDS, ORIENTATIONS, STATUSES
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "query.md"


def text(words: str, weight: float = 1.0) -> TextTerm:
    return TextTerm(words, weight)


def day(year: int, month: int = 1, of_month: int = 1) -> datetime:
    return datetime(year, month, of_month)


def dates(start: datetime | None, end: datetime | None) -> Condition:
    return Condition("date", "in", DateRange(start, end))


def both(*parts: Filter) -> And:
    return And(parts)


def either(*parts: Filter) -> Or:
    return Or(parts)


FUJI = Condition("camera", "contains", "fuji")
LEICA = Condition("camera", "contains", "leica")
CRETE = Condition("folder", "=", "Crete")
IN_2021 = dates(day(2021), day(2022))

TERMS: list[tuple[str, list[Term]]] = [
    ("a cat", [text("a cat")]),
    ("  two dogs \n\t playing ", [text("two dogs playing")]),
    ("Straße im Regen 🌧", [text("Straße im Regen 🌧")]),
    ("wide\u3000space", [text("wide space")]),
    ("t-shirt", [text("t-shirt")]),
    ("Beatles - Abbey Road", [text("Beatles - Abbey Road")]),
    ("a screen in 4:3", [text("a screen in 4:3")]),
    ("breakfast at 10:30am", [text("breakfast at 10:30am")]),
    ("http://example.org/a", [text("http://example.org/a")]),
    ("caption this: dogs", [text("caption this: dogs")]),
    ("happy dog:)", [text("happy dog:)")]),
    ("a dog (running)", [text("a dog (running)")]),
    ("black or white", [text("black or white")]),
    ("salt and pepper", [text("salt and pepper")]),
    ("not a cat", [text("not a cat")]),
    ("and/or", [text("and/or")]),
    ('a 5" nail', [text('a 5" nail')]),
    ("-- > -_- +", [text("-- > -_- +")]),
    ("~ about @ noon", [text("~ about @ noon")]),
    ("somebody@example.org", [text("somebody@example.org")]),
    ("c++ code", [text("c++ code")]),
    ('"red bicycle"', [text("red bicycle")]),
    ('"red   bicycle" beach', [text("red bicycle"), text("beach")]),
    ('"a ""big"" dog"', [text('a "big" dog')]),
    ("“red bicycle”", [text("red bicycle")]),
    ("„rotes Rad“", [text("rotes Rad")]),
    ('"date: 2021"', [text("date: 2021")]),
    ("beach -people", [text("beach"), text("people", -1)]),
    ("dogs -people playing", [text("dogs playing"), text("people", -1)]),
    ('-"people swimming" beach', [text("people swimming", -1), text("beach")]),
    ("-people", [text("people", -1)]),
    ("-🌧", [text("🌧", -1)]),
    ("-“two cats”", [text("two cats", -1)]),
    ("+beach sunset", [text("beach"), text("sunset")]),
    ("-5", [text("5", -1)]),
    ("2:beach sunset", [text("beach", 2), text("sunset")]),
    ('2:"red bicycle"', [text("red bicycle", 2)]),
    ("-0.5:rain", [text("rain", -0.5)]),
    ("-.5:rain", [text("rain", -0.5)]),
    ("+.5:rain", [text("rain", 0.5)]),
    ("1:rain", [text("rain")]),
    ("2:1960s", [text("2:1960s")]),
    ('2:"1960s"', [text("1960s", 2)]),
    ("~./ref.jpg", [ImageTerm("./ref.jpg")]),
    ("~C:\\photos\\x.jpg", [ImageTerm("C:\\photos\\x.jpg")]),
    ('~"C:\\my photos\\x.jpg"', [ImageTerm("C:\\my photos\\x.jpg")]),
    ('~"my photo.jpg" snow', [ImageTerm("my photo.jpg"), text("snow")]),
    ("~~/ref.jpg", [ImageTerm("~/ref.jpg")]),
    ("-0.5:~blurry.jpg", [ImageTerm("blurry.jpg", -0.5)]),
    ("~#A1B2C3", [ImageTerm("#a1b2c3")]),
    ("-~#a1b2c3d4", [ImageTerm("#a1b2c3d4", -1)]),
    ('~"./#1.jpg"', [ImageTerm("./#1.jpg")]),
    ("@garden", [ConceptTerm("garden")]),
    ('-2:@"my cat"', [ConceptTerm("my cat", -2)]),
    (
        '2:beach -people "red bicycle" ~./ref.jpg -0.5:~blurry.jpg',
        [
            text("beach", 2),
            text("people", -1),
            text("red bicycle"),
            ImageTerm("./ref.jpg"),
            ImageTerm("blurry.jpg", -0.5),
        ],
    ),
]

FILTERS: list[tuple[str, Filter]] = [
    ("after:2021-06", dates(day(2021, 6), None)),
    ("before:2022", dates(None, day(2022))),
    ("date:2021", IN_2021),
    ("DATE:2021", IN_2021),
    ('date:"2021"', IN_2021),
    ("+date:2021", IN_2021),
    ("date:2021-12", dates(day(2021, 12), day(2022))),
    ("date:2021-6", dates(day(2021, 6), day(2021, 7))),
    ("date:2024-02-29", dates(day(2024, 2, 29), day(2024, 3, 1))),
    ("date:2021-06..2021-08", dates(day(2021, 6), day(2021, 9))),
    ("date:2021..", dates(day(2021), None)),
    ("date:..2021", dates(None, day(2022))),
    ("date:>2021", dates(day(2022), None)),
    ("date:>=2021-06", dates(day(2021, 6), None)),
    ("date:<2021", dates(None, day(2021))),
    ("date:<=2021", dates(None, day(2022))),
    ("camera:fuji", FUJI),
    ('lens:"35mm f/2"', Condition("lens", "contains", "35mm f/2")),
    ("iso:400", Condition("iso", "=", 400)),
    ("iso:100..400", both(Condition("iso", ">=", 100), Condition("iso", "<=", 400))),
    ("focal:>=85mm", Condition("focal", ">=", 85.0)),
    ("focal:50", both(Condition("focal", ">=", 49.5), Condition("focal", "<", 50.5))),
    ("aperture:f/2.8", both(Condition("aperture", ">=", 2.75), Condition("aperture", "<", 2.85))),
    ("aperture:<2", Condition("aperture", "<", 2.0)),
    ("folder:Crete", CRETE),
    ('folder:"Summer 2021"', Condition("folder", "=", "Summer 2021")),
    ("folder:C:\\Photos\\Crete\\", Condition("folder", "=", "C:/Photos/Crete")),
    ("folder:/photos/", Condition("folder", "=", "/photos")),
    ("path:*.heic", Condition("path", "matches", "*.heic")),
    ("ext:.PNG", Condition("ext", "=", "png")),
    ("ext:jpeg", Condition("ext", "=", "jpg")),
    ("size:>2MP", Condition("size", ">", Size(2.0, "MP"))),
    ("size:>=1000px", Condition("size", ">=", Size(1000.0, "px"))),
    ("size:1920px", Condition("size", "=", Size(1920.0, "px"))),
    ("size:<1.5mb", Condition("size", "<", Size(1_500_000.0, "B"))),
    ("size:>1MiB", Condition("size", ">", Size(1_048_576.0, "B"))),
    ("size:12MP", both(Condition("size", ">=", Size(11.5, "MP")), Condition("size", "<", Size(12.5, "MP")))),
    ("size:2MP..", Condition("size", ">=", Size(2.0, "MP"))),
    ("orientation:Portrait", Condition("orientation", "=", "portrait")),
    ("near:35.3,25.1,20km", Condition("near", "in", Near(35.3, 25.1, 20_000.0))),
    ("near:-33.9,+18.4,500m", Condition("near", "in", Near(-33.9, 18.4, 500.0))),
    ("rating:>=4", Condition("rating", ">=", 4)),
    ("rating:-1", Condition("rating", "=", -1)),
    ("rating:4..", Condition("rating", ">=", 4)),
    ("keyword:family", Condition("keyword", "=", "family")),
    ("tag:dog", Condition("tag", "=", "dog")),
    ("title:wedding", Condition("title", "contains", "wedding")),
    ("caption:“old harbour”", Condition("caption", "contains", "old harbour")),
    ("root:usb", Condition("root", "=", "usb")),
    ("status:offline", Condition("status", "=", "offline")),
    ("camera:fuji date:2021", both(FUJI, IN_2021)),
    ("not camera:fuji", Not(FUJI)),
    ("NOT camera:fuji", Not(FUJI)),
    ("-camera:fuji", Not(FUJI)),
    ("not not camera:fuji", Not(Not(FUJI))),
    ("camera:fuji or camera:leica", either(FUJI, LEICA)),
    ("camera:fuji OR not camera:leica", either(FUJI, Not(LEICA))),
    ("folder:Crete camera:fuji or camera:leica", both(CRETE, either(FUJI, LEICA))),
    ("(folder:Crete camera:fuji) or camera:leica", either(both(CRETE, FUJI), LEICA)),
    ("-(camera:fuji or camera:leica)", Not(either(FUJI, LEICA))),
    ("not(camera:fuji date:2021)", Not(both(FUJI, IN_2021))),
    ("( ( camera:fuji ) )", FUJI),
    ("folder:Crete(2021)", Condition("folder", "=", "Crete(2021)")),
]

MIXED: list[tuple[str, Query]] = [
    ("dog camera:fuji on the beach", Query((text("dog on the beach"),), FUJI)),
    ("black or white camera:fuji", Query((text("black or white"),), FUJI)),
    ("date:2021 -rain not camera:fuji", Query((text("rain", -1),), both(IN_2021, Not(FUJI)))),
    ("camera:fuji not", Query((text("not"),), FUJI)),
    ("camera:fuji and a dog", Query((text("and a dog"),), FUJI)),
]

REFUSED: list[tuple[str, int | None, str]] = [
    ("", None, "the query is empty; say what to look for, for example: clipsearch search"),
    (" \n\u3000", None, "the query is empty"),
    ("x" * 10_001, None, "the query has 10001 characters; the most are 10000"),
    ("camra:fuji", 1, "there is no field 'camra'; did you mean camera?"),
    ("a dog dte:2021", 7, "there is no field 'dte'; did you mean date?"),
    ("stars:5", 1, "did you mean rating?"),
    ("not format:png", 5, "did you mean ext?"),
    ("(xyzzy:1 or date:2021)", 2, "there is no field 'xyzzy'; there are after, before, date"),
    ("re:zero", 1, "quote it if it is a word"),
    ("2:re:zero", 3, "there is no field 're'"),
    ("date:2021-13", 6, "date: there is no date '2021-13'"),
    ("date:2021-02-29", 6, "there is no date '2021-02-29'"),
    ("date:2021-00", 6, "there is no date"),
    ("after:25 december", 7, "'25 december' is in every year; add one"),
    ("date:3/4/2021", 6, "can be two dates; write 2021-03-04 or 2021-04-03"),
    ("date:soon", 6, "is not a date; write 2021, 2021-06-15, june 2021, 25 december or last summer"),
    ("after:>2021", 7, "is not a date"),
    ("before:tomorrow", 8, "is not a date"),
    ("date:0000", 6, "years go from 1000 to 9998"),
    ("date:2022..2021", 6, "'2022' is later than '2021'"),
    ("date:..", 1, "needs its value"),
    ("date:", 1, "'date:' needs its value right after the colon, as in date:2021"),
    ("date: 2021", 1, "needs its value right after the colon"),
    ("rating:6", 8, "rating: '6' is not a whole number from -1 to 5"),
    ("rating:4.5", 8, "not a whole number"),
    ("rating:>=four", 8, "'four' is not a number"),
    ("rating:5..4", 8, "'5' is more than '4'"),
    ("rating:..", 1, "needs its value"),
    ("iso:high", 5, "'high' is not a number"),
    ("iso:٤", 5, "is not a number"),
    ("focal:0", 7, "not a number above 0"),
    ("aperture:wide", 10, "'wide' is not a number above 0"),
    ("size:>2", 6, "has no unit that is known; write MP, px, kB, MB or GB"),
    ("size:big", 6, "is not a size; write >2MP"),
    ("size:1920x1080", 6, "is not a size"),
    ("size:1MP..2MB", 6, "or another unit"),
    ("orientation:potrait", 13, "did you mean portrait?"),
    ("status:xyzzy", 8, "it is one of offline, online"),
    ("near:35.3,25.1", 6, "write LATITUDE,LONGITUDE,RADIUS as in 35.3,25.1,20km"),
    ("near:35.3, 25.1, 20km", 6, "is not a place"),
    ("near:95,25,1km", 6, "'95' is not a latitude; they go from -90 to 90"),
    ("near:35,181,1km", 6, "'181' is not a longitude"),
    ("near:35,25,0km", 6, "not a number above 0"),
    ("near:35,25,30000km", 6, "half way round the Earth"),
    ("ext:*", 5, "'*' is not an extension"),
    ("beach or camera:fuji", 7, "'or' joins two filters"),
    ("camera:fuji or beach", 13, "'or' joins two filters"),
    ("camera:fuji or", 13, "'or' joins two filters"),
    ("or camera:fuji", 1, "'or' joins two filters"),
    ("camera:fuji and date:2021", 13, "leave out 'and'"),
    ("(camera:fuji beach)", 14, "only filters stand in parentheses"),
    ("a (camera:fuji", 3, "the parenthesis is not closed"),
    ("(camera:fuji)beach", 14, "put a space after the parenthesis"),
    ('beach "red bicycle', 7, "the quote is not closed"),
    ('folder:"Summer', 8, "the quote is not closed"),
    ('"red"bicycle', 6, "put a space after the quote"),
    ('beach ""', 7, "there is nothing between the quotes"),
    ('camera:" "', 8, "there is nothing between the quotes"),
    ("0:beach", 1, "'0' is not a weight; they go from above 0 to 100"),
    ("-2021:beach", 2, "'2021' is not a weight"),
    ("2:-people", 3, "the sign stands before the weight, as in -2:beach"),
    ("--people", 1, "one sign is enough"),
    ("2:date:2021", 1, "a filter takes no weight"),
    ("~#abc", 2, "is not the id of a result, which has 6 to 32"),
    ("~#xyzxyz", 2, "is not the id of a result"),
    ("@home,", 2, "is not a name; quote it if it is one"),
    ("C:\\photos\\x.jpg", 1, "to search with a picture, write ~ before its path"),
    ("dogs ./ref.jpg", 6, "to search with a picture, write ~ before its path"),
    ("/home/me/ref.jpg", 1, "to search with a picture"),
    ("not " * 30 + "date:2021", 81, "20 deep"),
    ("(" * 5000 + "date:2021", 21, "20 deep"),
]


@pytest.mark.parametrize(("line", "terms"), TERMS)
def test_terms(line: str, terms: list[Term]) -> None:
    assert parse_query(line) == Query(tuple(terms), None)


@pytest.mark.parametrize(("line", "expected"), FILTERS)
def test_filters(line: str, expected: Filter) -> None:
    assert parse_query(line) == Query((), expected)


@pytest.mark.parametrize(("line", "expected"), MIXED)
def test_terms_and_filters(line: str, expected: Query) -> None:
    assert parse_query(line) == expected


@pytest.mark.parametrize(("line", "column", "message"), REFUSED)
def test_what_is_not_understood_is_refused_with_its_place(line: str, column: int | None, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(line)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    if column is None:
        assert caught.value.position is None
    else:
        assert str(caught.value).startswith(f"column {column}: ")
        assert (caught.value.line, caught.value.position) == (line, column - 1)


GOOD = [line for line, _ in [*TERMS, *FILTERS, *MIXED]]


def test_the_tables_are_as_long_as_they_were_meant_to_be() -> None:
    assert len(GOOD) + len(REFUSED) >= 100


@pytest.mark.parametrize("line", GOOD)
def test_the_canonical_line_means_the_same_and_stays(line: str) -> None:
    query = parse_query(line)
    assert parse_query(str(query)) == query
    assert str(parse_query(str(query))) == str(query)


def test_the_text_of_a_query_is_there_when_it_is_all_there_is() -> None:
    assert parse_query('"red bicycle"').text == "red bicycle"
    assert [parse_query(line).text for line in ("-a", "a -b", "a date:2021", "~a.jpg", "2:a", "date:2021")] == [
        None
    ] * 6


def test_a_reference_is_a_path_or_a_content_hash() -> None:
    assert (ImageTerm("#a1b2c3").content_hash, ImageTerm("#a1b2c3").path) == ("a1b2c3", None)
    assert (ImageTerm("a.jpg").content_hash, ImageTerm("a.jpg").path) == (None, "a.jpg")


def test_extensions_that_mean_the_same() -> None:
    assert same_extensions("jpg") == same_extensions("jpeg")
    assert same_extensions("png") == ("png",)


def test_a_range_without_bounds_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="at least one bound"):
        str(DateRange(None, None))


# The way back: any query has a line, and it means that query.

_words = st.text(min_size=1).map(lambda words: " ".join(words.split())).filter(bool)
_usual = st.sampled_from(["beach", "or", "and", "not", "date:2021", "2:x", "-x", "(a:b)", "~x", "@x", '"', "“x”", "#a"])
_texts = st.lists(_words | _usual, min_size=1, max_size=3).map(" ".join)
_weights = st.floats(1e-6, 100, exclude_min=True).flatmap(lambda weight: st.sampled_from([1.0, -1.0, weight, -weight]))
_paths = st.text(min_size=1).filter(lambda path: path.strip() != "" and not path.startswith("#"))
_ids = st.text("0123456789abcdef", min_size=6, max_size=32).map("#{}".format)
_terms = (
    st.builds(TextTerm, _texts, _weights)
    | st.builds(ImageTerm, _paths | _ids, _weights)
    | st.builds(ConceptTerm, _texts, _weights)
)
_days = st.dates(day(1000).date(), day(9998, 12, 31).date()).map(lambda date: day(date.year, date.month, date.day))
_firsts = st.builds(day, st.integers(1000, 9998), st.integers(1, 12)) | st.builds(day, st.integers(1000, 9998))


@st.composite
def _date_ranges(draw: st.DrawFn) -> DateRange:
    start, end = sorted((draw(_days | _firsts), draw(_days | _firsts)))
    if start == end:
        end += timedelta(days=1)
    kept = draw(st.sampled_from(["both", "start", "end"]))
    return DateRange(start if kept != "end" else None, end if kept != "start" else None)


def _degrees(most: int) -> st.SearchStrategy[float]:
    return st.floats(-most, most).map(lambda number: round(number, 9))


_comparisons = st.sampled_from(["<", "<=", ">", ">="])
_positive = st.floats(1e-6, 1e6).map(lambda number: round(number, 9))
_locations = _texts.map(lambda path: path.replace("\\", "/").rstrip("/").strip()).filter(bool)
_leaves = (
    st.builds(Condition, st.just("date"), st.just("in"), _date_ranges())
    | st.builds(Condition, st.sampled_from(["camera", "lens", "title", "caption"]), st.just("contains"), _texts)
    | st.builds(Condition, st.sampled_from(["keyword", "tag"]), st.just("="), _texts)
    | st.builds(Condition, st.sampled_from(["folder", "root"]), st.just("="), _locations)
    | st.builds(Condition, st.just("path"), st.just("matches"), _locations)
    | st.builds(Condition, st.just("ext"), st.just("="), st.sampled_from(["jpg", "png", "heic", "cr3"]))
    | st.builds(Condition, st.just("orientation"), st.just("="), st.sampled_from(ORIENTATIONS))
    | st.builds(Condition, st.just("status"), st.just("="), st.sampled_from(STATUSES))
    | st.builds(Condition, st.just("rating"), _comparisons | st.just("="), st.integers(-1, 5))
    | st.builds(Condition, st.just("iso"), _comparisons | st.just("="), st.integers(1, 10**9))
    | st.builds(Condition, st.sampled_from(["focal", "aperture"]), _comparisons, _positive)
    | st.builds(
        Condition, st.just("size"), _comparisons, st.builds(Size, _positive, st.sampled_from(["MP", "px", "B"]))
    )
    | st.builds(
        Condition,
        st.just("near"),
        st.just("in"),
        st.builds(Near, _degrees(90), _degrees(180), _positive),
    )
)
_filters = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=8,
)
_queries = st.builds(Query, st.lists(_terms, max_size=4).map(tuple), st.none() | _filters).filter(
    lambda query: bool(query.terms) or query.filter is not None
)


@given(_queries)
def test_every_query_has_a_line_that_means_it(query: Query) -> None:
    assert parse_query(str(query)) == query


_fragments = st.sampled_from(
    [
        " ",
        "(",
        ")",
        '"',
        "-",
        "+",
        "~",
        "@",
        "#",
        ":",
        "..",
        ">",
        "2:",
        "or ",
        "and ",
        "not ",
        "a",
        "date:",
        "2021",
        "“",
        "”",
    ]
    + [f"{name}:" for name in FIELDS]
    + [field.example for field in FIELDS.values()]
)


@given(st.text() | st.lists(_fragments | st.text(max_size=3), max_size=12).map("".join))
def test_any_text_is_a_query_or_refused_and_what_it_means_can_be_written(line: str) -> None:
    try:
        query = parse_query(line)
    except QueryError as error:
        assert len(str(error).splitlines()) == 1
        assert error.position is None or 0 <= error.position < len(line)
    else:
        assert parse_query(str(query)) == query


@pytest.mark.parametrize(
    "part", ["(", "( ", "not ", "- ", "not-", '"', "x:", "~", '"a" ', "(not(", "date:2021 or ", "a:b"]
)
@pytest.mark.long
def test_the_time_for_a_line_grows_by_no_more_than_the_square_of_its_length(part: str) -> None:
    def cost(length: int) -> float:
        times = []
        for _ in range(3):
            started = time.process_time()
            with contextlib.suppress(QueryError):
                parse_query((part * length)[:length])
            times.append(time.process_time() - started)
        return min(times)

    assert cost(10_000) < 64 * max(cost(2_500), 0.001)  # four times as long: 16 times, and not 64


def test_parsing_loads_nothing_heavy() -> None:
    program = (
        "import sys, clipsearch.query; "
        "heavy = {'sqlalchemy', 'PIL', 'numpy', 'torch', 'faiss', 'onnxruntime'}; "
        "print(heavy & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("module", ["ast", "fields", "parser", "values"])
def test_examples_in_docstrings(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"clipsearch.query.{module}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_a_refusal_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(QueryError("no", line="ab", position=1)))
    assert (str(error), error.line, error.position) == ("column 2: no", "ab", 1)


# The document

_ROWS = re.findall(r"^\| `(.+?)` \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize(("line", "meaning"), [row for row in _ROWS if row[0] not in FIELDS])
def test_examples_in_the_document(line: str, meaning: str) -> None:
    if meaning.startswith("refused"):
        with pytest.raises(QueryError):
            parse_query(line)
    else:
        parse_query(line)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_in_the_document_and_its_example_is_one(name: str) -> None:
    field = FIELDS[name]
    assert (name, f"`{field.example}` | {field.meaning}") in _ROWS
    assert parse_query(field.example).filter is not None


def test_k_is_returned_from_one_up() -> None:
    assert [check_k(k) for k in (1, 10, 10**9)] == [1, 10, 10**9]


@pytest.mark.parametrize("k", [0, -5])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(QueryError, match=f"k must be at least 1, not {k}"):
        check_k(k)


@pytest.mark.parametrize("value", ["?", "...", "a?", "*", "+", "-"])
def test_a_value_without_letters_is_quoted_where_it_must_be(value: str) -> None:
    condition = Condition("camera", "contains", value)
    assert parse_query(str(condition)).filter == condition
