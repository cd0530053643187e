"""The exported `tokenizer.json` has exactly open_clip's tokens."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import pytest
from tokenizers import Tokenizer

from clipsearch.errors import ModelError
from clipsearch.models.compile.check_set import check_texts
from clipsearch.models.compile.tokenizer import export_tokenizer
from clipsearch.models.onnx.text_cleaning import clean_text
from tests.tiny_models import byte_level_tokenizer, unigram_tokenizer, word_piece_tokenizer

WRITTEN = (
    "", " ", "\n\t ", "a", "A Photo Of A Cat", "don't, we'll, I'd, they've, I'm, it's, YOU'RE", "rock 'n' roll's",
    "x" * 1000, "dog " * 300, "a " * 75, "a " * 76, "!" * 200, "1234567890", "3.14 1,000 ½ ² ٣ Ⅳ 五",
    "<start_of_text>", "a<start_of_text>b", "!!<end_of_text>", "<end_of_text><start_of_text>x", "5<end_of_text>5",
    "<START_OF_TEXT>", "<ſtart_of_text> 'ſ", "<start_of_text", "<<start_of_text>>", "_<start_of_text>_",
    "&lt;start_of_text&gt;", "<|startoftext|>", "<pad><eos></s>[SEP][MASK]<unk>", "&amp;amp;lt;b&amp;amp;gt;",
    "&#x1F600;", "schÃ¶n", "â€œquotedâ€\x9d", "l’avion",
    "“curly”", "ﬁne ﬂight", "ＦＵＬＬ ｗｉｄｔｈ", "İstanbul ǅ ß ẞ",
    "e\u0301 vs é", "\u0345 ypogegrammeni", "ͅa", "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "猫がソファで寝ている", "一只猫", "고양이", "кошка",
    "قطة على الأريكة", "שלום עולם", "बिल्ली",
    "แมวบนโซฟา", "a\u200bb\u200dc\u2060d", "\u202eright to left\u202c", "\ufeffbom",
    "null\x00byte", "bell\x07 esc\x1b[31m red", "\x85\u2028\u2029", "caf\udce9", "\ud83d\ude00", "\ud800", "𠀀 𝒜 𝟛",
    "Ա\u0558\u058b ࢏ ꟎ 𑷠", "snake_case CamelCase kebab-case", "https://example.org/a?b=c&d=%20", "C:\\Users\\me",
)  # fmt: skip

FRAGMENTS = (
    "<start_of_text>", "<end_of_text>", "'s", "'ſ", "'LL", "!", "<", ">", "_", " ", "  ", "a", "the", "dog", "Hunde",
    "9", "é", "e\u0301", "K", "日", "🙂", "\u200d", "\n", "&amp;", "&#39;", "Ã©", "\ud83d", "İ", "\u0345",
    "[SEP]", "</s>",
)  # fmt: skip


@cache
def strings() -> tuple[str, ...]:
    """More than 2,000 texts: written ones, fragments glued together, random code points, random words."""
    rng = random.Random(7)
    glued = ["".join(rng.choices(FRAGMENTS, k=rng.randint(1, 14))) for _ in range(850)]
    planes = (0x2FF, 0xFFFF, 0x10FFFF, 0x3000)
    noise = ["".join(chr(rng.randint(0, rng.choice(planes))) for _ in range(rng.randint(1, 40))) for _ in range(850)]
    letters = "aabbcdeeefghiiklmnnoopqrsttuvwxyz"
    words = [
        " ".join("".join(rng.choices(letters, k=rng.randint(1, 25))) for _ in range(rng.randint(1, 30)))
        for _ in range(250)
    ]
    return (*WRITTEN, *check_texts(), *glued, *noise, *words)


def differing(source: Any, folder: Path, *, every: int = 1) -> list[tuple[str, list[int], list[int]]]:
    """The texts (every n-th) on which the saved and reloaded export disagrees with its source."""
    exported = export_tokenizer(source)
    exported.tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = []
    for text in strings()[::every]:
        ours = tokenizer.encode(clean_text(text, exported.text.cleaning)).ids
        if ours != (theirs := source([text])[0].tolist()):
            found.append((text, ours, theirs))
    return found


def test_clips_tokenizer_agrees_token_for_token(tmp_path: Path) -> None:
    assert len(strings()) >= 2000
    assert differing(open_clip.tokenizer.SimpleTokenizer(), tmp_path) == []


@pytest.mark.parametrize(("context_length", "clean"), [(16, "lower"), (77, "canonicalize")])
def test_variants_of_clips_tokenizer_agree(tmp_path: Path, context_length: int, clean: str) -> None:
    source = open_clip.tokenizer.SimpleTokenizer(context_length=context_length, clean=clean)
    assert differing(source, tmp_path, every=10) == []


@pytest.mark.parametrize(
    ("make", "clean"),
    [(unigram_tokenizer, "canonicalize"), (word_piece_tokenizer, "lower"), (byte_level_tokenizer, "whitespace")],
)
def test_hugging_face_tokenizers_agree_token_for_token(tmp_path: Path, make: Callable[[], Any], clean: str) -> None:
    make().save_pretrained(tmp_path)
    source = open_clip.tokenizer.HFTokenizer(str(tmp_path), context_length=20, clean=clean)
    assert differing(source, tmp_path) == []


def test_batches_are_padded_to_the_context_length() -> None:
    exported = export_tokenizer(open_clip.tokenizer.SimpleTokenizer(context_length=12))
    lengths = {len(encoding.ids) for encoding in exported.tokenizer.encode_batch(["a", "two words", "x " * 50])}
    assert (lengths, exported.text.context_length) == ({12}, 12)


@pytest.mark.parametrize(
    "options",
    [{"clean": "whitespace"}, {"reduction_mask": "simple"}, {"additional_special_tokens": ["<mine>"]}],
    ids=lambda options: next(iter(options)),
)
def test_a_tokenizer_that_cannot_be_expressed_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="cannot be compiled"):
        export_tokenizer(open_clip.tokenizer.SimpleTokenizer(**options))


def test_another_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(ModelError, match="tokenizer object cannot be compiled"):
        export_tokenizer(object())
