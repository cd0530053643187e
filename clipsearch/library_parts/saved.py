"""`Library.saved`: saved searches and their new results."""

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
        """Bind the shared context and the search function."""
        self._context = context
        self._search = search

    def all(self) -> list[SavedSearchRecord]:
        """The saved searches, by name."""
        return self._context.store.saved.all()

    def get(self, name: str) -> SavedSearchRecord:
        """A saved search by name.

        Raises:
            ConfigError: there is no such saved search.
        """
        return saved_searches.find(self._context.store, name)

    def add(self, name: str, query: str, *, replace: bool = False) -> SavedSearchRecord:
        """Save a query by name; pictures embedded from now on count as new results.

        Args:
            name: 1 to 100 characters.
            query: see `Library.search`; paths of pictures are made absolute.
            replace: replace a saved search of the same name.

        Raises:
            QueryError: the query is empty or invalid.
            ConfigError: the name is taken or invalid.
        """
        return saved_searches.save_search(self._context.store, name, query, replace=replace)

    def remove(self, name: str) -> SavedSearchRecord:
        """Delete and return a saved search.

        Raises:
            ConfigError: there is no such saved search.
        """
        saved = self.get(name)
        self._context.store.saved.remove(saved.name)
        return saved

    def new_results(self, name: str, options: SearchOptions = _DEFAULT_OPTIONS, **overrides: Any) -> list[SearchResult]:
        """The new pictures among the k best results since the last call; of a query of filters only, all new results.

        Args:
            name: of the saved search.
            options: see `Library.search`; with ``group="duplicates"`` a new version of a picture is reported if it
                ranks before the old one.
            overrides: see `Library.search`.

        Raises:
            ConfigError: there is no such saved search.
            QueryError: see `Library.search`.
        """
        saved = self.get(name)
        return saved_searches.new_results(
            self._context.store,
            saved,
            search=self._searching(replace(options, **overrides)),
            notify=self._context.notify,
        )

    def new_matches(self, *, k: int = saved_searches.NEW_AMONG) -> list[saved_searches.NewMatches]:
        """Saved searches with new pictures among the k best results (filters only: all results), by name.

        The pictures stay new until `new_results` is called.
        """
        search = self._searching(SearchOptions(k=k))
        return saved_searches.new_matches(self._context.store, search=search, notify=self._context.notify)

    def _searching(self, options: SearchOptions) -> Callable[[str], list[SearchResult]]:
        def search(line: str) -> list[SearchResult]:
            k = options.k if parse_query(line).terms else max(options.k, self._context.store.counts().files)
            return self._search(line, replace(options, k=k))

        return search
