"""The results of a search state, one page at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

from clipsearch.errors import QueryError
from clipsearch.media.box import Box
from clipsearch.query import And, Filter, ImageTerm, Query, TextTerm, parse_query
from clipsearch.retrieval.results import SearchOptions, SearchResult, SearchResults
from ui.filter_line import parts_of_filter
from ui.named_pictures import admitted
from ui.search_state import SearchState
from ui.shared import searchable, searchable_name

if TYPE_CHECKING:
    from clipsearch.catalog.facets import Facets
    from clipsearch.retrieval.relevance.calibration import MinMatch

PAGE_SIZE = 60

MOST_ORDERED = 600
"""Number of best results that are sorted by date or path: ten pages."""

_FACETS_AGE_S = 15.0
"""Facets may be this old: during indexing the library changes every second, and counting takes as long."""

EVERYTHING = "size:>=1B"
"""A filter that every file passes."""


_CACHED = "search_result_page"
"""The last result page of the session: the picture view requests it again and again."""


Ordered = Literal["", "matches", "nearest"]
"""Which results are sorted by date or path: none, the matches, or the nearest."""


@dataclass(frozen=True)
class ResultPage:
    """A page of results.

    Attributes:
        query: the query with its filters.
        results: in display order.
        more: whether there is a next page.
        ordered: which results are sorted by date or path, at most `MOST_ORDERED`.
        matches: False if there is no strong or possible match.
        notices: lines for the user; see `clipsearch.retrieval.results.SearchResults`.
    """

    query: Query
    results: tuple[SearchResult, ...]
    more: bool
    ordered: Ordered = ""
    matches: bool = True
    notices: tuple[str, ...] = ()

    @property
    def has_match(self) -> bool:
        """Whether there is a match: among all results if they are sorted, or else on this page."""
        return self.matches and (not self.results or any(result.is_match for result in self.results))


def asked_query(state: SearchState, uploads: Sequence[Path] = ()) -> Query:
    """The whole query: uploaded pictures, the query line and the filters.

    Raises:
        QueryError: the line or the filters are invalid, or a picture is not allowed.
    """
    typed, picked = (admitted(query) for query in _typed_and_picked(state))
    pictures = tuple(ImageTerm(str(path)) for path in uploads)
    parts = (*parts_of_filter(typed.filter), *parts_of_filter(picked.filter))
    return Query((*pictures, *typed.terms, *picked.terms), _all_of(parts))


def line_to_save(state: SearchState) -> str:
    """The query with its filters as one line.

    Raises:
        QueryError: the line or the filters are invalid.
    """
    return str(asked_query(state)) if state.filters else state.line


def find_page(state: SearchState, uploads: Sequence[Path] = ()) -> ResultPage:
    """One page of results; of an empty query, all pictures, newest first.

    Raises:
        QueryError: the line, the filters or the box are invalid, or the library has no pictures.
        ImageReadError: a picture of the query cannot be read.
    """
    query = asked_query(state, uploads)
    key = (searchable_name(), searchable().revision(), query, state.box, state.at, state.sort, state.fold, state.page)
    cached: tuple[object, ResultPage] | None = st.session_state.get(_CACHED)
    if cached is not None and cached[0] == key:
        return cached[1]
    result_page = _best_first(query, state) if state.sort == "score" or not query.terms else _in_order(query, state)
    st.session_state[_CACHED] = (key, result_page)
    return result_page


def has_neighbor(state: SearchState, result_page: ResultPage, step: int) -> bool:
    """Whether there is a previous (-1) or next (1) picture."""
    place = _place(state, result_page)
    if place < 0:
        return False
    return 0 <= place + step < len(result_page.results) or (result_page.more if step > 0 else state.page > 1)


def neighbor(state: SearchState, uploads: Sequence[Path], step: int) -> SearchState:
    """The state with the previous (-1) or next (1) picture open, possibly on another page."""
    result_page = find_page(state, uploads)
    if not has_neighbor(state, result_page, step):
        return state
    place = _place(state, result_page) + step
    if not 0 <= place < len(result_page.results):
        state, place = replace(state, page=state.page + step), 0 if step > 0 else -1
        result_page = find_page(state, uploads)
    return state.viewing(result_page.results[place].content_hash) if result_page.results else state


def _place(state: SearchState, result_page: ResultPage) -> int:
    """Index of the open picture in the results; -1 if absent."""
    hashes = [result.content_hash for result in result_page.results]
    return hashes.index(state.view) if state.view in hashes else -1


def filters_to_drop(state: SearchState) -> list[tuple[Filter, SearchState]]:
    """The filters without which there are results, each with the state without it."""
    typed, picked = _typed_and_picked(state)
    typed_parts, picked_parts = parts_of_filter(typed.filter), parts_of_filter(picked.filter)
    parts = (*typed_parts, *picked_parts)
    choices = []
    for number, part in enumerate(parts):
        rest = _all_of(parts[:number] + parts[number + 1 :])
        if searchable().search(str(Query((), rest)) if rest is not None else EVERYTHING, k=1):
            in_line = tuple(kept for at, kept in enumerate(typed_parts) if at != number)
            in_filters = tuple(kept for at, kept in enumerate(picked_parts, len(typed_parts)) if at != number)
            line, filters = Query(typed.terms, _all_of(in_line)), Query(picked.terms, _all_of(in_filters))
            choices.append((part, replace(state, line=str(line), filters=str(filters), page=1)))
    return choices


class FacetsHolder:
    """The cached facets of one library."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._cached: tuple[tuple[str, int], float, Facets] | None = None

    def facets(self) -> Facets:
        """`Library.browse.facets`, of up to `_FACETS_AGE_S` ago."""
        key = (searchable_name(), searchable().revision())
        with self._lock:  # other sessions wait instead of counting, too
            if self._cached is not None:
                cached_key, counted_at, facets = self._cached
                is_young = time.monotonic() - counted_at < _FACETS_AGE_S
                if cached_key == key or (cached_key[0] == key[0] and is_young and facets.total):
                    return facets
            facets = searchable().browse.facets()
            self._cached = (key, time.monotonic(), facets)
            return facets


