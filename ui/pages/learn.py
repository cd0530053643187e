"""The learn page: concepts, tags, classification and training."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ui import navigation
from ui import strings as app_strings
from ui import strings_learn as strings
from ui.flash import show_flash
from ui.sections.learn.classify import classify
from ui.sections.learn.concepts import concepts
from ui.sections.learn.tags import tags
from ui.sections.learn.training import training

_SECTIONS: dict[str, Callable[[], None]] = {
    strings.CONCEPTS: concepts,
    strings.TAGS: tags,
    strings.CLASSIFY: classify,
    strings.TRAINING: training,
}


@navigation.page(navigation.LEARN, title=app_strings.LEARN_PAGE, icon="school", position=2)
def page() -> None:
    """Draw the page; of the sections only the open one."""
    st.title(strings.TITLE)
    show_flash()
    tabs = st.tabs(list(_SECTIONS), key="learn_section", on_change="rerun")
    for tab, section in zip(tabs, _SECTIONS.values(), strict=True):
        if tab.open:
            with tab:
                section()
