"""What the library holds, looked up now and then and not at every click, and the page's head that shows it."""

from __future__ import annotations

import streamlit as st

from clipsearch.library import LibraryStatus
from clipsearch.text import display_text, format_bytes
from ui import strings_library as strings
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


def overview(status: LibraryStatus) -> None:
    """Counts, disk use, where it is, and whether the last indexing came to its end."""
    with st.container(horizontal=True, gap="medium"):  # which wraps in a narrow window
        _metric(strings.PICTURES, f"{status.images:,}", strings.PICTURES_HELP)
        _metric(strings.FILES, f"{status.files:,}")
        _metric(strings.UNREADABLE, f"{status.failures:,}")
        about = strings.ON_DISK_HELP if status.database is None else strings.ON_DISK_HELP_DATABASE
        _metric(strings.ON_DISK, format_bytes(status.bytes_on_disk), about)
    path = display_text(str(status.path))
    if status.database is None:
        st.text(strings.KEPT_IN.format(path=path))
    else:
        st.text(strings.KEPT_IN_DATABASE.format(database=display_text(status.database), path=path))
    state = indexing_state()
    if status.interrupted is not None and not state.running and not state.stopped:  # which is told anyway
        begun = status.interrupted.astimezone().strftime("%Y-%m-%d %H:%M")
        st.info(strings.INTERRUPTED.format(begun=begun), icon=":material/info:")


def _metric(label: str, value: str, about: str | None = None) -> None:
    st.metric(label, value, help=about, width="content")
