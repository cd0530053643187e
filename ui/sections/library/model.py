"""The current model, the embeddings of other models, and migration."""

from __future__ import annotations

import streamlit as st

from clipsearch.catalog.records import SpaceRecord
from clipsearch.catalog.reports import LibraryStatus
from clipsearch.errors import ClipSearchError
from clipsearch.models.presets import PRESETS, resolve_preset
from clipsearch.text import display_text
from ui import indexing
from ui import strings_library as strings
from ui.flash import show_error


def model(status: LibraryStatus) -> None:
    """Draw the section."""
    if status.model is None:
        st.info(strings.NO_MODEL)
        return
    st.text(strings.MODEL_IN_USE.format(model=display_text(status.model)))
    if status.precision is not None:
        st.caption(strings.MODEL_DETAILS.format(dim=status.dim, precision=status.precision))
    if len(status.spaces) > 1 or any(space.missing or space.from_preview for space in status.spaces):
        st.subheader(strings.SPACES)
        st.caption(strings.SPACES_TEXT)
        for number, space in enumerate(status.spaces):
            _space(number, space)
    _change()


def _space(number: int, space: SpaceRecord) -> None:
    total = space.embedded + space.missing
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(display_text(space.model.spec))
            if space.active:
                st.badge(strings.SPACE_ACTIVE, icon=":material/check:", color="green")
            else:
                st.badge(strings.SPACE_PARTIAL if space.missing else strings.SPACE_READY, color="gray")
        count = strings.SPACE_COUNT.format(embedded=f"{space.embedded:,}", total=f"{total:,}")
        st.progress(space.embedded / total if total else 0.0, text=count)
        if space.from_preview:
            st.caption(strings.SPACE_PREVIEWS.format(count=f"{space.from_preview:,}"))
        if not space.active:
            _space_buttons(number, space)


def _space_buttons(number: int, space: SpaceRecord) -> None:
    busy = indexing.background.state().running
    with st.container(horizontal=True):
        label = strings.SPACE_GO_ON if space.missing else strings.SPACE_USE
        if st.button(label, key=f"library_space_{number}", disabled=busy):
            _begin(space.model.spec)
        if (
            space.missing
            and space.embedded
            and st.button(
                strings.SPACE_SWITCH,
                key=f"library_space_partial_{number}",
                help=strings.SPACE_SWITCH_HELP,
                disabled=busy,
            )
        ):
            _begin(space.model.spec, partial=True)


def _change() -> None:
    st.subheader(strings.CHANGE_MODEL)
    st.write(strings.CHANGE_MODEL_TEXT)
    with st.form("library_change_model", border=False):
        spec = st.selectbox(
            strings.CHANGE_MODEL_CHOICE,
            list(PRESETS),
            index=None,
            format_func=_describe,
            key="library_new_model",
            help=strings.CHANGE_MODEL_HELP,
            placeholder=strings.CHANGE_MODEL_PLACEHOLDER,
            accept_new_options=True,
        )
        begin = st.form_submit_button(strings.CHANGE_MODEL_BUTTON, disabled=indexing.background.state().running)
    if begin and spec:
        try:
            resolve_preset(spec)
        except ClipSearchError as error:
            show_error(error)
        else:
            _begin(spec)


def _begin(spec: str, *, partial: bool = False) -> None:
    if indexing.background.start_migration(spec, partial=partial):
        st.rerun()
    st.warning(strings.BUSY)


def _describe(name: str) -> str:
    preset = PRESETS.get(name)
    if preset is None:
        return name
    text = strings.PRESET_DOWNLOAD if preset.download_mb else strings.PRESET
    return text.format(name=name, description=preset.description, size=f"{preset.download_mb:,}")
