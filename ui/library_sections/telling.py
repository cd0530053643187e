"""How the library page tells that something could not be done."""

from __future__ import annotations

import streamlit as st

from clipsearch.errors import ClipSearchError, LibraryLockedError
from ui import strings_library as strings
from ui.plain import plain

_LAST_WORD = "library_last_word"


def tell_error(error: Exception) -> None:
    """Say in one box what went wrong; that another process is writing is nothing to worry about."""
    if isinstance(error, LibraryLockedError):
        st.info(strings.LOCKED, icon=":material/hourglass_top:")
    elif isinstance(error, ClipSearchError):
        st.error(plain(str(error)))
    else:
        st.error(strings.UNEXPECTED.format(error=plain(repr(error))))


def flash(message: str) -> None:
    """Tell something once the page is drawn anew."""
    st.session_state[_LAST_WORD] = message


def show_flash() -> None:
    """Tell what was left to be told."""
    message = st.session_state.pop(_LAST_WORD, None)
    if message is not None:
        st.toast(plain(message))
