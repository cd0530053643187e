"""The explore page: map of embeddings, timeline and world map."""

from __future__ import annotations

import streamlit as st

from ui import navigation, strings, strings_explore
from ui.search_results import facets_holder
from ui.sections.explore.embedding_map import map_section
from ui.sections.explore.timeline import timeline_section
from ui.sections.explore.world import world_section

VIEW = "explore_view"
SECTIONS = {
    strings_explore.MAP: map_section,
    strings_explore.TIMELINE: timeline_section,
    strings_explore.WORLD: world_section,
}


@navigation.page(navigation.EXPLORE, title=strings.EXPLORE_PAGE, icon="hub", position=1)
def page() -> None:
    """Draw the page."""
    st.header(strings.EXPLORE_PAGE, anchor=False)
    if not facets_holder.facets().total:
        st.info(strings_explore.EMPTY, icon=":material/info:")
        return
    picked = st.segmented_control(
        strings_explore.VIEW,
        list(SECTIONS),
        default=strings_explore.MAP,
        key=VIEW,
        required=True,
        label_visibility="collapsed",
    )
    SECTIONS[picked or strings_explore.MAP]()
