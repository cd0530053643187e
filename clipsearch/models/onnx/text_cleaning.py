"""What happens to a text before it is tokenised, exactly as open_clip does it but without torch.

Source: open_clip 3.3, `open_clip/tokenizer.py` (`basic_clean`, `whitespace_clean`, `canonicalize_text`).
"""

from __future__ import annotations

import html
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipsearch.models.manifest import TextCleaning

_NOTHING_TO_REPAIR = re.compile(r"[\t\n -%'-~]*")
"""ASCII without control characters (nothing to find for ftfy) and without & (no entities)."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_text(text: str, cleaning: TextCleaning) -> str:
    """Clean a text the way the model it is meant for was trained.

    Args:
        text: any text; a lone surrogate (a byte of the command line that is not UTF-8) becomes U+FFFD.
        cleaning: ``none`` leaves the text as it is; each of the others first repairs mojibake (ftfy) and
            HTML entities, then ``whitespace`` joins words by single spaces, ``lower`` does so and
            lowercases, ``canonicalize`` removes ASCII punctuation, lowercases and joins words (SigLIP).

    Returns:
        The cleaned text, always encodable as UTF-8.
    """
    if cleaning == "none":
        return _without_lone_surrogates(text)
    text = _basic_clean(text)
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(_NO_PUNCTUATION).lower()
    text = " ".join(text.split())
    return text.lower() if cleaning == "lower" else text


def _basic_clean(text: str) -> str:
    if _NOTHING_TO_REPAIR.fullmatch(text):
        return text.strip()
    import ftfy  # takes longer to import than everything else a search needs before the encoder

    text = ftfy.fix_text(text)
    # twice, because captions scraped from the web are often escaped twice
    return _without_lone_surrogates(html.unescape(html.unescape(text)).strip())


def _without_lone_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
