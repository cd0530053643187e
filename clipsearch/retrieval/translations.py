"""Everyday words of many languages in English, by a dictionary.

Every CLIP model knows English best, and most know nothing else. A query that is one everyday word or name of a thing,
such as ``perro``, ``猫`` or ``arbre de Noël``, is embedded as its English translation; everything else is left to
the model.
"""

from __future__ import annotations

import re
from functools import cache

from clipsearch.config import data_dir
from clipsearch.text import fold

LONGEST = 40
"""Characters of the longest text that is looked up."""

_ARTICLE = re.compile(
    r"(?:der|die|das|den|dem|ein|eine|einen|einem|einer|de|het|een|le|la|les|un|une|des|el|los|las|una|il|lo|i|gli|o|a|os"
    r"|as|um|uma)\s+(?=\w)|(?:l|un|dell|all)'\s*(?=\w)|\u0627\u0644(?=\w{2})"
)
"""Of German, Dutch and the Romance languages, and the Arabic one, which is written together with its noun."""


def in_english(text: str) -> str | None:
    """The English word for a word of another language, with or without its article; ``None`` for everything else.

    Words that mean something in English, too, are not in the dictionary.

    >>> in_english("Perro"), in_english("l'arbre"), in_english("dog"), in_english("chat"), in_english("Hund im Schnee")
    ('dog', 'tree', None, None, None)
    """
    if len(text) > LONGEST:
        return None
    word = fold(text)
    article = _ARTICLE.match(word)
    bare = word[article.end() :] if article is not None else word
    if bare not in _file():  # as most captions, which need no dictionary
        return None
    return _dictionary().get(word) or _dictionary().get(bare)


@cache
def _file() -> str:
    """Rows of a word in English and in other languages, in the form of `fold`."""
    return (data_dir() / "vocabulary" / "translations.tsv").read_text(encoding="utf-8")


@cache
def _dictionary() -> dict[str, str]:
    """English by words of other languages."""
    rows = [line.split("\t") for line in _file().splitlines()[1:]]
    words = {word: row[0] for row in rows for cell in row[1:] for word in cell.split("; ")}
    for unwanted in ("", *(row[0] for row in rows)):
        words.pop(unwanted, None)
    return words
