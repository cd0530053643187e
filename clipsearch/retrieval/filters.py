"""From the filters of a query to a condition on the catalog's files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.volumes import is_online
from clipsearch.query import Filter, Region, parse_query

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


@dataclass(frozen=True)
class QueryFilters:
    """Compiles the filters of queries for one library.

    Attributes:
        catalog: of the library.
        contents_in: the content hashes of the pictures in a region of the library's map.
    """

    catalog: LazyCatalog
    contents_in: Callable[[Region], Collection[str]]

    def condition(self, filter_: Filter) -> ColumnElement[bool]:
        """The condition of a filter.

        Raises:
            QueryError: this library cannot answer it.
        """
        from clipsearch.catalog.filters import FilterCompiler

        store = self.catalog.store
        compiler = FilterCompiler(
            store.roots.all(), is_online=is_online, canonical_tag=store.tags.canonical, contents_in=self.contents_in
        )
        return compiler.condition(filter_)

    def condition_of(self, line: str) -> ColumnElement[bool] | None:
        """The condition of a query line's filters; ``None`` without any.

        Raises:
            QueryError: the line is wrong.
        """
        filter_ = parse_query(line).filter if line.strip() else None
        return self.condition(filter_) if filter_ is not None else None
