"""Filters of a query as one SQL condition over files, their contents and their roots."""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Collection
from typing import Any, cast

from sqlalchemy import ColumnElement, Double, and_, case, extract, false, func, literal, not_, or_, select
from sqlalchemy import cast as sql_cast

from clipsearch.catalog.places import is_in_place
from clipsearch.catalog.portable_sql import folded, is_one_of
from clipsearch.catalog.records import RootRecord
from clipsearch.catalog.tables import Content, ContentKeyword, File, TextDocument
from clipsearch.catalog.tags import has_tag
from clipsearch.catalog.vocabulary import canonical
from clipsearch.errors import QueryError
from clipsearch.media.metadata.values import Precision
from clipsearch.query import And, Condition, DateRange, Filter, Near, Not, Or, Region, Size, YearlyDays, same_extensions
from clipsearch.text import fold, search_form

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius; source: Moritz 2000, Geodetic Reference System 1980, table of derived constants."""

_SQL = ColumnElement[bool]


class FilterCompiler:
    """Makes the condition of a filter; what is not in the database (drives, root names) is asked for here."""

    def __init__(
        self,
        roots: list[RootRecord],
        *,
        is_online: Callable[[RootRecord], bool],
        canonical_tag: Callable[[str], str] = canonical,
        contents_in: Callable[[Region], Collection[str]] | None = None,
        contents_matching: Callable[[str], Collection[str]] | None = None,
    ) -> None:
        """Bind what has to be known of the roots.

        Args:
            roots: of the catalog.
            is_online: whether a root's drive is there; called only where a filter asks for it.
            canonical_tag: returns the canonical name of a tag.
            contents_in: the hashes of the pictures in a part of the library's map; called only where a filter asks for
                it, which without this is an error.
            contents_matching: the hashes of the pictures with a line of text that matches a regular expression.
        """
        self._roots = roots
        self._is_online = is_online
        self._canonical_tag = canonical_tag
        self._contents_in = contents_in
        self._contents_matching = contents_matching

    def condition(self, filter_: Filter) -> _SQL:
        """The condition over `File` joined with `Content`; it is never NULL, so that `not` passes what is unknown.

        Raises:
            QueryError: a field cannot be answered by this catalog.
        """
        if isinstance(filter_, And):
            return and_(*(self.condition(part) for part in filter_.parts))
        if isinstance(filter_, Or):
            return or_(*(self.condition(part) for part in filter_.parts))
        if isinstance(filter_, Not):
            return not_(self.condition(filter_.part))
        # no text in a catalog has such a character in it, and not every database takes the question
        is_hopeless = isinstance(filter_.value, str) and "\x00" in filter_.value
        return func.coalesce(false() if is_hopeless else self._field(filter_), false())

    def _field(self, condition: Condition) -> _SQL:
        value = condition.value
        if isinstance(value, DateRange | YearlyDays):
            return _taken(value) if isinstance(value, DateRange) else _taken_in_any_year(value)
        if isinstance(value, Near | Region):
            return _near(value) if isinstance(value, Near) else self._region(value)
        if isinstance(value, Size):
            return _compare(_SIZES[value.unit](), condition.operator, value.amount)
        if condition.field in _NUMBERS:
            return _compare(_NUMBERS[condition.field], condition.operator, value)
        if condition.field in _TEXTS:
            return _contains(_TEXTS[condition.field], cast("str", value))
        of_text: dict[str, Callable[[str], _SQL]] = {
            "path": _path,
            "folder": self._folder,
            "ext": _extension,
            "orientation": _ORIENTATIONS.__getitem__,
            "kind": _KINDS.__getitem__,
            "keyword": _keyword,
            "place": is_in_place,
            # as it is written, too: a tag by hand may be from before a vocabulary knew a synonym
            "tag": lambda tag: has_tag(sorted({fold(self._canonical_tag(tag)), fold(" ".join(tag.split()))})),
            "root": self._root,
            "status": self._status,
            "text": lambda words: self._text(condition.operator, words),
        }
        return of_text[condition.field](cast("str", value))

    def _folder(self, value: str) -> _SQL:
        """Below a folder of that name anywhere, or below that path from a root, or in full."""
        folder = fold(value)
        # by what was written: folded, a full-width stroke in a name is a separator, too
        is_name = "/" not in value
        inside = [_in_root(root) for root in self._roots if _is_inside(root, folder, is_name=is_name)]
        below = folded(literal("/") + File.relative_path)
        if value.startswith("/") or ":" in value:
            inner = [
                and_(_in_root(root), below.like(_like(f"/{rest}/") + "%", escape="\\"))
                for root in self._roots
                if (rest := _rest(folder, root)) is not None
            ]
            return or_(false(), *inside, *inner)
        start = "%" if is_name else ""
        return or_(below.like(f"{start}{_like(f'/{folder}/')}%", escape="\\"), *inside)

    def _root(self, value: str) -> _SQL:
        name = fold(value)
        named = [root for root in self._roots if name in (fold(root.path.name), fold(root.path.as_posix()))]
        return or_(false(), *(_in_root(root) for root in named))

    def _region(self, value: Region) -> _SQL:
        if self._contents_in is None:
            raise QueryError("region: cannot be searched here; it is a part of a library's map")
        return is_one_of(File.content_hash, self._contents_in(value))

    def _text(self, operator: str, value: str) -> _SQL:
        if operator == "contains":
            contains = TextDocument.text.like(f"%{_like(search_form(value))}%", escape="\\")
            return File.content_hash.in_(select(TextDocument.content_hash).where(contains))
        if self._contents_matching is None:
            raise QueryError("text: takes no regular expression here")
        return is_one_of(File.content_hash, self._contents_matching(value[1:-1]))

    def _status(self, value: str) -> _SQL:
        online = value == "online"
        return or_(false(), *(_in_root(root) for root in self._roots if self._is_online(root) == online))


def _in_root(root: RootRecord) -> _SQL:
    return File.root_id == root.id


def _is_inside(root: RootRecord, wanted: str, *, is_name: bool) -> bool:
    """Whether all of a root lies in the folder."""
    if is_name:
        return wanted in map(fold, root.path.parts)
    path = fold(root.path.as_posix())
    return path == wanted or path.startswith(f"{wanted}/")


def _rest(wanted: str, root: RootRecord) -> str | None:
    """The rest of a full path inside a root; ``None`` if it is not inside."""
    path = fold(root.path.as_posix())
    return wanted[len(path) + 1 :] if wanted.startswith(f"{path}/") else None


def _like(text: str) -> str:
    """A text as part of a LIKE pattern with ``\\`` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _compare(column: ColumnElement[Any], operator: str, value: Any) -> _SQL:
    # as a float: some databases would round it, or refuse it, to make it of the column's type
    number: ColumnElement[float] = literal(float(value), Double())
    compared: dict[str, Callable[[], _SQL]] = {
        "=": lambda: column == number,
        "<": lambda: column < number,
        "<=": lambda: column <= number,
        ">": lambda: column > number,
        ">=": lambda: column >= number,
    }
    return compared[operator]()


