"""Fields beside the vectors, for the filters that an engine answers itself: date, rating, camera, root and extension.

A filter becomes an expression over them, or stays with the catalog, whose selection is the rule for everything else.
Both give the same, which a test holds. What is unknown is a number that no value is, so that ``not`` passes it, as the
catalog has it. Texts are kept as hashes: the expression names those of the texts that the catalog has and that match.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from clipsearch.catalog.filter_fields import ScalarRow
from clipsearch.catalog.records import RootPlace
from clipsearch.query import And, Condition, DateRange, Filter, Not, Or, same_extensions

UNKNOWN = -(2**62)

DIGEST = "digest"
FIELDS = {"taken": "INT64", "rating": "INT64", "camera": "INT64", "places": "ARRAY", DIGEST: "INT64"}
"""Names and types: microseconds since 1970 on the camera's clock, stars, a hash, hashes of roots with extensions, and
a number that says whether all of these are as the catalog has them."""

_EPOCH = datetime(1970, 1, 1)
_MOST_PLACES = 4096
_OF_FILES = frozenset({"root", "ext"})
_COMPARED = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

NOTHING, EVERYTHING = "id < 0", "id >= 0"

Place = tuple[int, str]
"""A root, and the extension of a file in it; empty if it has none that a filter could name."""


@dataclass(frozen=True)
class ScalarFields:
    """The fields of a row; a content's places are those of all files that hold it."""

    taken: int = UNKNOWN
    rating: int = UNKNOWN
    camera: int = UNKNOWN
    places: tuple[int, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """By name."""
        known = {"taken": self.taken, "rating": self.rating, "camera": self.camera, "places": list(self.places)}
        return {**known, DIGEST: self.digest()}

    def digest(self) -> int:
        """A number that other fields do not have."""
        return _hashed(repr((self.taken, self.rating, self.camera, self.places)))


@dataclass
class Vocabulary:
    """The texts behind the hashes.

    Attributes:
        cameras: as the catalog has them.
        places: that there are.
        complete: whether every content's places are all kept.
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
    """The fields of each embedding, from rows by embedding; their texts are added to a vocabulary."""
    for embedding_id, files in groupby(rows, key=attrgetter("embedding_id")):
        held = list(files)
        first = held[0]
        places = {place_of(row.root_id, row.relative_path) for row in held}
        vocabulary.places |= places
        vocabulary.complete = vocabulary.complete and len(places) <= _MOST_PLACES
        if first.camera is not None:
            vocabulary.cameras.add(first.camera)
        yield (
            embedding_id,
            ScalarFields(
                taken=UNKNOWN if first.taken_at is None else _microseconds(first.taken_at),
                rating=UNKNOWN if first.rating is None else first.rating,
                camera=UNKNOWN if first.camera is None else _hashed(first.camera),
                places=tuple(sorted(_hashed_place(place) for place in places))[:_MOST_PLACES],
            ),
        )


def place_of(root_id: int, relative_path: str) -> Place:
    """The place of a file."""
    _, dot, extension = relative_path.lower().rpartition(".")
    return root_id, extension if dot and extension.isalnum() else ""


def expression(filter_: Filter, vocabulary: Vocabulary, roots: Sequence[RootPlace]) -> str | None:
    """A filter as an expression over the fields; ``None`` if it asks for more than they have."""
    has_all_roots = {root_id for root_id, _ in vocabulary.places} <= {root.id for root in roots}
    if not (vocabulary.complete and has_all_roots and _is_expressible(filter_)):
        return None
    compiler = _Compiler(vocabulary, roots)
    if not _asks_of_files(filter_):
        return _shown(compiler.content(filter_, None))
    # a content passes if one of its files does: the filter for each place, with what it says of files decided
    places: dict[str, list[int]] = {}
    for place in sorted(vocabulary.places):
        decided = compiler.content(filter_, place)
        if decided is not False:
            places.setdefault(_shown(decided), []).append(_hashed_place(place))
    found = [f"(array_contains_any(places, {hashes}) and ({inner}))" for inner, hashes in places.items()]
    return " or ".join(found) or NOTHING


@dataclass(frozen=True)
class _Compiler:
    vocabulary: Vocabulary
    roots: Sequence[RootPlace]

    def content(self, filter_: Filter, place: Place | None) -> str | bool:
        """The expression for contents with a file in a place, or whether all or none of them pass."""
        if isinstance(filter_, Not):
            inner = self.content(filter_.part, place)
            return not inner if isinstance(inner, bool) else f"not ({inner})"
        if isinstance(filter_, And | Or):
            parts = [self.content(part, place) for part in filter_.parts]
            decides = isinstance(filter_, Or)  # all pass if one does, or none if one does not
            if any(part is decides for part in parts):
                return decides
            open_ = [f"({part})" for part in parts if not isinstance(part, bool)]
            return (" or " if decides else " and ").join(open_) if open_ else not decides
        return self._condition(filter_, place)

    def _condition(self, condition: Condition, place: Place | None) -> str | bool:
        value = condition.value
        if isinstance(value, DateRange):
            bounds = [f"taken >= {_microseconds(value.start)}" if value.start else f"taken > {UNKNOWN}"]
            bounds += [f"taken < {_microseconds(value.end)}"] if value.end else []
            return " and ".join(bounds)
        if condition.field == "rating":
            return f"rating > {UNKNOWN} and rating {_COMPARED[condition.operator]} {value}"
        wanted = str(value).lower()
        if condition.field == "camera":
            hashes = [_hashed(camera) for camera in sorted(self.vocabulary.cameras) if wanted in camera.lower()]
            return f"camera in {hashes}" if hashes else False
        assert place is not None, "what is asked of files is decided place by place"
        if condition.field == "ext":
            return place[1] in same_extensions(wanted)
        named = [root.id for root in self.roots if wanted in (root.path.name.lower(), root.path.as_posix().lower())]
        return place[0] in named


def _is_expressible(filter_: Filter) -> bool:
    if isinstance(filter_, And | Or):
        return all(_is_expressible(part) for part in filter_.parts)
    if isinstance(filter_, Not):
        return _is_expressible(filter_.part)
    if isinstance(filter_.value, str) and "\x00" in filter_.value:
        return False
    return isinstance(filter_.value, DateRange) or filter_.field in {"rating", "camera", *_OF_FILES}


def _asks_of_files(filter_: Filter) -> bool:
    if isinstance(filter_, And | Or):
        return any(_asks_of_files(part) for part in filter_.parts)
    return _asks_of_files(filter_.part) if isinstance(filter_, Not) else filter_.field in _OF_FILES


def _shown(decided: str | bool) -> str:
    if isinstance(decided, bool):
        return EVERYTHING if decided else NOTHING
    return decided


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _hashed_place(place: Place) -> int:
    return _hashed(f"{place[0]}/{place[1]}")


def _hashed(text: str) -> int:
    """63 bits of XXH3: no field of Milvus is unsigned, and Milvus Lite reads no negative numbers in lists."""
    import xxhash

    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) >> 1
