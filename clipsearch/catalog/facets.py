"""Facets of files, and the details of an image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, extract, func, select

from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Content, ContentKeyword, ContentPlace, File, Place, Root
from clipsearch.catalog.tags import effective_tags
from clipsearch.media.metadata.values import ImageMetadata, Precision, metadata_from_fields
from clipsearch.system.file_times import time_of
from clipsearch.text import fold

MAX_VALUES = 200
"""Maximum number of values of a facet."""


@dataclass(frozen=True)
class FacetValue:
    """A value in the query language's notation, and the number of files that have it."""

    value: str
    count: int


@dataclass(frozen=True)
class Facets:
    """Filter values of files, the most frequent first, at most `MAX_VALUES` per facet.

    Attributes:
        total: number of files.
        months: all months as ``2021-06``, ascending, by the camera's clock.
        undated: number of files without a date.
        cameras: make and model.
        lenses: model.
        folders: folders directly below the roots.
        extensions: lower case, without the dot.
        places: towns, regions and countries.
        orientations: ``landscape``, ``portrait`` or ``square``.
        ratings: stars, ``-1`` for rejected.
        keywords: keywords in the images' metadata.
        tags: tags of the library or the user.
        roots: paths of the roots.
        located: number of files with coordinates.
    """

    total: int = 0
    months: tuple[FacetValue, ...] = ()
    undated: int = 0
    cameras: tuple[FacetValue, ...] = ()
    lenses: tuple[FacetValue, ...] = ()
    folders: tuple[FacetValue, ...] = ()
    extensions: tuple[FacetValue, ...] = ()
    places: tuple[FacetValue, ...] = ()
    orientations: tuple[FacetValue, ...] = ()
    ratings: tuple[FacetValue, ...] = ()
    keywords: tuple[FacetValue, ...] = ()
    tags: tuple[FacetValue, ...] = ()
    roots: tuple[FacetValue, ...] = ()
    located: int = 0


@dataclass(frozen=True)
class StoredFile:
    """A file of an image: root, path, size in bytes, and modification time (UTC) if known."""

    root_id: int
    path: Path
    size: int
    modified_at: datetime | None


@dataclass(frozen=True)
class PictureRecord:
    """A content with its metadata and files."""

    content_hash: str
    width: int
    height: int
    format: str
    metadata: ImageMetadata
    files: tuple[StoredFile, ...]
    place: str | None = None
    duration_ms: int | None = None
    frame_rate: float | None = None
    codec: str | None = None


_ORIENTATION = case(
    (Content.width > Content.height, "landscape"),
    (Content.width < Content.height, "portrait"),
    (Content.width == Content.height, "square"),
)


class FacetRepository(Repository):
    """Facets and image details; `Catalog.overview`."""

    def facets(self, condition: ColumnElement[bool] | None = None) -> Facets:
        """Facets of all files, or of those that pass a condition (`FilterCompiler`)."""
        with self._database.reading() as connection:
            places = _places(connection, condition)
            shared = _shared(connection, condition)
            tags = effective_tags()
            return Facets(
                total=sum(places.roots.values()),
                months=tuple(FacetValue(month, shared.months[month]) for month in sorted(shared.months)),
                undated=shared.undated,
                cameras=_top(shared.cameras),
                lenses=_top(shared.lenses),
                folders=_top(places.folders),
                extensions=_top(places.extensions),
                places=_top(_named_places(connection, condition)),
                orientations=_top(shared.orientations),
                ratings=_top(shared.ratings),
                keywords=_top(
                    _named(connection, condition, ContentKeyword.content_hash, _column(ContentKeyword.keyword))
                ),
                tags=_top(_named(connection, condition, tags.c.content_hash, tags.c.tag)),
                roots=_top(places.roots),
                located=shared.located,
            )

    def picture(self, content_hash: str) -> PictureRecord | None:
        """A content with files, by its full hash; ``None`` if there is none."""
        with self._database.reading() as connection:
            of_content = Content.content_hash == content_hash
            row = connection.execute(select(*Content.__table__.columns).where(of_content)).mappings().one_or_none()
            files = (
                select(Root.id, Root.path, File.relative_path, File.size, File.mtime_ns)
                .join(Root, Root.id == File.root_id)
                .where(File.content_hash == content_hash)
                .order_by(Root.path, File.relative_path)
            )
            paths = tuple(
                StoredFile(root_id, Path(root) / relative, size, time_of(mtime_ns))
                for root_id, root, relative, size, mtime_ns in connection.execute(files)
            )
            if row is None or not paths:
                return None
            of_keyword = ContentKeyword.content_hash == content_hash
            keywords = select(ContentKeyword.keyword).where(of_keyword).order_by(ContentKeyword.position)
            named = select(Place.label).join(ContentPlace).join(Content, ContentPlace.of_content()).where(of_content)
            place = connection.execute(named).scalar_one_or_none()
            metadata = metadata_from_fields({**row, "keywords": connection.execute(keywords).scalars().all()})
        of_video = (row["duration_ms"], row["frame_rate"], row["codec"])
        return PictureRecord(
            content_hash, row["width"], row["height"], row["format"], metadata, paths, place, *of_video
        )


