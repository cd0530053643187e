"""What a query line means: terms to look for, and a filter that results have to pass.

``str()`` of any of these is a line, or the part of one, that parses to an equal value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["=", "<", "<=", ">", ">=", "in", "contains", "matches"]
"""``in`` a range or a circle, ``contains`` a text, ``matches`` a pattern; the others compare."""

COMPARISONS: tuple[Operator, ...] = ("<=", ">=", "<", ">", "=")
"""Longest first, as they have to be tried."""

RESERVED = frozenset({"and", "not", "or"})
"""Words that are more than words beside a filter."""

_SAFE_WORD = re.compile(r"[^\W\d_][\w'-]*")
_SAFE_NAME = re.compile(r"\w[\w.-]*")
_SAFE_PATH = re.compile(r"[\w./\\:#%+=@,-]+")
_SAFE_VALUE = re.compile(r"(?=\S*[\w*])[\w./*?+-]+")


@dataclass(frozen=True)
class TextTerm:
    """Words to look for, or with a negative weight to keep away from.

    Attributes:
        text: the words.
        weight: how much they count.
        quoted: whether they are several in quotes: as text they are then looked for side by side.

    >>> str(TextTerm("red bicycle", -0.5))
    '-0.5:"red bicycle"'
    """

    text: str
    weight: float = 1.0
    quoted: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        """As one term of a line, quoted where it was or that keeps it one."""
        if self.weight == 1:
            return self.text if _is_plain(self.text) and not self.quoted else _quote(self.text)
        text = _quote(self.text) if self.text.lower() in RESERVED else _quote_unless(_SAFE_WORD, self.text)
        return _weight_prefix(self.weight) + text


@dataclass(frozen=True)
class ImageTerm:
    """A picture to look for, or with a negative weight to keep away from.

    Attributes:
        reference: the path of a file, as written, or ``#`` and the first digits of a content hash.
        weight: how much it counts.
    """

    reference: str
    weight: float = 1.0

    @property
    def content_hash(self) -> str | None:
        """The first digits, at least 6, of the content hash; ``None`` when it is a path."""
        return self.reference[1:] if self.reference.startswith("#") else None

    @property
    def path(self) -> str | None:
        """The path of a file as it was written (``~/`` is not expanded); ``None`` when it is a content hash."""
        return None if self.reference.startswith("#") else self.reference

    def __str__(self) -> str:
        """As one term of a line."""
        return f"{_weight_prefix(self.weight)}~{_quote_unless(_SAFE_PATH, self.reference)}"


@dataclass(frozen=True)
class ConceptTerm:
    """A concept that the library knows by name.

    Attributes:
        name: as it was written.
        weight: how much it counts.
        position: where in the line it was, from 0; ``None`` if it is from no line.
    """

    name: str
    weight: float = 1.0
    position: int | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """As one term of a line."""
        return f"{_weight_prefix(self.weight)}@{_quote_unless(_SAFE_NAME, self.name)}"


Term: TypeAlias = TextTerm | ImageTerm | ConceptTerm


@dataclass(frozen=True)
class DateRange:
    """From `start` up to but without `end`, whole days on the camera's clock; ``None`` is no bound.

    Attributes:
        start: the first moment.
        end: the first moment after it.
        words: the filter as it was written, where it depends on the day of reading, such as ``date:"last summer"``.

    >>> str(DateRange(datetime(2021, 6, 1), datetime(2021, 9, 1)))
    'date:2021-06..2021-08'
    """

    start: datetime | None
    end: datetime | None
    words: str = field(default="", compare=False)

    def __str__(self) -> str:
        """The filter in full, with its field: ``after:``, ``before:`` or ``date:``."""
        if self.start is None and self.end is None:
            raise ValueError("a range of dates has at least one bound")
        if self.words:
            return self.words
        if self.end is None:
            return f"after:{self.start:%Y-%m-%d}"
        if self.start is None:
            return f"before:{self.end:%Y-%m-%d}"
        last = self.end - timedelta(days=1)
        date_format = "%Y-%m-%d"
        if (self.start.month, self.start.day, self.end.month, self.end.day) == (1, 1, 1, 1):
            date_format = "%Y"
        elif (self.start.day, self.end.day) == (1, 1):
            date_format = "%Y-%m"
        bounds = [f"{self.start:{date_format}}", f"{last:{date_format}}"]
        return f"date:{'..'.join(dict.fromkeys(bounds))}"


@dataclass(frozen=True)
class YearlyDays:
    """Days of any year, from the `first` month and day to the `last`, which is in the next year if it is earlier.

    >>> str(YearlyDays((12, 24), (1, 6)))
    'date:12-24..01-06'
    """

    first: tuple[int, int]
    last: tuple[int, int]

    def __str__(self) -> str:
        """The filter in full, with its field."""
        days = dict.fromkeys(f"{month:02}-{day:02}" for month, day in (self.first, self.last))
        return f"date:{'..'.join(days)}"


@dataclass(frozen=True)
class Near:
    """A circle on the Earth: degrees north, degrees east, metres."""

    latitude: float
    longitude: float
    radius_m: float

    def __str__(self) -> str:
        """The value of ``near:``."""
        thousands = self.radius_m >= 1000
        radius = Decimal(repr(self.radius_m)).scaleb(-3 if thousands else 0)
        unit = "km" if thousands else "m"
        return f"{_plain_number(self.latitude)},{_plain_number(self.longitude)},{_plain_decimal(radius)}{unit}"


@dataclass(frozen=True)
class Region:
    """A part of the map of a library (`clipsearch.browse.embedding_map`).

    Attributes:
        corners: across and up, each from 0 to 1: two opposite ones of a rectangle, or those of a polygon in turn.
        drawing: the name of the drawing that is meant; empty for the map as it is.
    """

    corners: tuple[tuple[float, float], ...]
    drawing: str = ""

    def __str__(self) -> str:
        """The value of ``region:``."""
        numbers = ",".join(_plain_number(number) for corner in self.corners for number in corner)
        return f"{numbers}@{self.drawing}" if self.drawing else numbers


@dataclass(frozen=True)
class Size:
    """How big a picture is: in megapixels (``MP``), along its longer side (``px``), or as a file (``B``, bytes)."""

    amount: float
    unit: Literal["MP", "px", "B"]

    def __str__(self) -> str:
        """The value of ``size:``."""
        return f"{_plain_number(self.amount)}{self.unit}"


Value: TypeAlias = str | int | float | DateRange | YearlyDays | Near | Region | Size


@dataclass(frozen=True)
class Condition:
    """One thing that a result has to be.

    >>> str(Condition("rating", ">=", 4))
    'rating:>=4'
    """

    field: str
    operator: Operator
    value: Value

    def __str__(self) -> str:
        """As one filter of a line."""
        if isinstance(self.value, DateRange | YearlyDays):
            return str(self.value)
        if isinstance(self.value, str):
            return f"{self.field}:{_quote_unless(_SAFE_VALUE, self.value)}"
        operator = "" if self.operator in ("=", "in") else self.operator
        value = str(self.value) if isinstance(self.value, Near | Region | Size) else _plain_number(self.value)
        return f"{self.field}:{operator}{value}"


@dataclass(frozen=True)
class And:
    """All of at least two parts."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        """Side by side; parts of parts in parentheses."""
        return " ".join(f"({part})" if isinstance(part, And) else str(part) for part in self.parts)


@dataclass(frozen=True)
class Or:
    """At least one of at least two parts."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        """Joined by ``or``; parts of parts in parentheses."""
        return " or ".join(_in_parentheses(part) for part in self.parts)


@dataclass(frozen=True)
class Not:
    """Everything that `part` is not, also what nothing is known of."""

    part: Filter

    def __str__(self) -> str:
        """``not`` before it."""
        return f"not {_in_parentheses(self.part)}"


Filter: TypeAlias = Condition | And | Or | Not


@dataclass(frozen=True)
class Query:
    """A parsed query line.

    Attributes:
        terms: what results are ranked by. Without any, everything that passes the filter is meant, by date; with
            negative ones only, what is least like them.
        filter: what results have to pass; ``None`` is everything.
    """

    terms: tuple[Term, ...] = ()
    filter: Filter | None = None

    @property
    def text(self) -> str | None:
        """The words, if the query is one text of weight 1 and nothing else."""
        if self.filter is None and len(self.terms) == 1:
            term = self.terms[0]
            if isinstance(term, TextTerm) and term.weight == 1:
                return term.text
        return None

    def __str__(self) -> str:
        """The canonical line: terms, then filters; it parses to an equal query."""
        parts: list[str] = []
        free = True  # all plain words of a line are one text, so only one text can go without quotes
        for term in self.terms:
            if isinstance(term, TextTerm) and term.weight == 1:
                parts.append(str(term) if free else _quote(term.text))
                free = free and term.quoted
            else:
                parts.append(str(term))
        return " ".join(parts if self.filter is None else [*parts, str(self.filter)])


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _quote_unless(safe: re.Pattern[str], text: str) -> str:
    return text if safe.fullmatch(text) else _quote(text)


def _is_plain(text: str) -> bool:
    return all(_SAFE_WORD.fullmatch(word) and word.lower() not in RESERVED for word in text.split(" "))


def _in_parentheses(part: Filter) -> str:
    return f"({part})" if isinstance(part, And | Or) else str(part)


def _weight_prefix(weight: float) -> str:
    number = "" if abs(weight) == 1 else f"{_plain_number(abs(weight))}:"
    return ("-" if weight < 0 else "") + number


def _plain_number(number: float) -> str:
    return _plain_decimal(Decimal(repr(number)))


def _plain_decimal(number: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def names_field(filter_: Filter, field: str) -> bool:
    """Whether a condition of a filter is about a field."""
    if isinstance(filter_, Condition):
        return filter_.field == field
    parts = (filter_.part,) if isinstance(filter_, Not) else filter_.parts
    return any(names_field(part, field) for part in parts)
