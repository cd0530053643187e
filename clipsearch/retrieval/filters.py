"""Compile the filters of a query into an SQL condition."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import QueryError
from clipsearch.query import Filter, Region, names_field, parse_query
from clipsearch.system.optional_packages import require_extra

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


@dataclass(frozen=True)
class QueryFilters:
    """Compiles the filters of queries for one library.

    Attributes:
        catalog: of the library.
        contents_in: returns the content hashes of the pictures in a region of the library's map.
    """

    catalog: LazyCatalog
    contents_in: Callable[[Region], Collection[str]]

    def condition(self, filter_: Filter) -> ColumnElement[bool]:
        """The condition of a filter.

        Raises:
            QueryError: the filter does not fit this library.
        """
        from clipsearch.catalog.filters import FilterCompiler

        store = self.catalog.store
        if names_field(filter_, "place") and store.places.are_all_unnamed():
            require_extra("places", what="place:")
            raise QueryError("no place has a name yet; to name the places of all pictures, run: clipsearch index")
        compiler = FilterCompiler(
            store.roots.all(),
            is_online=is_online,
            canonical_tag=store.tags.canonical,
            contents_in=self.contents_in,
            contents_matching=store.texts.matching,
        )
        return compiler.condition(filter_)

    def line_condition(self, line: str) -> ColumnElement[bool] | None:
        """The condition of a query line's filters; ``None`` without any.

        Raises:
            QueryError: the line is wrong.
        """
        filter_ = parse_query(line).filter if line.strip() else None
        return self.condition(filter_) if filter_ is not None else None
