"""The files that could not be read, with their reasons."""

from __future__ import annotations

import streamlit as st

from clipsearch.cli.display import display_text
from clipsearch.library import FileFailure, LibraryStatus
from ui import strings_library as strings
from ui.indexing import indexing_state
from ui.library_sections.work import begin_indexing
from ui.shared import library


def failures(status: LibraryStatus) -> None:
    """A table that can be narrowed by typing, and another try."""
    if not status.failures:
        st.success(strings.NO_FAILURES, icon=":material/check:")
        return
    st.write(strings.FAILURES_TEXT)
    if st.button(strings.RETRY, key="library_retry", help=strings.RETRY_HELP, disabled=indexing_state().running):
        begin_indexing(retry_failed=True)
    _table()


@st.fragment
def _table() -> None:
    wanted = st.text_input(strings.FAILURES_FILTER, key="library_failures_filter", type="search", live=True)
    rows = [_row(failure) for failure in library().failures()]
    shown = [row for row in rows if (wanted or "").casefold() in "\n".join(row.values()).casefold()]
    st.caption(strings.FAILURES_SHOWN.format(shown=f"{len(shown):,}", count=f"{len(rows):,}"))
    # a canvas: nothing in a cell is taken for markup
    st.dataframe(shown, hide_index=True, alt=strings.FAILURES_TABLE, key="library_failures_table")


def _row(failure: FileFailure) -> dict[str, str]:
    found = failure.failed_at.astimezone().strftime("%Y-%m-%d %H:%M") if failure.failed_at is not None else ""
    return {
        strings.FAILURE_FILE: display_text(failure.path.name),
        strings.FAILURE_REASON: display_text(failure.reason),
        strings.FAILURE_FOLDER: display_text(str(failure.path.parent)),
        strings.FAILURE_WHEN: found,
    }
