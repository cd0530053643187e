"""Which words of the vocabulary occur in captions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from clipsearch.catalog.vocabulary import Folding

_LONGEST = 3
"""Words of a name that is looked for in captions."""


def spoken_words(captions: Sequence[str], folding: Folding, rows: Mapping[str, int]) -> set[int]:
    """The rows of the vocabulary's words that occur in captions, synonyms and plurals folded."""
    names = {folding.canonical(gram) for caption in captions for gram in _grams(caption)}
    return {rows[name] for name in names if name in rows}


def _grams(caption: str) -> Iterator[str]:
    tokens = re.findall(r"[a-z'-]+", caption.lower())
    for length in range(1, _LONGEST + 1):
        for start in range(len(tokens) - length + 1):
            yield " ".join(tokens[start : start + length])
