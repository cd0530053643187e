"""The status of the library, cached for a few seconds, and the overview."""

from __future__ import annotations

import streamlit as st

from clipsearch.catalog.reports import LibraryStatus
from clipsearch.text import display_text, format_bytes
from ui import indexing
from ui import strings_library as strings
from ui.shared import library

_FRESH_S = 10.0
"""Cache lifetime: drives are connected and removed without a new revision."""


def library_status() -> LibraryStatus:
    """The status; at most a few seconds old, and current after indexing."""
    state = indexing.background.state()
    return _status(str(library().path), library().revision(), state.number, state.running)


def forget_status() -> None:
    """Clear the cache after a change."""
    _status.clear()


@st.cache_data(ttl=_FRESH_S, max_entries=4, show_spinner=False)
def _status(path: str, revision: int, work: int, running: bool) -> LibraryStatus:
    """Cached by the arguments."""
    return library().status()


def overview(status: LibraryStatus) -> None:
    """Counts, disk use, location, and a notice of interrupted indexing."""
    with st.container(horizontal=True, gap="medium"):  # wraps in a narrow window
        _metric(strings.PICTURES, f"{status.images:,}", strings.PICTURES_HELP)
        _metric(strings.FILES, f"{status.files:,}")
        _metric(strings.UNREADABLE, f"{status.failures:,}")
        help_text = strings.ON_DISK_HELP if status.database is None else strings.ON_DISK_HELP_DATABASE
        _metric(strings.ON_DISK, format_bytes(status.bytes_on_disk), help_text)
    path = display_text(str(status.path))
    if status.database is None:
        st.text(strings.KEPT_IN.format(path=path))
    else:
        st.text(strings.KEPT_IN_DATABASE.format(database=display_text(status.database), path=path))
    state = indexing.background.state()
    if status.interrupted is not None and not state.running and not state.stopped:  # shown elsewhere already
        started = status.interrupted.astimezone().strftime("%Y-%m-%d %H:%M")
        st.info(strings.INTERRUPTED.format(started=started), icon=":material/info:")


def _metric(label: str, value: str, help_text: str | None = None) -> None:
    st.metric(label, value, help=help_text, width="content")
