"""The roots of the library: their state, and adding, relocating and removing them."""

from __future__ import annotations

import streamlit as st

from clipsearch.catalog.reports import LibraryStatus, RootStatus
from clipsearch.config import typed_path
from clipsearch.errors import ClipSearchError
from clipsearch.text import display_text, format_count
from ui import indexing
from ui import strings_library as strings
from ui.flash import flash, show_error
from ui.plain import plain
from ui.sections.library.status import forget_status
from ui.sections.library.work import begin_indexing
from ui.shared import library


def folders(status: LibraryStatus) -> None:
    """The list of roots, and a form to add one."""
    st.write(strings.FOLDERS_TEXT)
    if not status.roots:
        st.info(strings.NO_FOLDERS)
    for number, root in enumerate(status.roots):
        _folder(number, root)
    _add()


def _folder(number: int, root: RootStatus) -> None:
    busy = indexing.background.state().running
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(gap="xsmall"):
            st.text(display_text(str(root.path)))
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(format_count(root.files, "file"), width="content")
                if root.online:
                    st.badge(strings.ONLINE, icon=":material/check:", color="green")
                else:
                    st.badge(strings.OFFLINE, icon=":material/eject:", color="gray", help=strings.OFFLINE_HELP)
        with st.container(horizontal=True, width="content"):
            if st.button(strings.EXCLUDE, key=f"library_exclude_{number}", disabled=busy):
                _exclude(root)
            if st.button(strings.MOVED, key=f"library_move_{number}", disabled=busy):
                _move(root)
            if st.button(strings.REMOVE, key=f"library_remove_{number}", disabled=busy):
                _remove(root)


@st.dialog(strings.EXCLUDE_TITLE)
def _exclude(root: RootStatus) -> None:
    st.text(display_text(str(root.path)))
    st.caption(strings.EXCLUDE_TEXT)
    typed = st.text_area(strings.EXCLUDE_PATTERNS, "\n".join(root.exclusions), key="library_exclude_patterns")
    defaults = st.checkbox(strings.EXCLUDE_DEFAULTS, root.default_exclusions, key="library_exclude_defaults")
    if st.button(strings.EXCLUDE_BUTTON, key="library_exclude_confirm", type="primary"):
        patterns = [line.strip() for line in (typed or "").splitlines() if line.strip()]
        roots = library().roots
        try:
            roots.exclude(patterns, root.path)
            roots.stop_excluding([pattern for pattern in root.exclusions if pattern not in patterns], root.path)
            roots.use_default_exclusions(defaults, root.path)
        except ClipSearchError as error:
            show_error(error)
            return
        _done(strings.EXCLUDE_DONE)


@st.dialog(strings.MOVED_TITLE)
def _move(root: RootStatus) -> None:
    st.text(display_text(str(root.path)))
    st.caption(strings.MOVED_TEXT)
    new_path = st.text_input(strings.MOVED_WHERE, key="library_move_to", autocomplete="off")
    if st.button(strings.MOVED_BUTTON, key="library_move_confirm", type="primary", disabled=not new_path):
        try:
            library().roots.move(root.path, (new_path or "").strip())
        except ClipSearchError as error:
            show_error(error)
            return
        _done(strings.MOVED_DONE)


@st.dialog(strings.REMOVE_TITLE)
def _remove(root: RootStatus) -> None:
    st.text(display_text(str(root.path)))
    st.write(strings.REMOVE_TEXT.format(count=format_count(root.files, "file")))
    with st.container(horizontal=True):
        confirmed = st.button(strings.REMOVE_BUTTON, key="library_remove_confirm", type="primary")
        if st.button(strings.CANCEL, key="library_remove_cancel"):
            st.rerun()
    if confirmed:
        try:
            files = library().roots.remove(root.path)
        except ClipSearchError as error:
            show_error(error)
            return
        _done(strings.REMOVE_DONE.format(count=format_count(files, "file")))


def _done(message: str) -> None:
    forget_status()
    flash(message)
    st.rerun()


def _add() -> None:
    with st.form("library_add_folder", clear_on_submit=False, border=False):
        typed = st.text_input(
            strings.ADD_FOLDER, key="library_add_path", help=strings.ADD_FOLDER_HELP, autocomplete="off"
        )
        submitted = st.form_submit_button(
            strings.ADD_FOLDER_BUTTON,
            icon=":material/create_new_folder:",
            disabled=indexing.background.state().running,
        )
    if not submitted or not (typed or "").strip():
        return
    folder = typed_path((typed or "").strip())
    if folder.is_dir():
        begin_indexing(folder.absolute())
    else:
        st.error(strings.NO_SUCH_FOLDER.format(path=plain(str(folder))))
