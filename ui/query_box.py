"""The search box: a query, and uploaded example pictures."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import streamlit as st

from clipsearch.errors import ImageReadError, QueryError
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.text import display_text
from ui import strings_search as strings
from ui.components import component
from ui.plain import plain
from ui.search_state import SearchState, current_state, go
from ui.uploads import Upload, keep_upload

BOX_KEY = "search_line"
UPLOAD_AREA_KEY = "search_upload_area"
MOST_UPLOADS = 8

_UPLOADS = "search_uploads"
_REFUSED = "search_refused"
_ROUND = "search_upload_round"
"""Part of the uploader's key; a new key empties it."""


def query_box(state: SearchState) -> None:
    """Show the box, the uploader, and the uploaded pictures."""
    component("hotkeys", isolate_styles=False)(
        key="search_hotkeys", data={"box": BOX_KEY, "uploader": UPLOAD_AREA_KEY}, height="content"
    )
    if st.session_state.get(BOX_KEY) != state.line:
        st.session_state[BOX_KEY] = state.line
    words, pictures = st.columns([3, 2], vertical_alignment="bottom")
    with words:
        st.text_input(
            strings.BOX,
            key=BOX_KEY,
            type="search",
            help=strings.BOX_HELP,
            placeholder=strings.BOX_PLACEHOLDER,
            icon=":material/search:",
            on_change=_submit,
            autocomplete="off",
        )
    with pictures, st.container(key=UPLOAD_AREA_KEY):
        st.file_uploader(
            strings.UPLOAD,
            type=sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES),
            accept_multiple_files=True,
            key=_uploader_key(),
            on_change=_take_uploads,
        )
    _show_refused()
    _show_uploads()
    if state.box:
        _show_region(state)


def held_uploads() -> list[Upload]:
    """The uploaded pictures of this session."""
    uploads: list[Upload] = st.session_state.get(_UPLOADS, [])
    return [upload for upload in uploads if upload.is_kept]


def upload_paths() -> list[Path]:
    """Paths of the uploaded pictures."""
    return [upload.path for upload in held_uploads()]


def drop_uploads() -> None:
    """Remove the uploaded pictures."""
    st.session_state[_UPLOADS] = []


def show_query_error(error: QueryError) -> None:
    """Show the error, and the query with a mark at its position."""
    st.error(plain(str(error)), icon=":material/error:")
    if error.line is not None and error.position is not None:
        st.code(f"{display_text(error.line)}\n{caret(error.line, error.position)}", language=None)


def caret(line: str, position: int) -> str:
    """A ``^`` under a character of a line in a monospaced font.

    >>> caret("two camra:x", 4)
    '    ^'
    """
    before = display_text(line[:position])
    columns = sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in before
    )
    return f"{' ' * columns}^"


def _uploader_key() -> str:
    return f"search_upload_{st.session_state.get(_ROUND, 0)}"


def _submit() -> None:
    go(current_state().searching(st.session_state[BOX_KEY].strip()))


def _take_uploads() -> None:
    files = st.session_state[_uploader_key()] or []
    uploads, refused = [], []
    for file in files[:MOST_UPLOADS]:
        try:
            uploads.append(keep_upload(file.name, file.getvalue()))
        except ImageReadError as error:
            refused.append(f"{plain(file.name)}: {plain(error.reason)}")
    if len(files) > MOST_UPLOADS:
        refused.append(strings.UPLOAD_LIMIT.format(count=MOST_UPLOADS))
    st.session_state[_REFUSED] = refused
    if uploads:
        st.session_state[_UPLOADS] = uploads
        go(current_state().searching(current_state().line))
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # frees the bytes of the uploads


def _show_refused() -> None:
    for line in st.session_state.pop(_REFUSED, []):
        st.error(line, icon=":material/broken_image:")


def _show_uploads() -> None:
    uploads = held_uploads()
    if not uploads:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        for upload in uploads:
            st.image(upload.preview, width=56, alt=strings.UPLOADED.format(name=display_text(upload.name)))
        names = ", ".join(upload.name for upload in uploads)
        st.markdown(plain(strings.UPLOADED.format(name=names)))
        st.button(strings.REMOVE_UPLOADS, key="search_drop_uploads", icon=":material/close:", on_click=drop_uploads)


def _show_region(state: SearchState) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(strings.PART.format(box=state.box)))
        st.button(
            strings.WHOLE_PICTURE, key="search_whole", icon=":material/close:", on_click=_search_for, args=(state.line,)
        )


def _search_for(line: str) -> None:
    go(current_state().searching(line))
