"""A tokenizer of only the pieces that occur in some texts, whose ids are those of the whole one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.onnx.vocabulary_table import UNKNOWN_TOKENS, Piece, VocabularyTable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MOST_CANDIDATES = 20_000
"""Parts of texts that are looked up; more of them take longer than reading the whole vocabulary."""


class PartialTokenizer:
    """Splits texts by the pieces of a table that occur in them.

    A model of word pieces, of byte pairs or Unigram splits a text into parts of it, so that pieces that do not occur in
    it change nothing.

    Attributes:
        knows_everything: whether there is a token for each text.
    """

    def __init__(self, table: VocabularyTable) -> None:
        """Bind a table."""
        self._table = table
        self._model: dict[str, Any] = table.file["model"]
        self._shell = self._made(table.file, table.pieces(table.always), [])
        self.knows_everything = not set(table.always).intersection(UNKNOWN_TOKENS)
        self._added = {form for token in table.file["added_tokens"] for form in self._forms(token["content"])}

    def tokenizer(self, texts: Sequence[str]) -> tuple[Tokenizer, NDArray[np.int64] | None] | None:
        """What splits some texts, and the id of each of its numbers where that is another.

        Returns:
            ``None`` if the texts are long, or spell out a special token, before and after which another word starts.

        Raises:
            sqlite3.Error: the table is damaged.
        """
        if any(token in form for text in texts for form in self._forms(text) for token in self._added):
            return None
        candidates = list(islice(chain.from_iterable(map(self._parts, texts)), _MOST_CANDIDATES + 1))
        if len(candidates) > _MOST_CANDIDATES:
            return None
        parts = {*self._table.always, *candidates}
        pieces = self._table.pieces(parts)
        known = {piece.text for piece in pieces}
        merges = self._table.merges(parts) if self._model["type"] == "BPE" else []
        plain = {**self._table.file, "normalizer": None, "pre_tokenizer": None, "post_processor": None}
        made = self._made(plain, pieces, [merge for merge in merges if known.issuperset(merge)])
        made.normalizer, made.pre_tokenizer = self._shell.normalizer, self._shell.pre_tokenizer
        made.post_processor = self._shell.post_processor
        is_by_place = self._model["type"] == "Unigram"
        return made, np.array([piece.id for piece in pieces], dtype=np.int64) if is_by_place else None

    def _forms(self, text: str) -> set[str]:
        """A text as it is and normalized: special tokens are looked for in either."""
        normalizer = self._shell.normalizer
        return {text, normalizer.normalize_str(text)} if normalizer is not None else {text}

    def _parts(self, text: str) -> Iterator[str]:
        """The parts of a text that may be pieces."""
        normalizer, splitter = self._shell.normalizer, self._shell.pre_tokenizer
        normalized = normalizer.normalize_str(text) if normalizer is not None else text
        words = [word for word, _ in splitter.pre_tokenize_str(normalized)] if splitter is not None else [normalized]
        longest = self._table.longest
        before, after = self._model.get("continuing_subword_prefix"), self._model.get("end_of_word_suffix")
        for word in words:
            for start in range(len(word)):
                for end in range(start + 1, min(start + longest, len(word)) + 1):
                    part = word[start:end]
                    yield part
                    if before and start > 0:
                        yield before + part
                    if after and end == len(word):
                        yield part + after

    def _made(self, file: Any, pieces: Sequence[Piece], merges: Sequence[tuple[str, str]]) -> Tokenizer:
        from tokenizers import Tokenizer

        model = {**self._model}
        if model["type"] == "Unigram":
            model["vocab"] = [[piece.text, piece.score] for piece in pieces]
        else:
            model["vocab"] = {piece.text: piece.id for piece in pieces}
        if model["type"] == "BPE":
            model["merges"] = [list(merge) for merge in merges]
        return Tokenizer.from_str(json.dumps({**file, "model": model}))
