"""The page of an empty library: choose folders or try the demo, and the progress of indexing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from clipsearch.config import typed_path
from clipsearch.demo import copy_photographs
from clipsearch.errors import ClipSearchError, ConfigError
from clipsearch.text import format_count
from ui import indexing, shared, strings
from ui.indexing import WorkState
from ui.plain import plain
from ui.sections.library.failures import failures_table

_WATCHING = "first_run_watching"
"""Whether this session waits for the first indexing."""

_REFRESH_S = 0.5


def is_wanted() -> bool:
    """Whether this page replaces the others: the library is empty, or this session waits for indexing."""
    return bool(st.session_state.get(_WATCHING)) or not shared.has_pictures()


def page() -> None:
    """Draw the page."""
    state = indexing.background.state()
    if state.running:
        st.session_state[_WATCHING] = True
        _watch()
        return
    if st.session_state.pop(_WATCHING, False) and shared.has_pictures():
        st.rerun()
    st.title(strings.WELCOME)
    st.write(strings.WELCOME_TEXT)
    _show_summary(state)
    _choose_folders()
    if not shared.in_demo():
        _offer_demo()


def _choose_folders() -> None:
    st.subheader(strings.CHOOSE_FOLDERS)
    with st.form("first_run_form", border=False):
        lines = st.text_area(strings.FOLDERS, value=_usual_folder(), help=strings.FOLDERS_HELP, key="first_run_folders")
        begun = st.form_submit_button(strings.INDEX_BUTTON, type="primary")
    st.caption(strings.LIBRARY_GOES_TO.format(path=plain(str(shared.own_place()))))
    if begun:
        try:
            folders = _folders(lines)
        except ConfigError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        shared.show_demo(False)
        _start(folders)


def _offer_demo() -> None:
    st.subheader(strings.TRY_DEMO)
    st.write(strings.TRY_DEMO_TEXT)
    if st.button(strings.DEMO_BUTTON, key="first_run_demo"):
        photos = shared.demo_dir() / "photos"
        try:
            copy_photographs(photos)
        except ClipSearchError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        shared.show_demo(True)
        _start([photos])


def _start(folders: list[Path], *, retry_failed: bool = False) -> None:
    indexing.background.start_indexing(
        folders, retry_failed=retry_failed
    )  # if other work is running, its progress is shown
    st.session_state[_WATCHING] = True
    st.rerun()


@st.fragment(run_every=_REFRESH_S)
def _watch() -> None:
    state = indexing.background.state()
    if not state.running:
        st.rerun()
    st.title(strings.INDEXING)
    if state.total is None:
        st.progress(0.0, text=strings.STARTING)
    else:
        text = strings.PROGRESS.format(done=state.done, total=state.total)
        st.progress(min(1.0, state.done / max(1, state.total)), text=text)
    for message in state.messages[-3:]:
        st.caption(plain(message))
    with st.container(horizontal=True):
        if shared.has_pictures() and st.button(strings.SEARCH_NOW, key="first_run_search_now"):
            st.session_state.pop(_WATCHING, None)
            st.rerun()
        if st.button(strings.STOP, key="first_run_stop", disabled=state.stopping):
            indexing.background.stop()
            st.rerun(scope="fragment")


def _show_summary(state: WorkState) -> None:
    """Errors and unreadable files of an indexing run after which the library is still empty."""
    if state.error is not None:
        st.error(plain(str(state.error)), icon=":material/error:")
    unreadable = shared.library().maintenance.failures() if shared.library_exists() else []
    if unreadable:
        count = format_count(len(unreadable), "file")
        st.warning(strings.NOTHING_READABLE.format(count=count), icon=":material/broken_image:")
        failures_table(unreadable, key="first_run_failures")
        if st.button(strings.RETRY, key="first_run_retry", help=strings.RETRY_HELP):
            _start([], retry_failed=True)
    elif state.report is not None:
        st.warning(strings.NOTHING_FOUND, icon=":material/info:")


def _folders(lines: str) -> list[Path]:
    """Parse one folder per line.

    Raises:
        ConfigError: there is no line, or a folder does not exist.
    """
    folders = [typed_path(line.strip().strip('"')) for line in lines.splitlines() if line.strip()]
    if not folders:
        raise ConfigError(strings.NO_FOLDER)
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(strings.NOT_A_FOLDER.format(path=folder))
    return folders


def _usual_folder() -> str:
    """The pictures folder of the user, if it exists."""
    import platformdirs

    folder = platformdirs.user_pictures_path()
    return str(folder) if folder.is_dir() else ""
