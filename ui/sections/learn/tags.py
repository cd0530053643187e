"""Tags: the list, and automatic tagging."""

from __future__ import annotations

import streamlit as st

from clipsearch.errors import ClipSearchError
from clipsearch.text import fold
from ui import strings_learn as strings
from ui.filter_line import PickedFilters
from ui.flash import flash, show_error
from ui.navigation import open_search
from ui.plain import plain
from ui.shared import library

_SHOWN = 120


def tags() -> None:
    """Draw the section."""
    st.write(strings.TAGS_TEXT)
    if st.button(strings.TAG_ALL, key="learn_tag_all", help=strings.TAG_ALL_HELP, icon=":material/sell:"):
        _tag_all()
    counts = library().tags.counts()
    if not counts:
        st.info(strings.NO_TAGS)
        return
    text = fold(st.text_input(strings.TAG_FIND, key="learn_tag_find", autocomplete="off").strip())
    matching = [count for count in counts if text in fold(count.tag)]
    with st.container(horizontal=True):
        for number, count in enumerate(matching[:_SHOWN]):
            label = strings.TAG_BUTTON.format(tag=plain(count.tag), count=f"{count.images:,}")
            if st.button(label, key=f"learn_tag_{number}"):
                open_search(PickedFilters(choices={"tag": (count.tag,)}).line())
    if len(matching) > _SHOWN:
        st.caption(strings.TAGS_CUT.format(count=_SHOWN))


def _tag_all() -> None:
    try:
        with st.spinner():
            report = library().tags.assign()
    except ClipSearchError as error:
        show_error(error)
    else:
        flash(strings.TAGGED.format(count=f"{report.tagged:,}"))
        st.rerun()
