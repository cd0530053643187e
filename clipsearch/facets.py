"""What the files of a library have in common, counted for filters to be chosen from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clipsearch.query import Filter, parse_query
from clipsearch.store.image_store import ImageStore
from clipsearch.store.overview import Facets, FacetValue
from clipsearch.volumes import is_online

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["FacetValue", "Facets", "compile_filter", "filter_condition", "library_facets"]


def library_facets(store: ImageStore, line: str = "") -> Facets:
    """Facets of the files that pass a query's filters; its terms play no part.

    Args:
        store: the catalog.
        line: as for a search; empty for all files.

    Raises:
        QueryError: the line is wrong.
    """
    return store.overview.facets(filter_condition(store, line))


def filter_condition(store: ImageStore, line: str) -> ColumnElement[bool] | None:
    """The condition of a query's filters; ``None`` without any.

    Raises:
        QueryError: the line is wrong.
    """
    filter_ = parse_query(line).filter if line.strip() else None
    return compile_filter(store, filter_) if filter_ is not None else None


def compile_filter(store: ImageStore, filter_: Filter) -> ColumnElement[bool]:
    """The condition of a filter.

    Raises:
        QueryError: this library cannot answer it.
    """
    from clipsearch.embedding_map.regions import contents_in
    from clipsearch.store.filtering import FilterCompiler

    compiler = FilterCompiler(
        store.roots.all(),
        is_online=is_online,
        canonical_tag=store.tags.canonical,
        contents_in=partial(contents_in, store),
    )
    return compiler.condition(filter_)