facets_holder = FacetsHolder()


def _typed_and_picked(state: SearchState) -> tuple[Query, Query]:
    typed, picked = (parse_query(line) if line else Query() for line in (state.line, state.filters))
    return typed, picked


def _best_first(query: Query, state: SearchState) -> ResultPage:
    """A page, best first; with filters only, newest first or by path."""
    results = _page_of(query, state)
    return _result_page(query, results)


def _in_order(query: Query, state: SearchState) -> ResultPage:
    """A page sorted by date or path: of the matches if there are any, else of the nearest pictures."""
    if not _is_of_words(query):
        results = _page_of(query, state)
        return _result_page(query, results, "nearest")
    results = _page_of(query, state, min_match="possible")
    matches = bool(results) or bool(searchable().search(str(query), k=1, min_match="possible"))
    if not matches:
        results = _page_of(query, state)
    ordered: Ordered = "matches" if matches else "nearest"
    return _result_page(query, results, ordered, matches=matches)


def _result_page(query: Query, results: SearchResults, ordered: Ordered = "", *, matches: bool = True) -> ResultPage:
    """The page of its results and the first of the next one."""
    shown = tuple(results[:PAGE_SIZE])
    return ResultPage(query, shown, len(results) > PAGE_SIZE, ordered, matches, results.notices)


def _is_of_words(query: Query) -> bool:
    """Whether match probabilities are available: only for text queries."""
    texts = [term for term in query.terms if isinstance(term, TextTerm)]
    return len(texts) == len(query.terms) and any(text.weight > 0 for text in texts)


def _page_of(query: Query, state: SearchState, *, min_match: MinMatch = "any") -> SearchResults:
    """A page and the first result of the next one."""
    options = SearchOptions(
        k=PAGE_SIZE + 1,
        offset=(state.page - 1) * PAGE_SIZE,
        sort=state.sort,
        sort_window=MOST_ORDERED,
        group="duplicates" if state.fold else "copies",
        min_match=min_match,
    )
    if not state.box and not state.at:
        line = str(query) if query.terms or query.filter is not None else EVERYTHING
        return searchable().search(line, options)
    term = query.terms[0] if len(query.terms) == 1 else None
    if not isinstance(term, ImageTerm):
        raise QueryError("a region or a moment needs exactly one picture; remove the other terms")
    where = str(Query((), query.filter))
    box, at_s = Box.parse(state.box) if state.box else None, float(state.at) if state.at else None
    return SearchResults(searchable().similar(f"~{term.reference}", options, box=box, at_s=at_s, where=where))


def _all_of(parts: tuple[Filter, ...]) -> Filter | None:
    return And(parts) if len(parts) > 1 else next(iter(parts), None)
