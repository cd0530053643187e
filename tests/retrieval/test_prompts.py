"""Short queries in templates, long ones in parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.config import data_dir
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.retrieval.prompts import (
    CountsTokens,
    embed_queries,
    ensemble_prompts,
    is_short,
    split_text,
    surely_fits,
    with_article,
)

DIM = 16


class WordEncoder:
    """A text is the mean of its words' random directions; it reads any length."""

    dim = DIM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.asked += texts
        return l2_normalize(np.array([sum(_direction(word) for word in text.split()) for text in texts]))


class ShortSightedEncoder(WordEncoder):
    """Reads ten tokens: two special ones and eight words."""

    context_length = 10

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        assert all(self.count_tokens(text) <= self.context_length for text in texts)
        return super().encode_texts(texts)


def _direction(word: str) -> FloatMatrix:
    return np.random.default_rng(list(word.encode())).normal(size=DIM).astype(np.float32)


# --- short --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("dog", True),
        ("red bicycle", True),
        ("two small dogs", True),
        ("a dog on grass", False),
        ("dogs, cats", False),
        ("Look!", False),
        ("", False),
        ("  ", False),
        ("犬", True),
    ],
)
def test_what_is_short(text: str, short: bool) -> None:
    assert is_short(text) is short


@pytest.mark.parametrize(
    ("name", "article"),
    [
        ("owl", "an owl"),
        ("Eagle", "an Eagle"),
        ("red bicycle", "a red bicycle"),
        ("a dog", "a dog"),
        ("The moon", "The moon"),
        ("my car", "my car"),
        ("two dogs", "two dogs"),
        ("3 cats", "3 cats"),
        ("shoes", "shoes"),
        ("bus", "a bus"),
        ("glass", "a glass"),
        ("tennis", "a tennis"),
        ("犬", "a 犬"),
    ],
)
def test_articles(name: str, article: str) -> None:
    assert with_article(name) == article


def test_templates_hold_the_query_and_are_not_repeated() -> None:
    for text in ("dog", "two dogs", "the {} sign"):
        prompts = ensemble_prompts(text)
        assert prompts[0] == text
        assert len(prompts) == len(set(prompts)) > 4
        assert all(text in prompt for prompt in prompts)
        assert not any("{a}" in prompt for prompt in prompts)


def test_an_ensemble_is_the_mean_of_the_embeddings_of_its_prompts() -> None:
    encoder = WordEncoder()
    long = "a dog that runs on the beach"
    found = embed_queries(encoder, ["owl", long], ensemble=True, notify=pytest.fail)
    mean = WordEncoder().encode_texts(ensemble_prompts("owl")).mean(axis=0)
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found[1] == pytest.approx(WordEncoder().encode_texts([long])[0], abs=1e-6)
    assert encoder.asked == [*ensemble_prompts("owl"), long]
    assert found.dtype == np.float32 and np.linalg.norm(found, axis=1) == pytest.approx(1.0)


def test_without_an_ensemble_texts_go_as_they_are() -> None:
    encoder = WordEncoder()
    found = embed_queries(encoder, ["owl", "two dogs"], ensemble=False, notify=pytest.fail)
    assert encoder.asked == ["owl", "two dogs"]
    assert found == pytest.approx(WordEncoder().encode_texts(["owl", "two dogs"]), abs=1e-6)


def test_no_text_makes_no_row() -> None:
    class Empty(WordEncoder):
        def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
            return np.empty((0, DIM), np.float32)

    assert embed_queries(Empty(), [], ensemble=True, notify=pytest.fail).shape == (0, DIM)


# --- long ---------------------------------------------------------------------------------------

LONG = "One two three four. Five six seven! Eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen."


def test_a_long_query_is_split_and_averaged_by_its_tokens_with_one_line() -> None:
    encoder, notes = ShortSightedEncoder(), list[str]()
    assert isinstance(encoder, CountsTokens)
    (found,) = embed_queries(encoder, [LONG], ensemble=True, notify=notes.append)
    assert encoder.asked == [
        "One two three four. Five six seven! Eight",
        "nine ten eleven twelve thirteen fourteen fifteen sixteen",
        "seventeen",
    ]
    parts = WordEncoder().encode_texts(encoder.asked)
    mean = np.average(parts, axis=0, weights=[8, 8, 1])
    assert found == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert notes == [
        "the query has 19 tokens, more than the model's limit of 10: "
        "it is split into 3 parts, and their embeddings are averaged"
    ]


def test_what_fits_exactly_is_left_whole() -> None:
    encoder = ShortSightedEncoder()
    text = "one two three four five six seven eight"
    embed_queries(encoder, [text], ensemble=True, notify=pytest.fail)
    assert encoder.asked == [text]


def test_an_encoder_that_counts_nothing_gets_long_texts_whole() -> None:
    encoder = WordEncoder()
    embed_queries(encoder, [LONG], ensemble=True, notify=pytest.fail)
    assert encoder.asked == [LONG.rstrip(".")]


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("One. Two. Three.", 10, ["One. Two.", "Three."]),
        ("a b c d e f", 3, ["a b", "c d", "e f"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("  ", 5, []),
        ("", 5, []),
        ("3.5 metres of v1.2 rope. Yes", 24, ["3.5 metres of v1.2 rope.", "Yes"]),
        ("line one\nline two", 9, ["line one", "line two"]),
    ],
)
def test_where_a_text_is_split(text: str, limit: int, parts: list[str]) -> None:
    assert split_text(text, lambda part: len(part.strip()) <= limit) == parts


@given(st.text(max_size=200), st.integers(1, 30))
def test_no_part_is_too_long_and_nothing_is_lost(text: str, limit: int) -> None:
    parts = split_text(text, lambda part: len(part.strip()) <= limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_very_long_text_is_split_in_reasonable_time() -> None:
    calls = 0

    def fits(part: str) -> bool:
        nonlocal calls
        calls += 1
        return len(part) <= 60

    split_text("word " * 5000, fits)
    assert calls < 20_000


MINI = CompiledEncoder(data_dir() / "models" / "mini")


@settings(deadline=None)  # loading the tokenizers counts to the first example
@given(st.text(st.characters(max_codepoint=126), max_size=80))
def test_what_surely_fits_fits(text: str) -> None:
    if surely_fits(text, MINI.context_length):
        assert MINI.count_tokens(text) <= MINI.context_length


def test_what_may_grow_is_counted() -> None:
    assert surely_fits("a cat", MINI.context_length)
    assert not surely_fits("caf\xe9", MINI.context_length)
    assert not surely_fits("Tom &amp; Jerry", MINI.context_length)
    assert not surely_fits("a " * MINI.context_length, MINI.context_length)
