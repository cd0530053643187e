"""One form for the words of a query, before any tokenizer sees them: what means the same is embedded as the same.

A text tower reads a full stop, a capital letter in full width or a sentence said twice as something else than the bare
words. People type all of these without meaning anything by it.
"""

from __future__ import annotations

import re
import unicodedata

from clipsearch.retrieval.translations import in_english

SENTENCE = re.compile(r".+?(?:[.!?;:…](?=\s|$)\s*|[。！？]\s*|\n+|$)", re.DOTALL)
"""A sentence with what ends it, and the space after that."""

ARTICLES = frozenset({"a", "an", "the"})

NAME_WORDS = 2
"""Words that a text may have to be a bare name, of which an article is no part: what is longer, or says what is being
done, is a caption. Of captions the article stays, as they are found a little less well without it."""

_ENDS = " \t.,;:!?…*_|/\\~-–—•·。、¡¿"
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">", '"': '"', "'": "'", "«": "»", "‹": "›", "「": "」", "『": "』"}
_PAIRS |= {"《": "》", "〈": "〉", "【": "】"}
_QUOTES = str.maketrans({**dict.fromkeys("‘’‚‛′", "'"), **dict.fromkeys("“”„‟″", '"')})
_JOINERS = "\u200c\u200d"
"""Invisible, and part of how Persian words and emoji are written."""


def query_text(text: str) -> str:
    """A text of a query in the form in which it is embedded; empty if there is no letter, digit or picture in it.

    Full-width letters and other compatibility forms become the plain ones (NFKC), curly quotes straight, white space
    single; invisible and control characters, punctuation and quotes around the whole, the article of a bare name, and
    repetitions go. An everyday word of another language becomes English (`clipsearch.retrieval.translations`).

    >>> query_text(" A cat.\\n"), query_text("“ｃａｔ”!"), query_text("Two dogs run. Two dogs run."), query_text("?!")
    ('cat', 'cat', 'Two dogs run', '')
    >>> query_text("Katze"), query_text("eine Katze im Schnee")
    ('cat', 'eine Katze im Schnee')
    """
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES)).translate(_QUOTES)
    text = " ".join("".join(map(_visible, text)).split())
    text = _bare(_once(text))
    words = text.split()
    if 1 < len(words) <= NAME_WORDS + 1 and words[0].lower() in ARTICLES and not words[-1].endswith("ing"):
        text = _bare(" ".join(words[1:]))
    if not any(_means_something(character) for character in text):
        return ""
    return in_english(text) or text


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category == "Cf" and character not in _JOINERS else character


def _means_something(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in ("So", "Lo", "Co")


def _bare(text: str) -> str:
    """Without the punctuation and the quotes around it."""
    while True:
        bare = text.strip(_ENDS)
        if bare[:1] == "#" and bare[1:2].isalnum():
            bare = bare[1:]
        if len(bare) > 1 and _PAIRS.get(bare[0]) == bare[-1] and not set(bare[1:-1]) & {bare[0], bare[-1]}:
            bare = bare[1:-1]
        else:
            bare = _without_unpaired(bare)
        if bare == text:
            return text
        text = bare


def _without_unpaired(text: str) -> str:
    """Without a bracket or quote at its beginning or end that nothing opens or closes."""
    for opening, closing in _PAIRS.items():
        is_odd = text.count(opening) % 2 == 1 if opening == closing else text.count(opening) != text.count(closing)
        if is_odd and text.startswith((opening, closing)):
            return text[1:]
        if is_odd and text.endswith((opening, closing)):
            return text[:-1]
    return text


def _once(text: str) -> str:
    """Each sentence once, and words that are repeated as a whole once."""
    sentences = [match[0] for match in SENTENCE.finditer(text)]
    if len(sentences) > 1:
        different: dict[str, str] = {}
        for sentence in sentences:
            different.setdefault(_key(sentence), sentence)
        text = "".join(different.values()).strip() if len(different) < len(sentences) else text
    words = text.split()
    period = _period([_key(word) for word in words])
    # twice the same name may be one, such as Bora Bora
    return " ".join(words[:period]) if len(words) >= period * (3 if period < 3 else 2) else text


def _key(words: str) -> str:
    return words.strip(_ENDS + "\"'").casefold()


def _period(words: list[str]) -> int:
    """The number of words after which all others are repetitions, the last of which may be cut; all, if none is.

    Source: Knuth, Morris and Pratt 1977, Fast Pattern Matching in Strings, section 2 (the failure function).
    """
    borders = [0] * len(words)
    length = 0
    for place in range(1, len(words)):
        while length and words[place] != words[length]:
            length = borders[length - 1]
        length += words[place] == words[length]
        borders[place] = length
    return len(words) - length
