"""From what the page is asked for to one page of results."""

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
from clipsearch.retrieval.results import SearchOptions, SearchResult
from ui.filter_line import parts_of_filter
from ui.named_pictures import admitted
from ui.search_state import SearchState
from ui.shared import searchable, searchable_name

if TYPE_CHECKING:
    from clipsearch.catalog.facets import Facets
    from clipsearch.retrieval.relevance.calibration import MinMatch

PAGE_SIZE = 60

MOST_ORDERED = 600
"""Of the best, how many are put in another order than the best first: ten pages."""

_FACETS_AGE_S = 15.0
"""While a library is being indexed it changes every second, and counting a large one takes as long."""

EVERYTHING = "size:>=1B"
"""A filter that every file passes."""


_CACHED = "search_result_page"
"""The one answer that a session holds: paging through pictures and closing them asks for it again."""


Ordered = Literal["", "matches", "nearest"]
"""What is in another order than the best first: nothing, what matches, or just the nearest."""


@dataclass(frozen=True)
class ResultPage:
    """A page of results.

    Attributes:
        query: what was looked for, filters included.
        results: in the order that they are shown in.
        more: whether there is a page after it.
        ordered: what all pages together put in order, at most the best `MOST_ORDERED` of it.
        matches: whether anything matches possibly, where that was looked at.
    """

    query: Query
    results: tuple[SearchResult, ...]
    more: bool
    ordered: Ordered = ""
    matches: bool = True

    @property
    def best_match(self) -> str | None:
        """How well the best result of all matches; ``None`` if this page does not tell."""
        if not self.matches:
            return "none"
        return next((result.match for result in self.results if result.rank == 1), None)


def asked_query(state: SearchState, uploads: Sequence[Path] = ()) -> Query:
    """All that is looked for: pictures that were handed over, the line, and the filters.

    Raises:
        QueryError: the line or the filters are wrong, or name a picture that may not be looked at.
    """
    typed, picked = (admitted(query) for query in _typed_and_picked(state))
    pictures = tuple(ImageTerm(str(path)) for path in uploads)
    parts = (*parts_of_filter(typed.filter), *parts_of_filter(picked.filter))
    return Query((*pictures, *typed.terms, *picked.terms), _all_of(parts))


def line_to_save(state: SearchState) -> str:
    """The line that finds the same without the filters beside it.

    Raises:
        QueryError: the line or the filters are wrong.
    """
    return str(asked_query(state)) if state.filters else state.line


def find_page(state: SearchState, uploads: Sequence[Path] = ()) -> ResultPage:
    """One page of what is looked for; everything, newest first, if that is nothing.

    Raises:
        QueryError: the line, the filters or the box are wrong, or the library has no pictures.
        ImageReadError: a picture of the query cannot be read.
    """
    query = asked_query(state, uploads)
    key = (searchable_name(), searchable().revision(), query, state.box, state.sort, state.fold, state.page)
    cached: tuple[object, ResultPage] | None = st.session_state.get(_CACHED)
    if cached is not None and cached[0] == key:
        return cached[1]
    result_page = _best_first(query, state) if state.sort == "score" or not query.terms else _in_order(query, state)
    st.session_state[_CACHED] = (key, result_page)
    return result_page


def has_neighbor(state: SearchState, result_page: ResultPage, step: int) -> bool:
    """Whether there is a picture before (-1) or after (1) the opened one."""
    place = _place(state, result_page)
    if place < 0:
        return False
    return 0 <= place + step < len(result_page.results) or (result_page.more if step > 0 else state.page > 1)


def neighbor(state: SearchState, uploads: Sequence[Path], step: int) -> SearchState:
    """The view of the picture before (-1) or after (1) the opened one, on another page if need be."""
    result_page = find_page(state, uploads)
    if not has_neighbor(state, result_page, step):
        return state
    place = _place(state, result_page) + step
    if not 0 <= place < len(result_page.results):
        state, place = replace(state, page=state.page + step), 0 if step > 0 else -1
        result_page = find_page(state, uploads)
    return state.viewing(result_page.results[place].content_hash) if result_page.results else state


