"""What means the same is embedded as the same, and what a model does not know matches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.config import data_dir
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.retrieval.prompts import KnowsWords, known_part
from clipsearch.retrieval.query_text import query_text
from tests.conftest import ColourEncoder, save_photo

SENTENCE = "Two dogs are running along the beach in the evening."

SAME = {
    "cat": (
        *("cat", "cat.", "cat,", "cat!", "cat?", "cat…", "cat...", "cat;", "cat -", " cat \t", "cat\n", "\r\ncat"),
        *("a cat", "A cat.".lower(), "the cat", "“cat”", "„cat“", "‘cat’", "'cat'", '"cat"', "«cat»", "(cat)", "[cat]"),
        *("¿cat?", "¡cat!", "*cat*", "_cat_", "#cat", "•cat", "cat。", "ｃａｔ", "ｃａｔ．", "「cat」", "cat\u200b"),
        *("\ufeffcat", "\x07cat", "cat cat cat", "cat, cat, cat", "cat. cat."),
    ),
    "red bicycle": ("a red bicycle", "the red  bicycle.", "red\u00a0bicycle", "red\u3000bicycle", "“a red bicycle”"),
    SENTENCE[:-1]: (SENTENCE, SENTENCE[:-1], f"{SENTENCE} " * 40, f"{SENTENCE[:-1]} " * 40, f"{SENTENCE}\n" * 3),
    "A dog. A cat": ("A dog. A cat.", "A dog. A cat. A dog. A cat.", "A dog. A dog. A cat."),
    "dog's bone": ("a dog's bone", "dog’s bone"),
    'a sign that says "stop"': ('a sign that says "stop"', "a sign that says “stop”."),
    "my dog (running)": ("my dog (running)", "my dog (running)."),
    "Bora Bora": ("Bora Bora",),
    "a man surfing": ("a man surfing",),
    "c++ code": ("c++ code",),
    "100%": ("100%",),
    "👩\u200d👩\u200d👧": ("👩\u200d👩\u200d👧",),
    "": ("?!", "...", "-", "“”", "$", "\x00\x01", "\u200b", "。"),
    "the": ("the",),
    "dog": (
        "Hund",
        "ein Hund",
        "PERRO",
        "le chien",
        "犬",
        "イヌ",
        "강아지",
        "собака!",
        "كلب",
        "الكلب",
        "köpek",
        "狗",
        "สุนัข",
    ),
    "Christmas tree".lower(): ("Weihnachtsbaum", "árbol de Navidad", "choinka"),
    "tree": ("l'arbre", "der Baum"),
    # English first: these are a cat, bread and a boat elsewhere
    **{word: (word,) for word in ("chat", "pain", "boot")},
    "ein Hund im Schnee": ("ein Hund im Schnee",),
}


@pytest.mark.parametrize(("plain", "typed"), [(plain, text) for plain, texts in SAME.items() for text in texts])
def test_what_means_the_same_has_one_form(plain: str, typed: str) -> None:
    assert query_text(typed) == plain


def test_the_dictionary_has_a_table_of_the_languages_of_the_bundled_model() -> None:
    lines = (data_dir() / "vocabulary" / "translations.tsv").read_text("utf-8").splitlines()
    header, rows = lines[0].split("\t"), [line.split("\t") for line in lines[1:]]
    assert set(header) >= {"en", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"}
    assert len({row[0] for row in rows}) == len(rows) > 600 and {len(row) for row in rows} == {len(header)}
    english = {row[0].casefold() for row in rows}
    for row in rows:
        for cell in row[1:]:
            for word in filter(None, cell.split("; ")):
                assert query_text(word).casefold() == row[0].casefold(), (word, row[0])
    assert all(query_text(word) == word for word in english)


@given(st.text(max_size=60))
def test_a_form_is_its_own(text: str) -> None:
    assert query_text(query_text(text)) == query_text(text)


class ColoursByName(ColourEncoder):
    """Knows the names of colors in ASCII, and no other word."""

    context_length = 64

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def knows(self, word: str) -> bool:
        return word.isascii()

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.asked += texts
        return super().encode_texts(texts)


@pytest.fixture(scope="module")
def three_colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    for colour in ("red", "lime", "blue"):
        save_photo(folder / "photos" / f"{colour}.png", colour)
    with Library.open(folder / "library", create=True, encoder=ColoursByName()) as library:
        library.index(folder / "photos")
    return folder / "library"


@pytest.fixture
def colours(three_colours: Path) -> Iterator[tuple[Library, ColoursByName, list[str]]]:
    """The library, opened with an encoder that notes what it is asked, and what the library tells."""
    encoder, notes = ColoursByName(), list[str]()
    with Library.open(three_colours, encoder=encoder, notify=notes.append) as library:
        yield library, encoder, notes


@pytest.mark.parametrize("line", ["🐈", "안녕", "собака 犬", "안녕 -red", "-안녕", '"안녕" date:2015'])
def test_a_text_without_a_known_word_finds_nothing_and_says_why(
    colours: tuple[Library, ColoursByName, list[str]], line: str
) -> None:
    library, encoder, notes = colours
    results = library.search(line)
    assert results == [] and list(results.notices) == notes
    (notice,) = notes
    assert "the model hf-hub:tests/colours does not know" in notice
    assert "clipsearch migrate --model multilingual" in notice
    assert not any("안녕" in text for text in encoder.asked)


@pytest.mark.parametrize("line", ["?!", "...", "\x01\x02", '"-"', "\u200b."])
def test_a_text_without_words_finds_nothing_and_says_so(
    colours: tuple[Library, ColoursByName, list[str]], line: str
) -> None:
    library, _, notes = colours
    assert library.search(line) == []
    assert "there are no words in" in notes[0] and len(notes) == 1


@pytest.mark.parametrize("line", ["red 안녕하세요", "안녕하세요 red.", "red🐈", "red -안녕하세요"])
def test_known_words_are_searched_for_and_unknown_ones_are_named(
    colours: tuple[Library, ColoursByName, list[str]], line: str
) -> None:
    library, encoder, notes = colours
    results = library.search(line)
    assert results[0].path.name == "red.png" and encoder.asked[0] == "red"
    assert len(notes) == 1 and "does not know" in notes[0] and list(results.notices) == notes


def test_words_that_look_like_a_filter_are_searched_for_with_an_offer(
    colours: tuple[Library, ColoursByName, list[str]],
) -> None:
    library, _, notes = colours
    results = library.search("red september 2015")
    assert len(results) == 3 and list(results.notices) == notes
    assert notes == ["'september 2015' looks like a date; to search by it: red date:2015-09"]
    assert library.search("date:2015-09").notices == ()


def test_every_spelling_of_a_word_is_one_embedding(colours: tuple[Library, ColoursByName, list[str]]) -> None:
    library, encoder, _ = colours
    lines = ("red", "red.", "a red", "“ｒｅｄ”!")
    scores = [[result.score for result in library.search(line)] for line in lines]
    assert all(found == scores[0] for found in scores) and not set(lines[1:]) & set(encoder.asked)


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("dog", "dog", ()),
        ("café naïve", "café naïve", ()),
        ("강아지", "강아지", ()),
        ("собака", "собака", ()),
        ("犬", "犬", ()),
        ("หมา", "หมา", ()),
        ("🐈", "", ("🐈",)),
        ("𓃠", "", ("𓃠",)),
        ("dog 🐈", "dog", ("🐈",)),
        ("a 5€ note", "a 5€ note", ()),
    ],
)
def test_the_bundled_model_knows_words_of_its_languages(text: str, known: str, unknown: tuple[str, ...]) -> None:
    encoder = CompiledEncoder(data_dir() / "models" / "mini")
    assert isinstance(encoder, KnowsWords)
    assert known_part(encoder, text) == (known, unknown)


def test_an_encoder_of_bytes_knows_everything() -> None:
    assert known_part(ColourEncoder(), "강아지 🐈") == ("강아지 🐈", ())
