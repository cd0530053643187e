"""Text cleaning equals open_clip's, and its result can always be encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import get_clean_fn

from clipsearch.models.manifest import TextCleaning
from clipsearch.models.onnx.text_cleaning import clean_text

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("text", "cleaning", "cleaned"),
    [
        ("  Two\tDogs \n", "none", "  Two\tDogs \n"),
        ("  Two\tDogs \n", "whitespace", "Two Dogs"),
        ("  Two\tDogs \n", "lower", "two dogs"),
        ("A_Cat, on 'the' Mat!", "canonicalize", "a cat on the mat"),
        ("schÃ¶n &amp;amp; gut", "whitespace", "schön & gut"),
        ("caf\udce9", "none", "caf\ufffd"),
        ("\ud83d\ude00", "none", "😀"),
    ],
)
def test_examples(text: str, cleaning: TextCleaning, cleaned: str) -> None:
    assert clean_text(text, cleaning) == cleaned


@pytest.mark.parametrize("cleaning", ["whitespace", "lower", "canonicalize"])
def test_agrees_with_open_clip(cleaning: TextCleaning) -> None:
    theirs = get_clean_fn(cleaning)

    @given(ANY_TEXT)
    def check(text: str) -> None:
        assert clean_text(text, cleaning) == theirs(text)

    check()


@given(ANY_TEXT, st.sampled_from(["none", "whitespace", "lower", "canonicalize"]))
def test_the_result_is_always_utf_8(text: str, cleaning: TextCleaning) -> None:
    clean_text(text, cleaning).encode("utf-8")
