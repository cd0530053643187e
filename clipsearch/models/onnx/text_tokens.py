"""From texts to the ids that a text tower takes, by the tokenizer files of its model.

A Unigram model keeps its pieces in a trie, which takes a tenth of a second to build for 60,000 of them. The first texts
of a process, and most processes have no more, are therefore split by a model of only the pieces that occur in them; the
ids are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.text import first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LARGE = 1_000_000
"""Bytes of a file that is worth reading in part."""

_MOST_SPECIAL = 1000
"""Ids that are kept whatever the texts are; some models have special tokens after all pieces."""

_FIRST_TEXTS = 20
"""Texts that are split before all is loaded: a query, and each of its words alone."""

_UNKNOWN_TOKENS = ("[UNK]", "<unk>")
_WORD_START = "\u2581"
"""What SentencePiece puts before each word; alone it says nothing."""


class TextTokenizer:
    """The tokenizer of a file, read when the first text comes."""

    def __init__(self, path: Path) -> None:
        """Bind the file."""
        self._path = path
        self._texts_left = _FIRST_TEXTS

    def ids(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and mask of texts, int64 [n, t], cut and padded as the file says.

        Raises:
            ModelError: the file cannot be read.
        """
        tokenizer, numbers = self._for(texts)
        encodings = tokenizer.encode_batch(list(texts))
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        return (ids if numbers is None else numbers[ids]), mask

    def knows(self, word: str) -> bool:
        """Whether there is a token for any part of a word; a tokenizer of bytes has one for everything."""
        tokenizer, _ = self._for([word])
        unknown = {number for name in _UNKNOWN_TOKENS if (number := tokenizer.token_to_id(name)) is not None}
        encoding = tokenizer.encode(word, add_special_tokens=False)
        parts = zip(encoding.ids, encoding.tokens, encoding.attention_mask, strict=True)
        return not unknown or any(
            number not in unknown and token != _WORD_START for number, token, kept in parts if kept
        )

    def count(self, text: str) -> int:
        """Number of tokens of a text with the special ones, uncut."""
        tokenizer, _ = self._for([text])
        encoding = tokenizer.encode(text)
        cut_off = [special for part in encoding.overflowing for special in part.special_tokens_mask]
        return sum(encoding.attention_mask) + cut_off.count(0)

    def _for(self, texts: Sequence[str]) -> tuple[Tokenizer, NDArray[np.int64] | None]:
        """What splits some texts, and the id of each of its numbers where it is another."""
        self._texts_left -= len(texts)
        try:
            few = self._few if self._texts_left >= 0 else None  # another thread may drop it
            if few is not None and few.can_split(texts):
                return few.tokenizer(texts)
            return self._whole, None
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{self._path} cannot be read: {first_line(error)}") from error

    @cached_property
    def _whole(self) -> Tokenizer:
        from tokenizers import Tokenizer

        self._few = None
        return Tokenizer.from_file(str(self._path))

    @cached_property
    def _few(self) -> _FewPieces | None:
        content = self._path.read_bytes()
        if len(content) < _LARGE or b'"Unigram"' not in content:
            return None
        file = json.loads(content)
        special = _special_ids(file)
        return None if special is None else _FewPieces(file, special)


def _special_ids(file: Mapping[str, Any]) -> range | None:
    """The ids before those of pieces in a Unigram model's file; ``None`` if it is of a kind that needs all pieces."""
    model, added = file["model"], file["added_tokens"]
    if model["unk_id"] is None or model.get("byte_fallback") or any(token["normalized"] for token in added):
        return None
    if not (file["normalizer"] and file["pre_tokenizer"]):
        return None
    special = range(1 + max([model["unk_id"], *(token["id"] for token in added)]))
    return special if len(special) <= _MOST_SPECIAL else None


class _FewPieces:
    """Splits texts by a Unigram model of the pieces that occur in them, just as the model of all pieces does."""

    def __init__(self, file: Mapping[str, Any], special: range) -> None:
        """Take the content of a tokenizer file and the ids that are kept whatever the texts are."""
        self._file = file
        self._vocabulary: list[list[Any]] = file["model"]["vocab"]
        self._ids = {piece: number for number, (piece, _) in enumerate(self._vocabulary)}
        self._longest = max(map(len, self._ids))
        self._added: tuple[str, ...] = tuple(token["content"] for token in file["added_tokens"])
        # what no piece stands for is by a fixed step less probable than the least probable piece
        least = min(self._vocabulary, key=itemgetter(1))[0]
        self._always = {*special, self._ids[least]}
        self._shell = self._model(sorted(self._always))

    def can_split(self, texts: Sequence[str]) -> bool:
        """Whether no text spells out a special token, before and after which another word starts."""
        return not any(token in text for token in self._added for text in texts)

    def tokenizer(self, texts: Sequence[str]) -> tuple[Tokenizer, NDArray[np.int64]]:
        """The model for some texts, and the id of each of its numbers."""
        numbers = sorted(self._always.union(*map(self._pieces, texts)))
        return self._model(numbers), np.array(numbers, dtype=np.int64)

    def _pieces(self, text: str) -> set[int]:
        """Ids of the pieces that occur in a text."""
        words = self._shell.pre_tokenizer.pre_tokenize_str(self._shell.normalizer.normalize_str(text))
        found: set[int] = set()
        for word, _ in words:
            for start in range(len(word)):
                ends = range(start + 1, min(start + self._longest, len(word)) + 1)
                found.update(self._ids.get(word[start:end], 0) for end in ends)
        return found

    def _model(self, numbers: Sequence[int]) -> Tokenizer:
        from tokenizers import Tokenizer

        model = {**self._file["model"], "vocab": [self._vocabulary[number] for number in numbers]}
        return Tokenizer.from_str(json.dumps({**self._file, "model": model}))
