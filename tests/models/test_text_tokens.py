"""Texts become the same tokens whether few pieces of a vocabulary are loaded for them or all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models.onnx.text_tokens import TextTokenizer

FILE = data_dir() / "models" / "mini" / "tokenizer-2.json"
WHOLE = Tokenizer.from_file(str(FILE))
UNCUT = Tokenizer.from_str(WHOLE.to_str())
UNCUT.no_truncation()
TEXTS = [
    "a red dog in the snow", "Ein Hund im Schnee.", "雪の中の犬", "أحمر", "", " \t\n", "ｃａｔ!", "İstanbul ß",
    "e\u0301", "😀 qwxzy", "ελληνικά", "▁", "a<s>b </s>", "<unk>", "lots of words " * 40,
]  # fmt: skip


def test_first_and_later_texts_have_the_tokens_of_the_whole_vocabulary() -> None:
    tokenizer = TextTokenizer(FILE)
    for text in TEXTS * 2:
        ids, mask = tokenizer.ids([text])
        expected = WHOLE.encode(text)
        assert (ids.tolist(), mask.tolist()) == ([expected.ids], [expected.attention_mask]), text
        assert tokenizer.count(text) == len(UNCUT.encode(text).ids), text


@settings(deadline=None, max_examples=5)
@given(st.lists(st.text(), min_size=1, max_size=3))
def test_any_first_texts_have_the_tokens_of_the_whole_vocabulary(texts: list[str]) -> None:
    ids, mask = TextTokenizer(FILE).ids(texts)
    expected = WHOLE.encode_batch(texts)
    assert ids.tolist() == [encoding.ids for encoding in expected]
    assert mask.tolist() == [encoding.attention_mask for encoding in expected]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"Unigram"' + " " * 1_100_000)
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        TextTokenizer(tmp_path / "tokenizer.json").ids(["dog"])
