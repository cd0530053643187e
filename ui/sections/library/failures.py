"""Unreadable files, with the reasons."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from clipsearch.catalog.reports import FileFailure, LibraryStatus
from clipsearch.text import display_text, fold
from ui import indexing
from ui import strings_library as strings
from ui.sections.library.work import begin_indexing
from ui.shared import library


def failures(status: LibraryStatus) -> None:
    """A table with a filter, and a button to retry."""
    if not status.failures:
        st.success(strings.NO_FAILURES, icon=":material/check:")
        return
    st.write(strings.FAILURES_TEXT)
    if st.button(
        strings.RETRY, key="library_retry", help=strings.RETRY_HELP, disabled=indexing.background.state().running
    ):
        begin_indexing(retry_failed=True)
    _table()


@st.fragment
def _table() -> None:
    text = st.text_input(strings.FAILURES_FILTER, key="library_failures_filter", type="search", live=True)
    all_failures = library().maintenance.failures()
    shown = [failure for failure in all_failures if fold(text or "") in fold("\n".join(_row(failure).values()))]
    st.caption(strings.FAILURES_SHOWN.format(shown=f"{len(shown):,}", count=f"{len(all_failures):,}"))
    failures_table(shown, key="library_failures_table")


def failures_table(shown: Sequence[FileFailure], *, key: str) -> None:
    """A table of files and reasons."""
    # drawn on a canvas, which interprets no markup
    st.dataframe([_row(failure) for failure in shown], hide_index=True, alt=strings.FAILURES_TABLE, key=key)


def _row(failure: FileFailure) -> dict[str, str]:
    failed_at = failure.failed_at.astimezone().strftime("%Y-%m-%d %H:%M") if failure.failed_at is not None else ""
    return {
        strings.FAILURE_FILE: display_text(failure.path.name),
        strings.FAILURE_REASON: display_text(failure.reason),
        strings.FAILURE_FOLDER: display_text(str(failure.path.parent)),
        strings.FAILURE_WHEN: failed_at,
    }
