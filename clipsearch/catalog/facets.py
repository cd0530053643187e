"""What a catalog holds, counted and looked up for a person to see: facets of files, and one picture with its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, extract, func, select

from clipsearch.catalog.database import Database
from clipsearch.catalog.tables import Content, ContentKeyword, File, Root
from clipsearch.catalog.tags import effective_tags
from clipsearch.media.metadata.reading import ImageMetadata

MOST_VALUES = 200
"""Of a facet; what is rarer than the two hundred most frequent is better typed than picked."""


@dataclass(frozen=True)
class FacetValue:
    """A value that files share, as the query language writes it, and how many do."""

    value: str
    count: int


@dataclass(frozen=True)
class Facets:
    """What files have in common, to choose filters from; of each kind the most frequent first, at most `MOST_VALUES`.

    Attributes:
        total: files counted.
        months: ``2021-06``, ascending, all of them; by the camera's clock.
        undated: files of which it is not known when the picture was taken.
        cameras: make and model.
        lenses: model.
        folders: the folders directly below the roots.
        extensions: lower case, without the dot.
        orientations: ``landscape``, ``portrait`` or ``square``.
        ratings: stars, ``-1`` for rejected.
        keywords: that people wrote into pictures.
        tags: that the library gave, or a person.
        roots: the indexed folders, in full.
        located: files of which it is known where the picture was taken.
    """

    total: int = 0
    months: tuple[FacetValue, ...] = ()
    undated: int = 0
    cameras: tuple[FacetValue, ...] = ()
    lenses: tuple[FacetValue, ...] = ()
    folders: tuple[FacetValue, ...] = ()
    extensions: tuple[FacetValue, ...] = ()
    orientations: tuple[FacetValue, ...] = ()
    ratings: tuple[FacetValue, ...] = ()
    keywords: tuple[FacetValue, ...] = ()
    tags: tuple[FacetValue, ...] = ()
    roots: tuple[FacetValue, ...] = ()
    located: int = 0


@dataclass(frozen=True)
class HeldPath:
    """A file that holds a picture: which root's, where, its size in bytes, and when it changed last (UTC)."""

    root_id: int
    path: Path
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class PictureRecord:
    """All that a catalog knows of one content."""

    content_hash: str
    width: int
    height: int
    format: str
    metadata: ImageMetadata
    files: tuple[HeldPath, ...]


_ORIENTATION = case(
    (Content.width > Content.height, "landscape"),
    (Content.width < Content.height, "portrait"),
    (Content.width == Content.height, "square"),
)
_METADATA = (
    "taken_at",
    "taken_offset_min",
    "camera",
    "lens",
    "focal_length_mm",
    "focal_length_35mm",
    "f_number",
    "exposure_s",
    "iso",
    "latitude",
    "longitude",
    "altitude_m",
    "orientation",
    "title",
    "caption",
    "rating",
)


