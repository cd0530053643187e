"""Saved searches: run, new matches, save and remove."""

from __future__ import annotations

import streamlit as st

from clipsearch.catalog.saved_searches import SavedSearchRecord
from clipsearch.errors import ClipSearchError
from clipsearch.retrieval.results import SearchResult
from clipsearch.text import display_text
from ui import strings_library as strings
from ui.flash import flash, show_error
from ui.named_pictures import admitted_line
from ui.navigation import open_search
from ui.plain import plain
from ui.shared import library

_SHOWN_NEW = "library_shown_new"
_PREVIEW_WIDTH = 160


def saved_searches() -> None:
    """The list, new matches, and a form to save a search."""
    st.write(strings.SAVED_TEXT)
    saved = library().saved.all()
    if not saved:
        st.info(strings.NO_SAVED)
    new = {match.name: match.count for match in library().saved.new_matches()} if saved else {}
    for number, record in enumerate(saved):
        _saved(number, record, new.get(record.name, 0))
    _new_results()
    st.subheader(strings.SAVE_SEARCH)
    save_form(st.session_state.get("search_line", ""), key="library_save")


def _saved(number: int, record: SavedSearchRecord, new: int) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.text(display_text(record.name))
                if new:
                    st.badge(strings.SAVED_NEW.format(count=f"{new:,}"), icon=":material/notifications:")
            st.caption(plain(record.line))
        with st.container(horizontal=True, width="content"):
            if st.button(strings.SAVED_RUN, key=f"library_saved_run_{number}", icon=":material/search:"):
                open_search(record.line)
            if new and st.button(strings.SAVED_SHOW_NEW, key=f"library_saved_new_{number}"):
                _show_new(record.name)
            if st.button(strings.SAVED_REMOVE, key=f"library_saved_remove_{number}"):
                _remove(record.name)


def _show_new(name: str) -> None:
    """Show the new matches, each of which is new only once."""
    try:
        st.session_state[_SHOWN_NEW] = (name, library().saved.new_results(name, group="duplicates"))
    except ClipSearchError as error:
        show_error(error)
    else:
        st.rerun()


def _new_results() -> None:
    name, results = st.session_state.get(_SHOWN_NEW, (None, []))
    if name is None:
        return
    with st.container(border=True):
        if not results:
            st.write(strings.NEW_NONE.format(name=plain(name)))
        else:
            st.write(strings.NEW_FOR.format(name=plain(name)))
            with st.container(horizontal=True):
                for result in results:
                    _preview(result)
        if st.button(strings.NEW_CLOSE, key="library_new_close"):
            del st.session_state[_SHOWN_NEW]
            st.rerun()


def _preview(result: SearchResult) -> None:
    name = display_text(result.path.name)
    thumbnail = library().browse.thumbnail_of(result.content_hash)
    with st.container(width=_PREVIEW_WIDTH):
        if thumbnail is not None:
            st.image(thumbnail, alt=strings.PREVIEW_OF.format(name=name), width="stretch")
        st.text(name)


def _remove(name: str) -> None:
    try:
        library().saved.remove(name)
    except ClipSearchError as error:
        show_error(error)
    else:
        flash(strings.SAVED_REMOVED.format(name=name))
        st.rerun()


def save_form(line: str, *, key: str) -> None:
    """A form that saves a search.

    Args:
        line: the initial query.
        key: the prefix of the widgets' keys.
    """
    with st.form(f"{key}_form", border=False, enter_to_submit=True):
        name = st.text_input(strings.SAVE_NAME, key=f"{key}_name", autocomplete="off")
        query = st.text_input(
            strings.SAVE_QUERY, value=line, key=f"{key}_line", help=strings.SAVE_QUERY_HELP, autocomplete="off"
        )
        replace = st.checkbox(strings.SAVE_REPLACE, key=f"{key}_replace")
        save = st.form_submit_button(strings.SAVE_BUTTON, icon=":material/bookmark_add:")
    if save:
        try:
            record = library().saved.add(name or "", admitted_line(query or ""), replace=replace)
        except ClipSearchError as error:
            show_error(error)
        else:
            flash(strings.SAVE_DONE.format(name=record.name))
            st.rerun()
