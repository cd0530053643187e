"""A form that keeps a search by name."""

from __future__ import annotations

import streamlit as st

from clipsearch.errors import ClipSearchError
from ui import strings_library as strings
from ui.library_sections.telling import flash, tell_error
from ui.named_pictures import admitted_line
from ui.shared import library


def save_form(line: str, *, key: str) -> None:
    """Ask for the name, and save.

    Args:
        line: what to look for, to begin with.
        key: of the form; those of its fields begin with it.
    """
    with st.form(f"{key}_form", border=False, enter_to_submit=True):
        name = st.text_input(strings.SAVE_NAME, key=f"{key}_name", autocomplete="off")
        wanted = st.text_input(
            strings.SAVE_QUERY, value=line, key=f"{key}_line", help=strings.SAVE_QUERY_HELP, autocomplete="off"
        )
        replace = st.checkbox(strings.SAVE_REPLACE, key=f"{key}_replace")
        save = st.form_submit_button(strings.SAVE_BUTTON, icon=":material/bookmark_add:")
    if save:
        try:
            record = library().saved.add(name or "", admitted_line(wanted or ""), replace=replace)
        except ClipSearchError as error:
            tell_error(error)
        else:
            flash(strings.SAVE_DONE.format(name=record.name))
            st.rerun()
