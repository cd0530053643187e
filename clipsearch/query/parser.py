"""The query language's parser: a line of text in, a `Query` or a `QueryError` out; see docs/query.md."""

from __future__ import annotations

import re
from datetime import date
from typing import NoReturn

from clipsearch.errors import QueryError
from clipsearch.query.ast import And, ConceptTerm, Filter, ImageTerm, Not, Or, Query, Term, TextTerm
from clipsearch.query.date_points import FILLERS, is_month_name
from clipsearch.query.fields import FIELDS, Field, nearest_field
from clipsearch.query.references import read_reference
from clipsearch.query.values import BadValueError, NotADateError, shown

_MAX_LENGTH = 10_000
_MAX_DEPTH = 20
_MAX_WEIGHT = 100

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\S+")
_WORD_IN_GROUP = re.compile(r"[^\s)]+")
_NAME = re.compile(r"([^\W\d_][\w-]*):")
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"|“([^“”]*)”|„([^„“”]*)[“”]')
_ENDING = re.compile(r"[.,;:!?…。]+(?=\s|$)")
"""What a sentence may have after a closing quote, where it means nothing."""
_OPENING_QUOTES = '"“„'
_FILTER_AHEAD = re.compile(
    r"""(?: not (?: \s++ | (?=\() ) | [-+](?!\s) | \(\s*+ )*+
        [^\W\d_][\w-]*+ : (?!//) (?= ["“„] | \S*[\w*] )""",
    re.IGNORECASE | re.VERBOSE,
)
_NOT = re.compile(r"(?:not(?:\s+|(?=\())|([-+]))\s*", re.IGNORECASE)
_JOINED = re.compile(r"\s*(or|and)(?=[\s()]|$)\s*", re.IGNORECASE)
_SIGN = re.compile(r"[-+](?=[^\s\-+<>=:;,.!?()*/\\|\[\]{}^%_]|\.[0-9])")
_TWO_SIGNS = re.compile(r"[-+]{2,}[\w\"“„~@]")
_WEIGHT = re.compile(
    r'([0-9]{1,15}(?:\.[0-9]{1,30})?|\.[0-9]{1,30}):(?=[^\W\d_]|[^\x00-\x7f\s]|["“„]|~\S|@[\w"“„]|[-+]\w)'
)
_CONCEPT = re.compile(r"\w[\w.-]*")
_LOOKS_LIKE_A_PICTURE = re.compile(r"(?:[a-z]:[\\/]|/|\.{1,2}[\\/]|\\\\).*\.[a-z0-9]{2,4}", re.IGNORECASE)

_DATE_IN_NUMBERS = re.compile(r"[<>=]*[0-9]{4}(?:[-./:][0-9]{1,2}){0,2}(?:\.\.[-0-9]*)?|[0-9./-]+[-./][0-9]{4}")
_RANGE_WORDS = frozenset({"to", "until", "till", "through", "-", "–"})
_MOST_DATE_WORDS = 8
_TERM_AHEAD = re.compile(r'["“„~@+(]|-[^\s0-9]')

_QUOTE_HINT = "quote it if it is a word"
_OR_HINT = f"'or' joins two filters, and one side here is none; {_QUOTE_HINT}"


def parse_query(line: str, *, today: date | None = None) -> Query:
    """Parse a query line; `today` is what ``date:yesterday`` is relative to, by this machine's clock by default.

    Words without a sign, a weight or quotes are one text, wherever filters or other terms stand between them:

    >>> parse_query("two dogs playing").terms
    (TextTerm(text='two dogs playing', weight=1.0),)

    A sign or a weight takes the next word, or what is in quotes:

    >>> parse_query('2:beach -0.5:"red bicycle"').terms
    (TextTerm(text='beach', weight=2.0), TextTerm(text='red bicycle', weight=-0.5))

    A picture is a path, or the first digits of its content hash; a concept is a name:

    >>> parse_query("~./ref.jpg -~#a1b2c3 @garden").terms[1:]
    (ImageTerm(reference='#a1b2c3', weight=-1.0), ConceptTerm(name='garden', weight=1.0))

    A filter is a field and a value. ``or`` joins the two filters beside it; all others have to pass together:

    >>> parse_query("sunset folder:Crete camera:fuji or not rating:<3").filter
    And(parts=(Condition(field='folder', operator='=', value='Crete'), \
Or(parts=(Condition(field='camera', operator='contains', value='fuji'), \
Not(part=Condition(field='rating', operator='<', value=3))))))

    Raises:
        QueryError: there is nothing to look for, or something is not understood: the error says where.
    """
    if not line.strip():
        raise QueryError('the query is empty; say what to look for, for example: clipsearch search "a red bicycle"')
    if len(line) > _MAX_LENGTH:
        raise QueryError(f"the query has {len(line)} characters; the most are {_MAX_LENGTH}")
    return _Parser(line, today or date.today()).query()


def explainable_query(line: str) -> Query:
    """Parse a line that is to be explained.

    Raises:
        QueryError: it is wrong, or has nothing but filters.
    """
    query = parse_query(line)
    if not query.terms:
        raise QueryError("filters alone match all of a picture or nothing; add words or a picture to explain")
    return query


