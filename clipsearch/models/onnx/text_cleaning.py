"""Text cleaning before tokenization, identical to open_clip's but without torch.

Source: open_clip 3.3, `open_clip/tokenizer.py` (`basic_clean`, `whitespace_clean`, `canonicalize_text`).
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipsearch.models.manifest import TextCleaning

_NOTHING_TO_REPAIR = re.compile(r"[\t\n -%'-~]*")
"""ASCII without control characters and &: nothing to do for ftfy and entities."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_text(text: str, cleaning: TextCleaning) -> str:
    """Clean a text as in the training of a model.

    Args:
        text: any text; a lone surrogate (a non-UTF-8 byte of the command line) becomes U+FFFD.
        cleaning: ``none`` does nothing else. The others first repair mojibake (ftfy) and HTML entities. Then
            ``whitespace`` joins words by single spaces, ``lower`` also lowercases, and ``canonicalize`` (SigLIP) also
            lowercases and removes ASCII punctuation.

    Returns:
        The cleaned text, encodable as UTF-8.
    """
    if cleaning == "none":
        return _without_lone_surrogates(text)
    text = _basic_clean(text)
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(_NO_PUNCTUATION).lower()
    text = " ".join(text.split())
    return text.lower() if cleaning == "lower" else text


def is_latin(text: str) -> bool:
    """Whether all letters of a text are Latin; digits, signs and pictures are of no script."""
    return text.isascii() or all(
        "LATIN" in unicodedata.name(letter, "") for letter in text if unicodedata.category(letter)[0] == "L"
    )


def _basic_clean(text: str) -> str:
    if _NOTHING_TO_REPAIR.fullmatch(text):
        return text.strip()
    import html  # both slow to import

    import ftfy

    text = ftfy.fix_text(text)
    # twice, as open_clip does: web captions are often escaped twice
    return _without_lone_surrogates(html.unescape(html.unescape(text)).strip())


def _without_lone_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
