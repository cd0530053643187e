"""The filters of the widgets, to the query language and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from clipsearch.query import And, Condition, DateRange, Filter, Or, Query, parse_query

CHOICE_FIELDS = ("camera", "lens", "place", "folder", "root", "ext", "orientation", "keyword", "tag", "status")
"""Fields with a choice of values; a picture passes with any of them."""

MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")

_SAFE_VALUE = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class PickedFilters:
    """The filters set on the page.

    Attributes:
        months: the first and the last month, such as ``2021-06``; ``None`` for all.
        choices: values by field of `CHOICE_FIELDS`.
        rating: minimum stars; ``None`` for any.
        near: ``latitude,longitude,radius`` in the query language; empty for anywhere.
        rest: filters without a widget, in the query language.
    """

    months: tuple[str, str] | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rating: int | None = None
    near: str = ""
    rest: tuple[str, ...] = ()

    def picking(self, name: str, values: tuple[str, ...]) -> PickedFilters:
        """A copy with other values of one field."""
        return replace(self, choices={**self.choices, name: values})

    def parts(self) -> list[str]:
        """Each filter in the query language."""
        parts = []
        if self.months is not None:
            parts.append(f"date:{'..'.join(dict.fromkeys(self.months))}")
        for name in CHOICE_FIELDS:
            options = [f"{name}:{_quoted(value)}" for value in self.choices.get(name, ())]
            if options:
                parts.append(" or ".join(options))
        if self.rating is not None:
            parts.append(f"rating:>={self.rating}")
        if self.near:
            parts.append(f"near:{self.near}")
        return [*parts, *self.rest]

    def line(self) -> str:
        """The filters as a query; empty without filters."""
        return " ".join(self.parts())


def read_filters(line: str) -> PickedFilters:
    """Parse filters.

    Raises:
        QueryError: the line is invalid.

    >>> read_filters("camera:fuji or camera:leica rating:>=4").choices
    {'camera': ('fuji', 'leica')}
    """
    query = parse_query(line) if line.strip() else Query()
    picked = PickedFilters(rest=(str(Query(query.terms)),) if query.terms else ())
    for part in parts_of_filter(query.filter):
        picked = _with_part(picked, part)
    return picked


def parts_of_filter(filter_: Filter | None) -> tuple[Filter, ...]:
    """The parts of a conjunction."""
    if filter_ is None:
        return ()
    return filter_.parts if isinstance(filter_, And) else (filter_,)


def _with_part(picked: PickedFilters, part: Filter) -> PickedFilters:
    name, values = _chosen(part)
    if name and name not in picked.choices:
        return picked.picking(name, values)
    months = _months(part)
    if months and picked.months is None:
        return replace(picked, months=months)
    if isinstance(part, Condition):
        if part.field == "rating" and part.operator == ">=" and isinstance(part.value, int) and picked.rating is None:
            return replace(picked, rating=part.value)
        if part.field == "near" and not picked.near:
            return replace(picked, near=str(part.value))
    written = f"({part})" if isinstance(part, And) else str(part)
    return replace(picked, rest=(*picked.rest, written))


def _chosen(part: Filter) -> tuple[str, tuple[str, ...]]:
    """The field and the values of a choice; an empty name for another filter."""
    options = part.parts if isinstance(part, Or) else (part,)
    conditions = [option for option in options if isinstance(option, Condition) and isinstance(option.value, str)]
    names = {option.field for option in conditions}
    if len(conditions) != len(options) or len(names) != 1 or not names <= set(CHOICE_FIELDS):
        return "", ()
    return names.pop(), tuple(dict.fromkeys(str(option.value) for option in conditions))


def _months(part: Filter) -> tuple[str, str] | None:
    """The first and the last month, if the filter is a range of whole months."""
    if not isinstance(part, Condition) or not isinstance(part.value, DateRange) or part.value.words:
        return None
    start, end = part.value.start, part.value.end
    if start is None or end is None or {start.day, end.day} != {1}:
        return None
    return f"{start:%Y-%m}", f"{end - timedelta(days=1):%Y-%m}"


def _quoted(value: str) -> str:
    """A value, quoted if necessary."""
    return value if _SAFE_VALUE.fullmatch(value) else '"' + value.replace('"', '""') + '"'


def months_between(first: str, last: str) -> list[str]:
    """The months of an inclusive range.

    >>> months_between("2020-11", "2021-02")
    ['2020-11', '2020-12', '2021-01', '2021-02']
    """
    start, end = datetime.strptime(first, "%Y-%m"), datetime.strptime(last, "%Y-%m")
    numbers = range(start.year * 12 + start.month - 1, end.year * 12 + end.month)
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers]
