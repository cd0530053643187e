"""The frame of the pages: navigation, first run, and errors in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import streamlit as st

from clipsearch.errors import ClipSearchError
from ui import navigation, shared, strings
from ui.flash import show_script_error
from ui.pages import first_run  # which registers all pages
from ui.plain import plain
from ui.theme import page_style

_ICON = Path(__file__).parent / "icon.png"


def show() -> None:
    """Draw the current page of this session."""
    st.set_page_config(page_title=strings.APP, page_icon=str(_ICON), layout="wide")
    st.html(page_style())
    with errors_in_one_line():
        if shared.remote_library() is not None:
            selected = st.navigation([navigation.page_at(navigation.SEARCH)], position="hidden")
            st.caption(plain(strings.ON_SERVER.format(url=shared.searchable_name())))
            selected.run()
            return
        first = first_run.is_wanted()
        selected = st.navigation(navigation.menu(), position="hidden" if first else "top")
        if first:
            first_run.page()
            return
        if shared.in_demo():
            _demo_line()
        selected.run()


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Show a `ClipSearchError` on the page instead of ending the script."""
    try:
        yield
    except ClipSearchError as error:
        show_script_error(error)


def _demo_line() -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="shell_demo"):
        st.caption(strings.IN_DEMO)
        if st.button(strings.LEAVE_DEMO, key="shell_leave_demo", type="tertiary"):
            shared.show_demo(False)
            st.rerun()
