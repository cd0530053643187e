"""Texts become the same tokens whether the pieces that occur in them are looked up or all are loaded."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models.onnx.text_tokens import TextTokenizer

MINI = data_dir() / "models" / "mini"
KINDS = ("word pieces", "unigram", "byte pairs of bytes", "byte pairs with fallback")
TEXTS = [
    "a red dog in the snow", "Ein Hund im Schnee.", "雪の中の犬", "أحمر", "", " \t\n", "ｃａｔ!", "İstanbul ß",
    "e\u0301", "😀 qwxzy", "ελληνικά", "▁", "a<s>b </s>", "<unk>", "[CLS] [UNK]ing", "##ing", "dog</w> </w>",
    "a <|ENDOFTEXT|> b", "<eos>dog", "\x00 \x01a", "x" * 300, "lots of words " * 40,
    "".join(map(chr, range(0x4E00, 0x5800))),
]  # fmt: skip


def some_words() -> Iterator[str]:
    """A few thousand words of syllables, with repetitions."""
    chance = random.Random(4)
    syllables = [first + second for first in "bdfglmnrstwäж犬" for second in "aeiouy"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(4000)]
    for _ in range(3000):
        yield " ".join(chance.choices(words, k=8))


def byte_pairs_of_bytes() -> Tokenizer:
    """Like CLIP's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = [AddedToken(name, normalized=True) for name in ("<|startoftext|>", "<|endoftext|>")]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        some_words(),
        trainers.BpeTrainer(
            vocab_size=4000, end_of_word_suffix="</w>", special_tokens=special, initial_alphabet=alphabet
        ),
    )
    return tokenizer


def byte_pairs_with_fallback() -> Tokenizer:
    """Like Gemma's, which SigLIP 2 uses: a text is one word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        some_words(), trainers.BpeTrainer(vocab_size=4000, special_tokens=special, max_token_length=20)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return tokenizer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tokenizers")
    found = {"word pieces": MINI / "tokenizer.json", "unigram": MINI / "tokenizer-2.json"}
    for name, made in zip(KINDS[2:], (byte_pairs_of_bytes(), byte_pairs_with_fallback()), strict=True):
        made.enable_truncation(64)
        made.enable_padding(pad_id=0, pad_token="!")
        found[name] = folder / f"{name}.json"
        made.save(str(found[name]))
    return found


@pytest.fixture(params=KINDS)
def file(request: pytest.FixtureRequest, files: dict[str, Path]) -> Path:
    return files[request.param]


def tokenizer_of(file: Path) -> TextTokenizer:
    return TextTokenizer(file, hashlib.sha256(file.read_bytes()).hexdigest())


def whole_of(file: Path) -> Callable[[str], tuple[list[int], list[int]]]:
    """Ids and mask of a text by the library alone."""
    whole = Tokenizer.from_file(str(file))

    def ids_of(text: str) -> tuple[list[int], list[int]]:
        encoding = whole.encode(text)
        return encoding.ids, encoding.attention_mask

    return ids_of


def test_first_and_later_texts_have_the_tokens_of_the_whole_vocabulary(file: Path) -> None:
    tokenizer, expected, whole = tokenizer_of(file), whole_of(file), TextTokenizer(file)
    uncut = Tokenizer.from_file(str(file))
    uncut.no_truncation()
    uncut.no_padding()
    for text in TEXTS * 2:
        ids, mask = tokenizer.ids([text])
        assert (ids[0].tolist(), mask[0].tolist()) == expected(text), text
        assert tokenizer.count(text) == len(uncut.encode(text).ids), text
        assert tokenizer.knows(text) == whole.knows(text), text


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(), min_size=1, max_size=3))
def test_any_first_texts_have_the_tokens_of_the_whole_vocabulary(file: Path, texts: list[str]) -> None:
    ids, mask = tokenizer_of(file).ids(texts)
    expected = Tokenizer.from_file(str(file)).encode_batch(texts)
    assert ids.tolist() == [encoding.ids for encoding in expected]
    assert mask.tolist() == [encoding.attention_mask for encoding in expected]


def test_a_query_does_not_read_the_whole_file(file: Path, tmp_path: Path) -> None:
    expected, tokenizer = whole_of(file), tokenizer_of(file)
    tokenizer.ids(["a query"])
    digest, unreadable = hashlib.sha256(file.read_bytes()).hexdigest(), tmp_path / file.name
    unreadable.write_bytes(b" " * file.stat().st_size)
    ids, _ = TextTokenizer(unreadable, digest).ids(["a red dog"])
    assert ids[0].tolist() == expected("a red dog")[0]


def test_a_vocabulary_that_is_not_in_the_cache_is_read_from_the_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path))
    expected = whole_of(file)("a red dog")[0]
    tokenizer_of(file).ids(["a query"])
    (table,) = (tmp_path / "vocabularies").iterdir()
    for damage in (b"", b"SQLite format 3\x00" + b"\xff" * 5000):
        table.write_bytes(damage)
        assert tokenizer_of(file).ids(["a red dog"])[0][0].tolist() == expected
    table.unlink(missing_ok=True)
    table.parent.rmdir()
    table.parent.write_bytes(b"no folder")
    assert tokenizer_of(file).ids(["a red dog"])[0][0].tolist() == expected


def test_a_model_that_needs_all_its_pieces_gets_them(files: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads(files["byte pairs of bytes"].read_text(encoding="utf-8"))
    content["added_tokens"].append({**content["added_tokens"][0], "id": 9000, "content": "<new>"})
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    expected = whole_of(file)
    for text in ("a <new> dog", "a red dog"):
        assert tokenizer_of(file).ids([text])[0][0].tolist() == expected(text)[0]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"Unigram"' + " " * 1_100_000)
    for digest in ("", "0" * 64):
        with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
            TextTokenizer(tmp_path / "tokenizer.json", digest).ids(["dog"])