def _contains(column: ColumnElement[Any], value: str) -> _SQL:
    return folded(column).like(f"%{_like(fold(value))}%", escape="\\")


def _path(pattern: str) -> _SQL:
    like = _like(fold(pattern)).replace("*", "%").replace("?", "_")
    return folded(File.relative_path).like(like, escape="\\")


def _extension(value: str) -> _SQL:
    ends = [
        folded(File.relative_path).like(f"%.{_like(extension)}", escape="\\")
        for extension in same_extensions(fold(value))
    ]
    return or_(*ends)


def _keyword(value: str) -> _SQL:
    return (
        select(ContentKeyword.position)
        .where(ContentKeyword.content_hash == File.content_hash, folded(ContentKeyword.keyword) == fold(value))
        .correlate(File)  # not the keywords, where those are counted of the files that pass
        .exists()
    )


def _taken(dates: DateRange) -> _SQL:
    bounds: list[_SQL] = []
    if dates.start is not None:
        bounds.append(Content.taken_at >= dates.start)
    if dates.end is not None:
        bounds.append(Content.taken_at < dates.end)
        # of a date without its day the whole period has to be in the range
        midnight = dates.end.replace(hour=0, minute=0, second=0, microsecond=0)
        last_month, last_year = midnight.replace(day=1), midnight.replace(month=1, day=1)
        if last_year != dates.end:
            by_month = and_(Content.taken_precision == Precision.MONTH, Content.taken_at < last_month)
            by_year = and_(Content.taken_precision == Precision.YEAR, Content.taken_at < last_year)
            bounds.append(or_(Content.taken_precision.is_(None), by_month, by_year))
    return and_(*bounds)


