"""Scalar fields for filters evaluated by Milvus: date, rating, camera, root and extension.

A filter is compiled to an expression over these fields, or left to the catalog; a test compares both. Unknown values
are a sentinel outside the range of values, so that ``not`` matches them, as in the catalog. Texts are stored as hashes:
the expression lists the hashes of the matching texts of the vocabulary.
"""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from clipsearch.catalog.filter_fields import ScalarRow
from clipsearch.catalog.records import RootPlace
from clipsearch.media.metadata.values import Precision
from clipsearch.query import And, Condition, DateRange, Filter, Not, Or, same_extensions
from clipsearch.text import fold

UNKNOWN = -(2**62)

DIGEST = "digest"
FIELDS = {
    "taken": "INT64",
    "taken_last": "INT64",
    "rating": "INT64",
    "camera": "INT64",
    "places": "ARRAY",
    DIGEST: "INT64",
}
"""Names and types: microseconds since 1970 on the camera's clock, twice (the same but for a date whose day is unknown:
the first and the last of the period), stars, hash, hashes of root and extension, and a
digest of the other fields, to detect changes."""

_EPOCH = datetime(1970, 1, 1)
_MAX_PLACES = 4096
_FILE_FIELDS = frozenset({"root", "ext"})
_COMPARED = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

NOTHING, EVERYTHING = "id < 0", "id >= 0"

Place = tuple[int, str]
"""Root id and extension of a file; the extension is empty if a filter cannot name it."""