@dataclass(frozen=True)
class _Places:
    """Numbers of files by root, by folder directly below a root, and by extension."""

    roots: Counter[str]
    folders: Counter[str]
    extensions: Counter[str]


def _column(attribute: Any) -> ColumnElement[Any]:
    """A table's column as an expression."""
    column: ColumnElement[Any] = attribute
    return column


def _files(statement: Select[*tuple[Any, ...]], condition: ColumnElement[bool] | None) -> Select[*tuple[Any, ...]]:
    """A statement over files and their contents, with a condition."""
    joined = statement.select_from(File).join(Content, Content.content_hash == File.content_hash)
    return joined if condition is None else joined.where(condition)


@dataclass
class _Shared:
    """Numbers of files by metadata values."""

    months: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    cameras: Counter[str] = field(default_factory=Counter)
    lenses: Counter[str] = field(default_factory=Counter)
    orientations: Counter[str] = field(default_factory=Counter)
    ratings: Counter[str] = field(default_factory=Counter)
    located: int = 0


def _shared(connection: Connection, condition: ColumnElement[bool] | None) -> _Shared:
    """Counts of all metadata facets with one join of files and contents."""
    values = (
        extract("year", Content.taken_at),
        extract("month", Content.taken_at),
        Content.taken_precision,
        Content.camera,
        Content.lens,
        _ORIENTATION,
        Content.rating,
        Content.latitude.is_not(None),
    )
    shared = _Shared()
    for *row, count in connection.execute(_files(select(*values, func.count()), condition).group_by(*values)):
        year, month, precision, camera, lens, orientation, rating, located = row
        if year is None or precision == Precision.YEAR:
            shared.undated += count
        else:
            shared.months[f"{int(year):04}-{int(month):02}"] += count
        shared.cameras[camera or ""] += count
        shared.lenses[lens or ""] += count
        shared.orientations[orientation] += count
        shared.ratings["" if rating is None else str(rating)] += count
        shared.located += count if located else 0
    return shared


def _named(
    connection: Connection,
    condition: ColumnElement[bool] | None,
    content_hash: Any,
    name: ColumnElement[Any],
) -> Counter[str]:
    """Number of files by their contents' names in another table."""
    named = _files(select(name, func.count()), condition).where(content_hash == File.content_hash)
    return Counter({str(value): count for value, count in connection.execute(named.group_by(name))})


def _named_places(connection: Connection, condition: ColumnElement[bool] | None) -> Counter[str]:
    """Number of files by the names of the town, the region and the country they were taken in."""
    columns = (Place.town, Place.region, Place.country)
    statement = _files(select(*columns, func.count()), condition)
    statement = statement.join(ContentPlace, ContentPlace.of_content()).join(Place, Place.id == ContentPlace.place_id)
    counts: Counter[str] = Counter()
    for *names, count in connection.execute(statement.group_by(*columns)):
        counts.update(dict.fromkeys(names, count))
    return counts


def _places(connection: Connection, condition: ColumnElement[bool] | None) -> _Places:
    """Counts by path, in Python, because SQL has no portable path functions."""
    roots = {row_id: str(path) for row_id, path in connection.execute(select(Root.id, Root.path))}
    places = _Places(Counter(), Counter(), Counter())
    columns = select(File.root_id, File.relative_path)
    for root_id, relative in connection.execute(columns if condition is None else _files(columns, condition)):
        places.roots[roots[root_id]] += 1
        folder, below, _ = relative.partition("/")
        if below:
            places.folders[folder] += 1
        stem, _, extension = relative.rpartition("/")[2].rpartition(".")
        places.extensions[extension.lower() if stem else ""] += 1
    return places


def _top(counts: Counter[str]) -> tuple[FacetValue, ...]:
    """The most frequent non-empty values, equally frequent ones alphabetically.

    Values with the same folded form are one value, in the most frequent spelling.
    """
    spellings: dict[str, list[tuple[str, int]]] = {}
    for value, count in counts.items():
        if value:
            spellings.setdefault(fold(value), []).append((value, count))
    values = [
        FacetValue(min(same, key=lambda item: (-item[1], item[0]))[0], sum(count for _, count in same))
        for same in spellings.values()
    ]
    return tuple(sorted(values, key=lambda item: (-item.count, item.value))[:MAX_VALUES])
