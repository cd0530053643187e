"""The library page: overview, indexing, roots, duplicates, unreadable files, saved searches and model."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from clipsearch.catalog.reports import LibraryStatus
from ui import navigation
from ui import strings as app_strings
from ui import strings_library as strings
from ui.flash import show_flash
from ui.sections.library.duplicates import duplicates
from ui.sections.library.failures import failures
from ui.sections.library.folders import folders
from ui.sections.library.model import model
from ui.sections.library.saved_searches import saved_searches
from ui.sections.library.status import library_status, overview
from ui.sections.library.work import work

_SECTIONS: dict[str, Callable[[LibraryStatus], None]] = {
    strings.FOLDERS: folders,
    strings.DUPLICATES: lambda _: duplicates(),
    strings.FAILURES: failures,
    strings.SAVED: lambda _: saved_searches(),
    strings.MODEL: model,
}


@navigation.page(navigation.LIBRARY, title=app_strings.LIBRARY_PAGE, icon="photo_library", position=3)
def page() -> None:
    """Draw the page; of the sections only the open one."""
    st.title(strings.TITLE)
    show_flash()
    status = library_status()
    overview(status)
    work(status)
    tabs = st.tabs(list(_SECTIONS), key="library_section", on_change="rerun")
    for tab, section in zip(tabs, _SECTIONS.values(), strict=True):
        if tab.open:
            with tab:
                section(status)