@dataclass(frozen=True)
class ScalarFields:
    """The scalar fields of a row; `places` are those of all files with the content."""

    taken: int = UNKNOWN
    taken_last: int = UNKNOWN
    rating: int = UNKNOWN
    camera: int = UNKNOWN
    places: tuple[int, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """The fields by name, with the digest."""
        return {**asdict(self), "places": list(self.places), DIGEST: self.digest()}

    def digest(self) -> int:
        """Hash of the fields."""
        return _hashed(repr(astuple(self)))


@dataclass
class Vocabulary:
    """The texts behind the hashes.

    Attributes:
        cameras: all camera names.
        places: all places.
        complete: whether no row's places were truncated.
    """

    cameras: set[str] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    complete: bool = True

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps({"cameras": sorted(self.cameras), "places": sorted(self.places), "complete": self.complete})

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """From JSON."""
        content = json.loads(text)
        places = {(int(root_id), str(extension)) for root_id, extension in content["places"]}
        return cls(set(content["cameras"]), places, bool(content["complete"]))


def read_fields(rows: Iterable[ScalarRow], vocabulary: Vocabulary) -> Iterator[tuple[int, ScalarFields]]:
    """The fields of each embedding, from rows grouped by embedding; adds their texts to the vocabulary."""
    for embedding_id, group in groupby(rows, key=attrgetter("embedding_id")):
        files = list(group)
        first = files[0]
        places = {place_of(row.root_id, row.relative_path) for row in files}
        vocabulary.places |= places
        vocabulary.complete = vocabulary.complete and len(places) <= _MAX_PLACES
        if first.camera is not None:
            vocabulary.cameras.add(first.camera)
        yield (
            embedding_id,
            ScalarFields(
                *_span(first),
                rating=UNKNOWN if first.rating is None else first.rating,
                camera=UNKNOWN if first.camera is None else _hashed(first.camera),
                places=tuple(sorted(_hashed_place(place) for place in places))[:_MAX_PLACES],
            ),
        )


def place_of(root_id: int, relative_path: str) -> Place:
    """The place of a file."""
    _, dot, extension = fold(relative_path).rpartition(".")
    return root_id, extension if dot and extension.isalnum() else ""


def expression(filter_: Filter, vocabulary: Vocabulary, roots: Sequence[RootPlace]) -> str | None:
    """A filter as a Milvus expression; ``None`` if it needs more than the fields."""
    has_all_roots = {root_id for root_id, _ in vocabulary.places} <= {root.id for root in roots}
    if not (vocabulary.complete and has_all_roots and _is_expressible(filter_)):
        return None
    compiler = _Compiler(vocabulary, roots)
    if not _has_file_conditions(filter_):
        return _as_expression(compiler.content(filter_, None))
    # a content passes if one of its files does: evaluate the file conditions for each place
    places: dict[str, list[int]] = {}
    for place in sorted(vocabulary.places):
        decided = compiler.content(filter_, place)
        if decided is not False:
            places.setdefault(_as_expression(decided), []).append(_hashed_place(place))
    parts = [f"(array_contains_any(places, {hashes}) and ({inner}))" for inner, hashes in places.items()]
    return " or ".join(parts) or NOTHING


@dataclass(frozen=True)
class _Compiler:
    vocabulary: Vocabulary
    roots: Sequence[RootPlace]

    def content(self, filter_: Filter, place: Place | None) -> str | bool:
        """The expression for contents with a file in `place`; True or False if all or none pass."""
        if isinstance(filter_, Not):
            inner = self.content(filter_.part, place)
            return not inner if isinstance(inner, bool) else f"not ({inner})"
        if isinstance(filter_, And | Or):
            parts = [self.content(part, place) for part in filter_.parts]
            decides = isinstance(filter_, Or)  # True decides a disjunction, False a conjunction
            if any(part is decides for part in parts):
                return decides
            open_ = [f"({part})" for part in parts if not isinstance(part, bool)]
            return (" or " if decides else " and ").join(open_) if open_ else not decides
        return self._condition(filter_, place)

    def _condition(self, condition: Condition, place: Place | None) -> str | bool:
        value = condition.value
        if isinstance(value, DateRange):
            bounds = [f"taken >= {_microseconds(value.start)}" if value.start else f"taken > {UNKNOWN}"]
            bounds += [f"taken_last < {_microseconds(value.end)}"] if value.end else []
            return " and ".join(bounds)
        if condition.field == "rating":
            return f"rating > {UNKNOWN} and rating {_COMPARED[condition.operator]} {value}"
        folded = fold(str(value))
        if condition.field == "camera":
            hashes = [_hashed(camera) for camera in sorted(self.vocabulary.cameras) if folded in fold(camera)]
            return f"camera in {hashes}" if hashes else False
        assert place is not None, "file conditions are evaluated by place"
        if condition.field == "ext":
            return place[1] in same_extensions(folded)
        named = [root.id for root in self.roots if folded in (fold(root.path.name), fold(root.path.as_posix()))]
        return place[0] in named


def _is_expressible(filter_: Filter) -> bool:
    if isinstance(filter_, And | Or):
        return all(_is_expressible(part) for part in filter_.parts)
    if isinstance(filter_, Not):
        return _is_expressible(filter_.part)
    if isinstance(filter_.value, str) and "\x00" in filter_.value:
        return False
    return isinstance(filter_.value, DateRange) or filter_.field in {"rating", "camera", *_FILE_FIELDS}


def _has_file_conditions(filter_: Filter) -> bool:
    if isinstance(filter_, And | Or):
        return any(_has_file_conditions(part) for part in filter_.parts)
    return _has_file_conditions(filter_.part) if isinstance(filter_, Not) else filter_.field in _FILE_FIELDS


def _as_expression(decided: str | bool) -> str:
    if isinstance(decided, bool):
        return EVERYTHING if decided else NOTHING
    return decided


def _span(row: ScalarRow) -> tuple[int, int]:
    """The first and the last moment at which a picture may have been taken."""
    if row.taken_at is None:
        return UNKNOWN, UNKNOWN
    return _microseconds(row.taken_at), _microseconds(_last_moment(row.taken_at, row.taken_precision))


def _last_moment(at: datetime, precision: str | None) -> datetime:
    """The end of the period that a date is the first of; the date itself where its day is known."""
    if precision is None:
        return at
    month = 12 if precision == Precision.YEAR else at.month
    return datetime(at.year, month, monthrange(at.year, month)[1], 23, 59, 59, 999999)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _hashed_place(place: Place) -> int:
    return _hashed(f"{place[0]}/{place[1]}")


def _hashed(text: str) -> int:
    """63 bits of XXH3: Milvus has no unsigned fields, and Milvus Lite does not parse negative numbers in lists."""
    import xxhash

    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) >> 1
