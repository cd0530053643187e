"""How the words of a query reach the text tower: short ones inside templates, long ones in parts.

A caption tells more than a bare word, and models were trained on captions; so a short query may be put into several
templates, whose embeddings are averaged. Which models gain by it was measured (docs/matching.md). And a text tower
reads a limited number of tokens: what is longer is split and averaged, instead of being cut without a word.
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
from clipsearch.retrieval.relevance.caption_bank import read_lines

TEMPLATES_FILE = Path("prompts") / "templates.txt"
"""Within `data_dir`."""

_SPECIAL_TOKENS = 4
"""At a text's beginning and end, with room to spare."""

SHORT_WORDS = 3
"""Words that a query may have to be put into templates: a longer one is a caption already."""

# fmt: off
DETERMINERS = frozenset(
    {
        "a", "an", "the", "this", "that", "these", "those", "some", "any", "no", "many", "few", "several", "all",
        "both", "my", "our", "your", "his", "her", "its", "their", "one", "two", "three", "four", "five", "six",
        "seven", "eight", "nine", "ten",
    }
)
# fmt: on

_SENTENCE = re.compile(r".+?(?:[.!?;:…](?=\s|$)\s*|[。！？]\s*|\n+|$)", re.DOTALL)
_WORD = re.compile(r"\s*\S+")
_CHARACTER = re.compile(r".", re.DOTALL)


@runtime_checkable
class CountsTokens(Protocol):
    """An encoder that says how much of a text it reads.

    Attributes:
        context_length: tokens that the text tower reads at most, special tokens included.
    """

    context_length: int

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special tokens included, neither cut nor padded."""
        ...


def embed_queries(
    encoder: TextEncoder, texts: Sequence[str], *, ensemble: bool, notify: Callable[[str], None]
) -> FloatMatrix:
    """Embed the texts of a query.

    Args:
        encoder: the model; one that does not count tokens gets long texts whole, and cuts them.
        texts: as they were typed.
        ensemble: whether short texts are put into templates (`Calibration.prompt_ensemble`).
        notify: told in one line when a text is longer than the model reads.

    Returns:
        float32 [n, dim], rows of unit length.

    Source: averaging over prompts, Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
    Supervision", §3.1.4.
    """
    prompts: list[str] = []
    shares: list[tuple[int, float]] = []  # which text a prompt is part of, and with what weight
    for row, text in enumerate(texts):
        for prompt, weight in _prompts(encoder, text, ensemble=ensemble, notify=notify):
            prompts.append(prompt)
            shares.append((row, weight))
    embeddings = encoder.encode_texts(prompts)
    sums = np.zeros((len(texts), encoder.dim), np.float32)
    for (row, weight), embedding in zip(shares, embeddings, strict=True):
        sums[row] += np.float32(weight) * embedding
    return l2_normalize(sums)


def surely_fits(text: str, context_length: int) -> bool:
    """Whether a text is so short that its tokens need not be counted.

    No tokenizer makes more tokens of plain ASCII than it has characters, but for those at its beginning and end; what
    cleaning adds to a text is not ASCII, or comes of an entity.
    """
    return text.isascii() and "&" not in text and len(text) + _SPECIAL_TOKENS <= context_length


def is_short(text: str) -> bool:
    """Whether a text is a bare name rather than a caption."""
    return 0 < len(text.split()) <= SHORT_WORDS and not re.search(r"[.!?,;:\"]", text)


def ensemble_prompts(text: str) -> list[str]:
    """A short text in each template, without repetitions."""
    named = with_article(text)
    filled = (template.replace("{a}", named).replace("{}", text) for template in _templates())
    return list(dict.fromkeys(filled))


def with_article(text: str) -> str:
    """A name with the indefinite article, unless it has a determiner, a number or the look of a plural.

    >>> with_article("red bicycle"), with_article("owl"), with_article("two dogs"), with_article("shoes")
    ('a red bicycle', 'an owl', 'two dogs', 'shoes')
    """
    words = text.lower().split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if plural or words[0] in DETERMINERS or words[0][0].isdigit():
        return text
    return f"an {text}" if words[0][0] in "aeiou" else f"a {text}"


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into parts that fit: between sentences, else between words, else between characters.

    Args:
        text: of any length.
        fits: whether a part is short enough; a part of one character is taken as it is.

    Returns:
        The parts in order, each as full as it can be, without space around them; none for a blank text.
    """
    packed: list[str] = []
    _pack(packed, text, fits, (_SENTENCE, _WORD, _CHARACTER))
    return [part.strip() for part in packed if part.strip()]


def _pack(packed: list[str], text: str, fits: Callable[[str], bool], units: tuple[re.Pattern[str], ...]) -> None:
    """Add a text to the parts, unit by unit; a unit that fits nowhere goes in its smaller units."""
    for piece in units[0].findall(text):
        if packed and fits(packed[-1] + piece):
            packed[-1] += piece
        elif fits(piece) or len(units) == 1:
            packed.append(piece)
        else:
            _pack(packed, piece, fits, units[1:])


def _prompts(
    encoder: TextEncoder, text: str, *, ensemble: bool, notify: Callable[[str], None]
) -> list[tuple[str, float]]:
    """What is embedded for a text, with weights."""
    if isinstance(encoder, CountsTokens) and not surely_fits(text, encoder.context_length):
        limit, count = encoder.context_length, encoder.count_tokens
        tokens = count(text)
        parts = split_text(text, lambda part: count(part) <= limit) if tokens > limit else []
        if len(parts) > 1:
            notify(
                f"the query has {tokens} tokens, and the model reads {limit} at once: "
                f"it is searched for in {len(parts)} parts, averaged"
            )
            special = count("")
            return [(part, float(max(1, count(part) - special))) for part in parts]
    if ensemble and is_short(text):
        return [(prompt, 1.0) for prompt in ensemble_prompts(text)]
    return [(text, 1.0)]


@lru_cache(maxsize=1)
def _templates() -> tuple[str, ...]:
    return read_lines(data_dir() / TEMPLATES_FILE)