def check_k(k: int) -> int:
    """Return `k`, the number of results wanted.

    Raises:
        QueryError: it is below 1.
    """
    if k < 1:
        raise QueryError(f"k must be at least 1, not {k}")
    return k


class _Parser:
    """Reads one line from left to right; each method takes what it is named for from where the reading stands."""

    def __init__(self, line: str, today: date) -> None:
        self._line = line
        self._today = today
        self._at = 0
        self._depth = 0
        self._groups = 0
        self._terms: list[Term] = []
        self._words: list[str] = []
        self._words_place = 0

    def query(self) -> Query:
        filters: list[Filter] = []
        while not self._at_end():
            if _FILTER_AHEAD.match(self._line, self._at):
                filters.append(self._alternatives())
            else:
                self._term()
        if self._words:
            self._terms.insert(self._words_place, TextTerm(" ".join(self._words)))
        return Query(tuple(self._terms), _all_of(filters))

    def _alternatives(self) -> Filter:
        """Filters joined by ``or``."""
        parts = [self._negation()]
        while match := _JOINED.match(self._line, self._at):
            if not _FILTER_AHEAD.match(self._line, match.end()):
                if match[1].lower() == "or":
                    self._refuse(match.start(1), _OR_HINT)
                break
            if match[1].lower() == "and":
                self._refuse(match.start(1), "leave out 'and': filters side by side have to pass together")
            self._at = match.end()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _negation(self) -> Filter:
        match = _NOT.match(self._line, self._at)
        if match is None:
            return self._group() if self._line[self._at] == "(" else self._condition()
        self._deeper()
        self._at = match.end()
        part = self._negation()
        self._depth -= 1
        return part if match[1] == "+" else Not(part)

    def _group(self) -> Filter:
        opened = self._at
        self._deeper()
        self._groups += 1
        self._at += 1
        parts: list[Filter] = []
        while not self._at_end() and self._line[self._at] != ")":
            if not _FILTER_AHEAD.match(self._line, self._at):
                self._refuse(self._at, "only filters stand in parentheses; quote them if they are words")
            parts.append(self._alternatives())
        if self._at_end():
            self._refuse(opened, "the parenthesis is not closed")
        self._at += 1
        self._groups -= 1
        self._depth -= 1
        self._end_of_item("parenthesis")
        whole = _all_of(parts)
        assert whole is not None, "a group is only begun before a filter"
        return whole

    def _condition(self) -> Filter:
        match = _NAME.match(self._line, self._at)
        assert match is not None, "a condition is only begun before a field"
        name, start = match[1].lower(), match.end()
        field = FIELDS.get(name)
        if field is None:
            self._refuse(match.start(), _unknown_field(match[1], self._line[start : start + 1]))
        self._at = start
        if self._line[start] in _OPENING_QUOTES:
            value = self._quoted()
        else:
            value = self._taken(_WORD_IN_GROUP if self._groups else _WORD)
            if field.is_date:
                value = self._longest_date(value, field)
        try:
            return field.read(value, self._today) if field.is_date else field.read(value)
        except BadValueError as error:
            self._refuse(start, f"{name}: {error}", cause=error)

    def _longest_date(self, value: str, field: Field) -> str:
        """The longest value that is a date, as in ``date:september 2015``; only the word itself if none is.

        After a date in numbers a word is what pictures show, unless it goes on as a range does: ``date:2019 to 2021``.
        """
        word = _WORD_IN_GROUP if self._groups else _WORD
        longest, end, is_date = value, self._at, self._is_date(value, field)
        place = self._at
        for count in range(1, _MOST_DATE_WORDS):
            match = word.match(self._line, _after_space(self._line, place))
            if match is None or _FILTER_AHEAD.match(self._line, match.start()) or _TERM_AHEAD.match(match[0]):
                break
            goes_on = match[0].lower() in _RANGE_WORDS or is_month_name(match[0])
            if count == 1 and _DATE_IN_NUMBERS.fullmatch(value) and not goes_on:
                break
            value, place = f"{value} {match[0]}", match.end()
            has_date = None if match[0].lower() in FILLERS else self._is_date(value, field)
            if has_date or (has_date is False and not is_date):
                longest, end, is_date = value, place, has_date
        self._at = end
        return longest

    def _is_date(self, value: str, field: Field) -> bool | None:
        """Whether a value is a date of its field; ``False`` for one that there is not, ``None`` for anything else."""
        try:
            field.read(value, self._today)
        except NotADateError:
            return None
        except BadValueError:
            return False
        return True

    def _term(self) -> None:
        """One term, or one plain word of the text that all plain words are."""
        start = self._at
        if _TWO_SIGNS.match(self._line, start):
            self._refuse(start, "one sign is enough; quote it if it is a word")
        sign = _SIGN.match(self._line, start)
        self._at = sign.end() if sign else start
        weight = self._weight(negative=sign is not None and sign[0] == "-")
        plain = sign is None and weight is None
        factor = (-1.0 if sign and sign[0] == "-" else 1.0) if weight is None else weight
        here, following = self._line[self._at], self._line[self._at + 1 : self._at + 2]
        if here in _OPENING_QUOTES:
            text = " ".join(self._quoted().split())
            self._terms.append(TextTerm(text, factor, quoted=" " in text))
        elif here == "~" and following.strip():
            self._terms.append(ImageTerm(self._picture(), factor))
        elif here == "@" and _is_name_start(following):
            place = self._at
            self._terms.append(ConceptTerm(self._concept(), factor, place))
        elif plain:
            self._plain_word()
        else:
            self._terms.append(TextTerm(self._word(), factor))

    def _weight(self, *, negative: bool) -> float | None:
        match = _WEIGHT.match(self._line, self._at)
        if match is None:
            return None
        weight = float(match[1])
        if not 0 < weight <= _MAX_WEIGHT:
            self._refuse(self._at, f"{shown(match[1])} is not a weight; they go from above 0 to {_MAX_WEIGHT}")
        if self._line[match.end()] in "+-":
            sign = self._line[match.end()]
            self._refuse(match.end(), f"the sign stands before the weight, as in {sign}{match[0]}beach")
        if _FILTER_AHEAD.match(self._line, match.end()):
            name = _NAME.match(self._line, match.end())
            if name is not None and name[1].lower() in FIELDS:
                self._refuse(self._at, "a filter takes no weight: a picture passes it or does not")
        self._at = match.end()
        return -weight if negative else weight

    def _picture(self) -> str:
        self._at += 1
        start = self._at
        reference = self._quoted() if self._line[start] in _OPENING_QUOTES else self._taken(_WORD)
        try:
            return read_reference(reference)
        except BadValueError as error:
            self._refuse(start, str(error), cause=error)

    def _concept(self) -> str:
        self._at += 1
        start = self._at
        if self._line[start] in _OPENING_QUOTES:
            return " ".join(self._quoted().split())
        name = self._taken(_WORD)
        if not _CONCEPT.fullmatch(name):
            self._refuse(start, f'{shown(name)} is not a name; quote it if it is one: @"…"')
        return name

    def _plain_word(self) -> None:
        start = self._at
        word = self._word()
        if word.lower() == "or" and _FILTER_AHEAD.match(self._line, _after_space(self._line, self._at)):
            self._refuse(start, _OR_HINT)
        if not self._words:
            self._words_place = len(self._terms)
        self._words.append(word)

    def _word(self) -> str:
        start = self._at
        word = self._taken(_WORD)
        name = _NAME.match(word)
        if name is not None and name[1].lower() in FIELDS:
            example = FIELDS[name[1].lower()].example
            self._refuse(
                start, f"{shown(name[0])} needs its value right after the colon, as in {example}; {_QUOTE_HINT}"
            )
        if name is not None and _FILTER_AHEAD.match(word):
            self._refuse(start, _unknown_field(name[1], word[name.end()]))
        if _LOOKS_LIKE_A_PICTURE.fullmatch(word):
            self._refuse(start, f"to search with a picture, write ~ before its path: '~{word[:40]}'; {_QUOTE_HINT}")
        return word

    def _quoted(self) -> str:
        start = self._at
        match = _QUOTED.match(self._line, start)
        if match is None:
            self._refuse(start, "the quote is not closed")
        text = next(group for group in match.groups() if group is not None)
        if not text.strip():
            self._refuse(start, "there is nothing between the quotes")
        self._at = match.end()
        self._end_of_item("quote")
        return text.replace('""', '"') if match[1] is not None else text

    def _taken(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._line, self._at)
        if match is None:
            self._refuse(self._at, "there is nothing here where a value was expected")
        self._at = match.end()
        return match[0]

    def _end_of_item(self, what: str) -> None:
        ending = _ENDING.match(self._line, self._at)
        if ending is not None and what == "quote":
            self._at = ending.end()
        following = self._line[self._at : self._at + 1]
        if following.strip() and not (self._groups and following == ")"):
            self._refuse(self._at, f"put a space after the {what}")

    def _at_end(self) -> bool:
        self._at = _after_space(self._line, self._at)
        return self._at == len(self._line)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(self._at, f"filters can be nested {_MAX_DEPTH} deep, not deeper")

    def _refuse(self, position: int, reason: str, *, cause: Exception | None = None) -> NoReturn:
        raise QueryError(reason, line=self._line, position=position) from cause


def _all_of(filters: list[Filter]) -> Filter | None:
    return And(tuple(filters)) if len(filters) > 1 else next(iter(filters), None)


def _unknown_field(name: str, value_start: str) -> str:
    if len(name) == 1 and value_start in "\\/":
        return f"to search with a picture, write ~ before its path, as in ~{name}:{value_start}…"
    close = nearest_field(name)
    hint = f"did you mean {close}?" if close else f"there are {', '.join(FIELDS)}"
    return f"there is no field {shown(name)}; {hint} ({_QUOTE_HINT})"


def _after_space(line: str, position: int) -> int:
    match = _SPACE.match(line, position)
    return position if match is None else match.end()


def _is_name_start(character: str) -> bool:
    return character.isalnum() or character == "_" or (character != "" and character in _OPENING_QUOTES)
