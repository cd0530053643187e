"""`Library.saved`: searches kept by name, and what of their results is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipsearch.library_parts.context import LibraryContext
from clipsearch.query import parse_query
from clipsearch.retrieval import saved_searches
from clipsearch.retrieval.results import SearchOptions, SearchResult

if TYPE_CHECKING:
    from clipsearch.catalog.saved_searches import SavedSearchRecord

_DEFAULT_OPTIONS = SearchOptions(k=saved_searches.NEW_AMONG)


class SavedSearches:
    """The saved searches of one library."""

    def __init__(self, context: LibraryContext, search: Callable[[str, SearchOptions], list[SearchResult]]) -> None:
        """Bind what the library's parts share, and what answers a query line."""
        self._context = context
        self._search = search

    def all(self) -> list[SavedSearchRecord]:
        """The saved searches, by name."""
        return self._context.store.saved.all()

    def get(self, name: str) -> SavedSearchRecord:
        """The saved search of that name.

        Raises:
            ConfigError: there is none.
        """
        return saved_searches.find(self._context.store, name)

    def add(self, name: str, query: str, *, replace: bool = False) -> SavedSearchRecord:
        """Keep a query by name; its new results are those of pictures that are embedded from now on.

        Args:
            name: 1 to 100 characters.
            query: a line as for `Library.search`; the paths of its pictures are kept in full.
            replace: take the place of a search of the same name.

        Raises:
            QueryError: the query is empty or wrong.
            ConfigError: the name is taken or cannot be one.
        """
        return saved_searches.save_search(self._context.store, name, query, replace=replace)

    def remove(self, name: str) -> SavedSearchRecord:
        """Forget the saved search of that name, and return what it was.

        Raises:
            ConfigError: there is none.
        """
        return saved_searches.remove(self._context.store, name)

    def new_results(self, name: str, options: SearchOptions = _DEFAULT_OPTIONS, **overrides: Any) -> list[SearchResult]:
        """What a saved search finds among its k best that was not there the last time that this was asked.

        Filters alone have no best: then it is all that pass and are new.

        Args:
            name: of the saved search.
            options: as for `Library.search`; with ``group="duplicates"`` a new version of a picture is reported where
                it comes before the old one.
            overrides: as for `Library.search`.

        Raises:
            ConfigError: there is no such search.
            QueryError: as for `Library.search`.
        """
        saved = self.get(name)
        return saved_searches.new_results(
            self._context.store,
            saved,
            search=self._searching(replace(options, **overrides)),
            notify=self._context.notify,
        )

    def new_matches(self, *, k: int = saved_searches.NEW_AMONG) -> list[saved_searches.NewMatches]:
        """The saved searches with new pictures among their k best (of filters alone: among all that pass), by name.

        They stay new until `new_results` is asked for them.
        """
        search = self._searching(SearchOptions(k=k))
        return saved_searches.new_matches(self._context.store, search=search, notify=self._context.notify)

    def _searching(self, options: SearchOptions) -> Callable[[str], list[SearchResult]]:
        def search(line: str) -> list[SearchResult]:
            k = options.k if parse_query(line).terms else max(options.k, self._context.store.counts().files)
            return self._search(line, replace(options, k=k))

        return search
