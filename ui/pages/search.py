"""The search page: search box, filters and result grid, or the picture view."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from clipsearch.errors import ClipSearchError, QueryError
from clipsearch.query import Query
from clipsearch.retrieval.results import Sort
from clipsearch.text import format_count
from ui import navigation
from ui import strings as app_strings
from ui import strings_search as strings
from ui.filter_line import PickedFilters, read_filters
from ui.filters import filter_chips, filters, set_filters
from ui.flash import show_flash
from ui.picture_view import picture_view
from ui.plain import plain
from ui.query_box import drop_uploads, query_box, show_query_error, upload_paths
from ui.result_grid import pager, result_grid
from ui.search_results import (
    MOST_ORDERED,
    ResultPage,
    asked_query,
    facets_holder,
    filters_to_drop,
    find_page,
    line_to_save,
)
from ui.search_state import SearchState, current_state, go
from ui.sections.library.saved_searches import save_form
from ui.shared import library, remote_library

_FOLD_KEY = "search_fold"

_SORT_KEYS = {True: "search_sort", False: "search_sort_filters"}
"""Widget keys by whether results are ranked: browsers identify options by labels, which differ in meaning."""


@navigation.page(navigation.SEARCH, title=app_strings.SEARCH_PAGE, icon="search", position=0)
def page() -> None:
    """Draw the page for the address."""
    show_flash()
    if not facets_holder.facets().total:
        _empty_library()
        return
    state = current_state()
    picked = _filters_of(state)
    if picked is None:
        return
    with st.sidebar:
        filters(picked)
    if state.view:
        picture_view(state, upload_paths())
        return
    query_box(state)
    filter_chips(picked)
    _results(state)


def _filters_of(state: SearchState) -> PickedFilters | None:
    """The filters of the address; ``None`` and an error on the page if they are invalid."""
    try:
        return read_filters(state.filters)
    except QueryError as error:
        st.error(plain(strings.FILTERS_WRONG.format(error=error)), icon=":material/error:")
        st.button(strings.CLEAR_FILTERS, key="search_clear_wrong_filters", on_click=set_filters, args=("",))
        return None


def _results(state: SearchState) -> None:
    try:
        with st.spinner(strings.SEARCHING):
            result_page = find_page(state, upload_paths())
    except QueryError as error:
        show_query_error(error)
        return
    except ClipSearchError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if result_page.query == Query():
        _examples()
    for notice in result_page.notices:
        st.info(plain(notice), icon=":material/info:")
    if not result_page.results:
        _no_results(state)
        return
    _heading(state, result_page)
    result_grid(result_page.results, state)
    pager(state, more=result_page.more)


def _heading(state: SearchState, result_page: ResultPage) -> None:
    """The heading with the sort order and other options, and notices."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(strings.RESULTS if result_page.query != Query() else strings.NEWEST, width="content", anchor=False)
        if result_page.query.filter is None:  # with a filter, every search would count again
            st.caption(strings.AMONG.format(files=format_count(facets_holder.facets().total, "file")))
        _sort(state, is_ranked=bool(result_page.query.terms))
        _fold(state)
        if result_page.query != Query() and remote_library() is None:
            _save(state)
    if result_page.ordered:
        st.caption(strings.ORDERED[result_page.ordered].format(count=f"{MOST_ORDERED:,}"))
    if not result_page.has_match and state.page == 1:
        st.info(strings.NOTHING_CLEAR, icon=":material/info:")
    if not all(result.online for result in result_page.results):
        st.warning(strings.SOME_OFFLINE, icon=":material/cloud_off:")


def _fold(state: SearchState) -> None:
    if st.session_state.get(_FOLD_KEY) != state.fold:
        st.session_state[_FOLD_KEY] = state.fold
    st.toggle(strings.FOLD, key=_FOLD_KEY, help=strings.FOLD_HELP, on_change=_fold_as_set, width="content")


def _fold_as_set() -> None:
    go(replace(current_state(), fold=bool(st.session_state[_FOLD_KEY]), page=1))


def _save(state: SearchState) -> None:
    is_savable = not upload_paths() and not state.box
    if st.button(
        strings.SAVE_THIS,
        key="search_save",
        icon=":material/bookmark_add:",
        disabled=not is_savable,
        help=None if is_savable else strings.SAVE_NOT_THIS,
    ):
        _save_dialog(line_to_save(state))


@st.dialog(strings.SAVE_THIS)
def _save_dialog(line: str) -> None:
    save_form(line, key="search_save")


def _sort(state: SearchState, *, is_ranked: bool) -> None:
    labels = strings.SORTS if is_ranked else strings.SORTS_OF_FILTERS
    shown: Sort = state.sort if state.sort in labels else "score"
    key = _SORT_KEYS[is_ranked]
    if st.session_state.get(key) != shown:
        st.session_state[key] = shown
    st.selectbox(
        strings.SORT,
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        help=strings.SORT_HELP,
        label_visibility="collapsed",
        on_change=_sort_by,
        args=(key,),
        width=160,
    )


def _sort_by(key: str) -> None:
    go(replace(current_state(), sort=st.session_state[key], page=1))


def _examples() -> None:
    st.caption(strings.EXAMPLES_TITLE)
    with st.container(horizontal=True):
        for number, line in enumerate(strings.EXAMPLES):
            st.button(plain(line), key=f"search_example_{number}", on_click=_search_for, args=(line,))


def _search_for(line: str) -> None:
    go(current_state().searching(line))


def _no_results(state: SearchState) -> None:
    if state.page > 1:
        st.info(strings.NOTHING_MORE, icon=":material/info:")
        pager(state, more=False)
        return
    st.info(strings.NOTHING_PASSES, icon=":material/filter_alt_off:")
    if remote_library() is None:
        for tag, nearest in library().tags.unknown(str(asked_query(state))).items():
            if nearest is not None:
                st.write(strings.UNKNOWN_TAG.format(tag=plain(tag), nearest=plain(nearest)))
    droppable = filters_to_drop(state)
    if droppable:
        st.write(strings.WOULD_PASS)
        with st.container(horizontal=True):
            for number, (part, rest) in enumerate(droppable):
                key = f"search_drop_{number}"
                st.button(plain(str(part)), key=key, icon=":material/close:", on_click=go, args=(rest,))
    st.button(strings.CLEAR, key="search_clear", on_click=_clear)


def _clear() -> None:
    drop_uploads()
    go(SearchState())


def _empty_library() -> None:
    st.title(strings.EMPTY_LIBRARY)
    if remote_library() is not None:
        st.write(strings.EMPTY_ON_SERVER)
        return
    st.write(strings.EMPTY_LIBRARY_TEXT)
    st.page_link(navigation.page_at(navigation.LIBRARY))