def _place(state: SearchState, result_page: ResultPage) -> int:
    """Where the opened picture is among the results; -1 if it is not."""
    hashes = [result.content_hash for result in result_page.results]
    return hashes.index(state.view) if state.view in hashes else -1


def filters_to_drop(state: SearchState) -> list[tuple[Filter, SearchState]]:
    """The filters without which there would be results, each with the search that is left then."""
    typed, picked = _typed_and_picked(state)
    typed_parts, picked_parts = parts_of_filter(typed.filter), parts_of_filter(picked.filter)
    parts = (*typed_parts, *picked_parts)
    choices = []
    for number, part in enumerate(parts):
        left = _all_of(parts[:number] + parts[number + 1 :])
        if searchable().search(str(Query((), left)) if left is not None else EVERYTHING, k=1):
            in_line = tuple(kept for at, kept in enumerate(typed_parts) if at != number)
            in_filters = tuple(kept for at, kept in enumerate(picked_parts, len(typed_parts)) if at != number)
            line, filters = Query(typed.terms, _all_of(in_line)), Query(picked.terms, _all_of(in_filters))
            choices.append((part, replace(state, line=str(line), filters=str(filters), page=1)))
    return choices


class FacetsHolder:
    """The facets of one library, counted again when it has changed, but not at every step of a run that changes it."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._lock = threading.Lock()
        self._cached: tuple[tuple[str, int], float, Facets] | None = None

    def facets(self) -> Facets:
        """`Library.browse.facets`, of up to `_FACETS_AGE_S` ago."""
        key = (searchable_name(), searchable().revision())
        with self._lock:  # who comes meanwhile waits for what is being counted
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
    """The page; of filters alone it is the newest first, or by path."""
    results = _page_of(query, state)
    return ResultPage(query, tuple(results[:PAGE_SIZE]), len(results) > PAGE_SIZE)


def _in_order(query: Query, state: SearchState) -> ResultPage:
    """The page of what matches, or if nothing does of the nearest, in the order of date or path as a whole.

    In such an order what matches would be lost among what does not.
    """
    if not _is_of_words(query):
        results = _page_of(query, state)
        return ResultPage(query, tuple(results[:PAGE_SIZE]), len(results) > PAGE_SIZE, "nearest")
    results = _page_of(query, state, min_match="possible")
    matches = bool(results) or bool(searchable().search(str(query), k=1, min_match="possible"))
    if not matches:
        results = _page_of(query, state)
    ordered: Ordered = "matches" if matches else "nearest"
    return ResultPage(query, tuple(results[:PAGE_SIZE]), len(results) > PAGE_SIZE, ordered, matches)


def _is_of_words(query: Query) -> bool:
    """Whether it can be told how well pictures match."""
    texts = [term for term in query.terms if isinstance(term, TextTerm)]
    return len(texts) == len(query.terms) and any(text.weight > 0 for text in texts)


def _page_of(query: Query, state: SearchState, *, min_match: MinMatch = "any") -> list[SearchResult]:
    """The page and the first of the next one; every content once, or with `SearchState.fold` every photo."""
    options = SearchOptions(
        k=PAGE_SIZE + 1,
        offset=(state.page - 1) * PAGE_SIZE,
        sort=state.sort,
        sort_window=MOST_ORDERED,
        group="duplicates" if state.fold else "copies",
        min_match=min_match,
    )
    if not state.box:
        line = str(query) if query.terms or query.filter is not None else EVERYTHING
        return searchable().search(line, options)
    term = query.terms[0] if len(query.terms) == 1 else None
    if not isinstance(term, ImageTerm):
        raise QueryError("a part is of one picture; look for that picture alone")
    return searchable().similar(
        f"~{term.reference}", options, box=Box.parse(state.box), where=str(Query((), query.filter))
    )


def _all_of(parts: tuple[Filter, ...]) -> Filter | None:
    return And(parts) if len(parts) > 1 else next(iter(parts), None)