class FacetRepository:
    """What a catalog holds; `Catalog.overview`."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def facets(self, condition: ColumnElement[bool] | None = None) -> Facets:
        """Facets of the files that pass a condition (`FilterCompiler`); of all by default."""
        with self._database.reading() as connection:
            places = _places(connection, condition)
            shared = _shared(connection, condition)
            tags = effective_tags()
            return Facets(
                total=sum(places.roots.values()),
                months=tuple(FacetValue(month, shared.months[month]) for month in sorted(shared.months)),
                undated=shared.undated,
                cameras=_most(shared.cameras),
                lenses=_most(shared.lenses),
                folders=_most(places.folders),
                extensions=_most(places.extensions),
                orientations=_most(shared.orientations),
                ratings=_most(shared.ratings),
                keywords=_most(
                    _named(connection, condition, ContentKeyword.content_hash, _column(ContentKeyword.keyword))
                ),
                tags=_most(_named(connection, condition, tags.c.content_hash, tags.c.tag)),
                roots=_most(places.roots),
                located=shared.located,
            )

    def picture(self, content_hash: str) -> PictureRecord | None:
        """A content that files hold, by its whole hash; ``None`` if none does."""
        with self._database.reading() as connection:
            of_content = Content.content_hash == content_hash
            row = connection.execute(select(*Content.__table__.columns).where(of_content)).mappings().one_or_none()
            files = (
                select(Root.id, Root.path, File.relative_path, File.size, File.mtime_ns)
                .join(Root, Root.id == File.root_id)
                .where(File.content_hash == content_hash)
                .order_by(Root.path, File.relative_path)
            )
            held = tuple(
                HeldPath(root_id, Path(root) / relative, size, datetime.fromtimestamp(mtime_ns / 1e9, UTC))
                for root_id, root, relative, size, mtime_ns in connection.execute(files)
            )
            if row is None or not held:
                return None
            of_keyword = ContentKeyword.content_hash == content_hash
            keywords = select(ContentKeyword.keyword).where(of_keyword).order_by(ContentKeyword.position)
            metadata = ImageMetadata(
                **{name: row[name] for name in _METADATA}, keywords=tuple(connection.execute(keywords).scalars())
            )
        return PictureRecord(content_hash, row["width"], row["height"], row["format"], metadata, held)


@dataclass(frozen=True)
class _Places:
    """Where files are: how many below each root, in each folder directly below one, with each extension."""

    roots: Counter[str]
    folders: Counter[str]
    extensions: Counter[str]


def _column(attribute: Any) -> ColumnElement[Any]:
    """A table's column as an expression."""
    column: ColumnElement[Any] = attribute
    return column


def _files(statement: Select[*tuple[Any, ...]], condition: ColumnElement[bool] | None) -> Select[*tuple[Any, ...]]:
    """A statement over files and their contents, those that pass."""
    joined = statement.select_from(File).join(Content, Content.content_hash == File.content_hash)
    return joined if condition is None else joined.where(condition)


@dataclass
class _Shared:
    """What pictures have in common, in files."""

    months: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    cameras: Counter[str] = field(default_factory=Counter)
    lenses: Counter[str] = field(default_factory=Counter)
    orientations: Counter[str] = field(default_factory=Counter)
    ratings: Counter[str] = field(default_factory=Counter)
    located: int = 0


def _shared(connection: Connection, condition: ColumnElement[bool] | None) -> _Shared:
    """Counted together, so that files and their pictures are joined once."""
    values = (
        extract("year", Content.taken_at),
        extract("month", Content.taken_at),
        Content.camera,
        Content.lens,
        _ORIENTATION,
        Content.rating,
        Content.latitude.is_not(None),
    )
    found = _Shared()
    for *row, count in connection.execute(_files(select(*values, func.count()), condition).group_by(*values)):
        year, month, camera, lens, orientation, rating, located = row
        if year is None:
            found.undated += count
        else:
            found.months[f"{int(year):04}-{int(month):02}"] += count
        found.cameras[camera or ""] += count
        found.lenses[lens or ""] += count
        found.orientations[orientation] += count
        found.ratings["" if rating is None else str(rating)] += count
        found.located += count if located else 0
    return found


def _named(
    connection: Connection,
    condition: ColumnElement[bool] | None,
    content_hash: Any,
    name: ColumnElement[Any],
) -> Counter[str]:
    """Files per name that their contents have in another table."""
    named = _files(select(name, func.count()), condition).where(content_hash == File.content_hash)
    return Counter({str(value): count for value, count in connection.execute(named.group_by(name))})


def _places(connection: Connection, condition: ColumnElement[bool] | None) -> _Places:
    """Counted from the paths themselves: databases do not agree on how to take a path apart."""
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


def _most(counts: Iterable[str] | Counter[str]) -> tuple[FacetValue, ...]:
    """The most frequent values that are not empty; equally frequent ones in alphabetical order."""
    found = [(value, count) for value, count in Counter(counts).items() if value]
    found.sort(key=lambda item: (-item[1], item[0]))
    return tuple(FacetValue(value, count) for value, count in found[:MOST_VALUES])
