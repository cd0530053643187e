"""Which words of a query are looked for literally, and how well a text has one of them."""

from __future__ import annotations

import re
import unicodedata

from clipsearch.query import Query, TextTerm
from clipsearch.text import search_form

MOST_WORDS = 16
"""Words of a query that are looked for; of a longer one, the first."""

_FEWEST_LETTERS = 3
"""Of a word in a script that separates words by spaces; shorter ones are in everything."""

_SURE_LETTERS = 5
"""Of a word that may begin a longer word, as in ``invoices``, or be inside of one, as in ``stromrechnung``."""

_ENDINGS = ("s", "es", "'s")
"""What a shorter word may have after it."""

_FUNCTION_WORDS = """
the and with without into over under near are was were been being this that these those its their his her him she they
them you your our who which what where there here has have had not out off some any all very while during between behind
against around through across from for
der die das den dem des ein eine einen einem einer und oder mit von vom zum zur bei auf aus ist sind
les une dans avec sur sous pour par est sont aux del las los una unos unas con por para son gli uno che per
photo photos picture pictures image images foto fotos bild bilder
"""
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing of a picture, in English, German, French, Spanish and Italian."""

_TOKEN = re.compile(r"[^\W_]+")
_SWITCH = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_MOST_SWITCHES = 2
"""Between letters and digits in a word; with more it is a code or a hash, in which no words are looked for."""

_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


def query_words(query: Query) -> tuple[str, ...]:
    """The words of a query in search form, each once; what is in quotes is one word.

    >>> query_words(Query((TextTerm("The IKEA invoice."), TextTerm("people", -1.0))))
    ('ikea', 'invoice')
    """
    words: dict[str, None] = {}
    for term in query.terms:
        if isinstance(term, TextTerm) and term.weight > 0:
            words.update(dict.fromkeys(filter(_is_telling, _split(term))))
    return tuple(words)[:MOST_WORDS]


def whole_text(query: Query) -> str:
    """The text of a query that is one text and nothing else but filters, in search form; empty for any other."""
    texts = [term.text for term in query.terms if isinstance(term, TextTerm) and term.weight > 0]
    return search_form(" ".join(texts[0].split())) if len(texts) == len(query.terms) == 1 else ""


def grade(word: str, text: str) -> float:
    """How well a text has a word, both in search form: 1 as a word, less as a part of one, 0 not at all.

    >>> [grade("invoice", text) for text in ("invoice_7", "invoices", "invoiced", "voice")], grade("art", "party")
    ([1.0, 0.8, 0.8, 0.0], 0.0)
    >>> grade("face", "1000268201_693face8cb0e"), grade("img", "img2041"), grade("合計", "御合計金額")
    (0.0, 1.0, 1.0)
    """
    best, start = 0.0, text.find(word)
    while start >= 0 and best < 1.0:
        best = max(best, _grade_at(word, text, start))
        start = text.find(word, start + 1)
    return best


def _split(term: TextTerm) -> list[str]:
    if term.quoted:
        return [search_form(" ".join(term.text.split()))]
    return [_bare(search_form(word)) for word in term.text.split()]


def _bare(word: str) -> str:
    """Without the punctuation around it."""
    first = next((place for place, character in enumerate(word) if character.isalnum()), len(word))
    last = next((place for place in range(len(word), 0, -1) if word[place - 1].isalnum()), 0)
    return word[first:last]


def _is_telling(word: str) -> bool:
    if word in _STOP_WORDS or not word:
        return False
    return len(word) >= _FEWEST_LETTERS or (len(word) >= 2 and _UNSPACED.search(word) is not None)


def _grade_at(word: str, text: str, start: int) -> float:
    end = start + len(word)
    begins = start == 0 or not _joins(text[start - 1], word[0])
    ends = end == len(text) or not _joins(word[-1], text[end])
    token = _token_around(text, start, end)
    if len(_SWITCH.findall(token)) > _MOST_SWITCHES and token != word:
        return 0.0
    if begins and ends:
        return 1.0
    if begins:
        following = _TOKEN.match(text, end)
        rest = following[0] if following is not None else ""
        return 0.8 if len(word) >= _SURE_LETTERS or rest in _ENDINGS else 0.0
    return 0.5 if len(word) >= _SURE_LETTERS else 0.0


def _token_around(text: str, start: int, end: int) -> str:
    """The run of letters and digits that a place in a text is in."""
    while start and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[start:end]


def _joins(one: str, other: str) -> bool:
    """Whether no word ends between two characters that follow each other."""
    if not (one.isalnum() and other.isalnum()):
        return unicodedata.category(other) == "Mn"
    return one.isdigit() == other.isdigit() and not (_UNSPACED.match(one) or _UNSPACED.match(other))
