"""What the library holds, looked up now and then and not at every click."""

from __future__ import annotations

import streamlit as st

from clipsearch.library import LibraryStatus
from ui.indexing import indexing_state
from ui.shared import library

_FRESH_S = 10.0
"""Drives come and go without the catalog knowing."""


def library_status() -> LibraryStatus:
    """What the library holds; at most a few seconds old, and as it is after every piece of work."""
    state = indexing_state()
    return _status(str(library().path), library().revision(), state.number, state.running)


def forget_status() -> None:
    """Look it up again the next time: something was changed."""
    _status.clear()


@st.cache_data(ttl=_FRESH_S, max_entries=4, show_spinner=False)
def _status(path: str, revision: int, work: int, running: bool) -> LibraryStatus:
    """The arguments say when it has changed."""
    return library().status()