def _taken_in_any_year(days: YearlyDays) -> _SQL:
    """By month and day as one number, 1225 for the 25th of December; of a mere month all days have to be in it."""
    month = extract("month", Content.taken_at)
    taken = 100 * month + extract("day", Content.taken_at)
    first, last = (100 * month + day for month, day in (days.first, days.last))
    is_in = taken.between(first, last) if first <= last else or_(taken >= first, taken <= last)
    whole = [number for number in range(1, 13) if _has_month(first, last, number)]
    of_month = and_(Content.taken_precision == Precision.MONTH, month.in_(whole))
    return or_(and_(Content.taken_precision.is_(None), is_in), of_month)


def _has_month(first: int, last: int, month: int) -> bool:
    """Whether every day of a month is within two, as in `_taken_in_any_year`."""
    days = range(100 * month + 1, 100 * month + calendar.monthrange(2023, month)[1] + 1)
    return all(first <= day <= last if first <= last else day >= first or day <= last for day in days)


def _near(circle: Near) -> _SQL:
    """Within a circle: first a box, which is cheap, then the great-circle distance.

    Source: Sinnott 1984, Virtues of the Haversine (Sky and Telescope 68, 159).
    """
    margin = math.degrees(circle.radius_m / EARTH_RADIUS_M)
    box = Content.latitude.between(circle.latitude - margin, circle.latitude + margin)
    half_lat = func.radians(Content.latitude - circle.latitude) / 2
    half_lon = func.radians(Content.longitude - circle.longitude) / 2
    chord = _square(func.sin(half_lat)) + math.cos(math.radians(circle.latitude)) * func.cos(
        func.radians(Content.latitude)
    ) * _square(func.sin(half_lon))
    half_angle = min(circle.radius_m / (2 * EARTH_RADIUS_M), math.pi / 2)
    return and_(box, Content.longitude.is_not(None), chord <= math.sin(half_angle) ** 2)


def _square(value: ColumnElement[float]) -> ColumnElement[float]:
    return value * value


def _long_side() -> ColumnElement[int]:
    return case((Content.width > Content.height, Content.width), else_=Content.height)


_NUMBERS: dict[str, ColumnElement[Any]] = {
    "rating": cast("ColumnElement[Any]", Content.rating),
    "iso": cast("ColumnElement[Any]", Content.iso),
    "focal": cast("ColumnElement[Any]", Content.focal_length_mm),
    "aperture": cast("ColumnElement[Any]", Content.f_number),
    "duration": cast("ColumnElement[Any]", Content.duration_ms / 1000.0),
}
_TEXTS: dict[str, ColumnElement[Any]] = {
    "camera": cast("ColumnElement[Any]", Content.camera),
    "lens": cast("ColumnElement[Any]", Content.lens),
    "title": cast("ColumnElement[Any]", Content.title),
    "caption": cast("ColumnElement[Any]", Content.caption),
}
_SIZES: dict[str, Callable[[], ColumnElement[Any]]] = {
    "MP": lambda: sql_cast(Content.width, Double()) * Content.height / 1e6,
    "px": _long_side,
    "B": lambda: cast("ColumnElement[Any]", File.size),
}
_KINDS: dict[str, _SQL] = {"image": Content.duration_ms.is_(None), "video": Content.duration_ms.is_not(None)}
_ORIENTATIONS: dict[str, _SQL] = {
    "portrait": Content.height > Content.width,
    "landscape": Content.width > Content.height,
    "square": Content.width == Content.height,
    "panorama": or_(Content.width > 2 * Content.height, Content.height > 2 * Content.width),
}
