"""Prepare the texts of a query for the text tower: prompt ensembles for short texts, chunks for long ones.

Models are trained on captions, so a short query may be embedded in several prompt templates and averaged; which models
benefit was measured (docs/matching.md). A text longer than the context length is split into chunks and averaged
instead of being truncated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from clipsearch.config import data_dir
from clipsearch.models.encoder import FloatMatrix, TextEncoder, l2_normalize
from clipsearch.retrieval.query_text import SENTENCE, query_text
from clipsearch.retrieval.relevance.caption_bank import read_lines
from clipsearch.text import Notify

TEMPLATES_FILE = Path("prompts") / "templates.txt"
"""Within `data_dir`."""

_SPECIAL_TOKENS = 4
"""Upper bound of the start and end tokens."""

SHORT_WORDS = 3
"""Maximum words of a query that is put into templates: a longer one is a caption already."""

# fmt: off
DETERMINERS = frozenset(
    {
        "a", "an", "the", "this", "that", "these", "those", "some", "any", "no", "many", "few", "several", "all",
        "both", "my", "our", "your", "his", "her", "its", "their", "one", "two", "three", "four", "five", "six",
        "seven", "eight", "nine", "ten",
    }
)
# fmt: on

_WORD = re.compile(r"\s*\S+")
_SCRIPTS = re.compile(r"[\x00-\u024f\u0300-\u036f\u1e00-\u1eff\u2000-\u206f]+|[^\x00-\u024f\u1e00-\u1eff]+")
"""Latin letters with what stands between them, or anything else."""

_CHARACTER = re.compile(r".", re.DOTALL)


@runtime_checkable
class CountsTokens(Protocol):
    """An encoder with a known context length.

    Attributes:
        context_length: maximum tokens of a text, special tokens included.
    """

    context_length: int

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special tokens included, without truncation or padding."""
        ...


@runtime_checkable
class KnowsWords(Protocol):
    """An encoder whose tokenizer does not know everything.

    One of bytes, such as CLIP's own, has a token for each, and so knows every word.
    """

    def knows(self, word: str) -> bool:
        """Whether its text tower was trained on any token of a word."""
        ...


def embed_queries(encoder: TextEncoder, texts: Sequence[str], *, ensemble: bool, notify: Notify) -> FloatMatrix:
    """Embed the texts of a query.

    Args:
        encoder: the model; one that is no `CountsTokens` truncates long texts.
        texts: as typed; embedded in the form of `query_text`, or as they are if that is empty.
        ensemble: whether short texts are put into templates (`Calibration.prompt_ensemble`).
        notify: callback for one-line user notices.

    Returns:
        float32 [n, dim], rows of unit length.

    Source: averaging over prompts, Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
    Supervision", §3.1.4.
    """
    prompts: list[str] = []
    shares: list[tuple[int, float]] = []  # row of the text, weight
    for row, text in enumerate(texts):
        for prompt, weight in _prompts(encoder, query_text(text) or text, ensemble=ensemble, notify=notify):
            prompts.append(prompt)
            shares.append((row, weight))
    embeddings = encoder.encode_texts(prompts)
    sums = np.zeros((len(texts), encoder.dim), np.float32)
    for (row, weight), embedding in zip(shares, embeddings, strict=True):
        sums[row] += np.float32(weight) * embedding
    return l2_normalize(sums)


def known_part(encoder: TextEncoder, text: str) -> tuple[str, tuple[str, ...]]:
    """The part of a text that a model knows, and the words that it does not.

    Where words are written together, such as a name before an emoji, the known one of them is kept.
    """
    if not isinstance(encoder, KnowsWords):
        return text, ()
    known: list[str] = []
    unknown: list[str] = []
    for word in text.split():
        pieces = [word] if encoder.knows(word) and word.isascii() else _SCRIPTS.findall(word)
        kept = [piece for piece in pieces if encoder.knows(piece)]
        known += ["".join(kept)] if len(kept) == len(pieces) else kept
        unknown += [piece for piece in pieces if piece not in kept and any(map(str.isprintable, piece))]
    return " ".join(known), tuple(dict.fromkeys(unknown))


def surely_fits(text: str, context_length: int) -> bool:
    """Whether a text fits for certain, so that its tokens need not be counted.

    ASCII text has at most one token for each character besides the special tokens; text cleaning only
    lengthens text with entities or other characters.
    """
    return text.isascii() and "&" not in text and len(text) + _SPECIAL_TOKENS <= context_length


def is_short(text: str) -> bool:
    """Whether a text is a bare name, not a caption."""
    return 0 < len(text.split()) <= SHORT_WORDS and not re.search(r"[.!?,;:\"]", text)


def ensemble_prompts(text: str) -> list[str]:
    """A short text in each template, without duplicates."""
    named = with_article(text)
    filled = (template.replace("{a}", named).replace("{}", text) for template in _templates())
    return list(dict.fromkeys(filled))


def with_article(text: str) -> str:
    """Prepend the indefinite article, unless the name has a determiner, a number or a plural ending.

    >>> with_article("red bicycle"), with_article("owl"), with_article("two dogs"), with_article("shoes")
    ('a red bicycle', 'an owl', 'two dogs', 'shoes')
    """
    words = text.lower().split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if plural or words[0] in DETERMINERS or words[0][0].isdigit():
        return text
    return f"an {text}" if words[0][0] in "aeiou" else f"a {text}"


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into chunks that fit, at sentences, else at words, else at characters.

    Args:
        text: of any length.
        fits: whether a chunk is short enough; a single character always counts as fitting.

    Returns:
        The chunks in order, filled greedily and stripped; none for a blank text.
    """
    packed: list[str] = []
    _pack(packed, text, fits, (SENTENCE, _WORD, _CHARACTER))
    return [part.strip() for part in packed if part.strip()]


def _pack(packed: list[str], text: str, fits: Callable[[str], bool], units: tuple[re.Pattern[str], ...]) -> None:
    """Append a text to the chunks unit by unit; a unit that does not fit is split into smaller units."""
    for piece in units[0].findall(text):
        if packed and fits(packed[-1] + piece):
            packed[-1] += piece
        elif fits(piece) or len(units) == 1:
            packed.append(piece)
        else:
            _pack(packed, piece, fits, units[1:])


def _prompts(encoder: TextEncoder, text: str, *, ensemble: bool, notify: Notify) -> list[tuple[str, float]]:
    """The prompts of a text, with weights."""
    if isinstance(encoder, CountsTokens) and not surely_fits(text, encoder.context_length):
        limit, count = encoder.context_length, encoder.count_tokens
        tokens = count(text)
        parts = split_text(text, lambda part: count(part) <= limit) if tokens > limit else []
        if len(parts) > 1:
            notify(
                f"the query has {tokens} tokens, more than the model's limit of {limit}: "
                f"it is split into {len(parts)} parts, and their embeddings are averaged"
            )
            special = count("")
            return [(part, float(max(1, count(part) - special))) for part in parts]
    if ensemble and is_short(text):
        return [(prompt, 1.0) for prompt in ensemble_prompts(text)]
    return [(text, 1.0)]


@lru_cache(maxsize=1)
def _templates() -> tuple[str, ...]:
    return read_lines(data_dir() / TEMPLATES_FILE)
