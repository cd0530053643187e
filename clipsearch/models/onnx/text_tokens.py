"""From texts to the ids that a text tower takes, by the tokenizer files of its model.

The first texts of a process, and most processes have no more, are split without reading the whole vocabulary.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.models.onnx.partial_tokenizer import PartialTokenizer
from clipsearch.models.onnx.vocabulary_table import UNKNOWN_TOKENS, cached_table
from clipsearch.text import first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

_LARGE = 100_000
"""Bytes of a file that is worth reading in part."""

_FIRST_TEXTS = 20
"""Texts that are split before all is loaded: a query, and each of its words alone."""

_WORD_START = "\u2581"
"""What SentencePiece puts before each word; alone it says nothing."""


class TextTokenizer:
    """The tokenizer of a file, read when the first text comes."""

    def __init__(self, path: Path, digest: str = "") -> None:
        """Bind the file, and the SHA-256 of its content, without which it is always read whole."""
        self._path = path
        self._digest = digest
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
        if self._partial is not None and self._partial.knows_everything:
            return True
        tokenizer, _ = self._for([word])
        unknown = {number for name in UNKNOWN_TOKENS if (number := tokenizer.token_to_id(name)) is not None}
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
            found = self._by_part(texts) if self._texts_left >= 0 else None
            return found if found is not None else (self._whole, None)
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{self._path} cannot be read: {first_line(error)}") from error

    def _by_part(self, texts: Sequence[str]) -> tuple[Tokenizer, NDArray[np.int64] | None] | None:
        partial = self._partial  # another thread may drop it
        try:
            return partial.tokenizer(texts) if partial is not None else None
        except sqlite3.Error as error:  # a damaged cache costs time, not results
            logger.info("the cached vocabulary of %s cannot be read: %s", self._path, error)
            return None

    @cached_property
    def _whole(self) -> Tokenizer:
        from tokenizers import Tokenizer

        self._partial = None
        return Tokenizer.from_file(str(self._path))

    @cached_property
    def _partial(self) -> PartialTokenizer | None:
        if not self._digest or self._path.stat().st_size < _LARGE:
            return None
        table = cached_table(self._path, self._digest)
        return PartialTokenizer(table) if table is not None else None
