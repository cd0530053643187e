"""The selected pictures of the explore page, with a button to search in them."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from clipsearch.errors import QueryError
from ui import strings_explore as strings
from ui.components import component
from ui.navigation import SEARCH, open_search, page_at
from ui.plain import plain
from ui.query_box import BOX_KEY
from ui.result_grid import grid_item
from ui.search_state import SearchState
from ui.shared import library
from ui.theme import DARK, LIGHT, Theme

_SHOWN = 24
"""Maximum pictures shown of a selection."""


def selected(line: str, *, key: str) -> None:
    """Show the pictures that pass a filter.

    Args:
        line: the filter, in the query language.
        key: the prefix of the widgets' keys.
    """
    try:
        count = library().browse.facets(line).total
        results = library().search(line, k=_SHOWN) if count else []
    except QueryError as error:  # the map has changed since the selection
        st.info(plain(str(error)), icon=":material/info:")
        return
    if not results:
        st.info(strings.NOTHING_SELECTED, icon=":material/info:")
        return
    st.subheader(strings.SELECTED, anchor=False)
    label = strings.SHOW_SELECTED_ONE if count == 1 else strings.SHOW_SELECTED.format(count=f"{count:,}")
    if st.button(label, key=f"{key}_search", type="primary", icon=":material/search:"):
        open_search(line)
    if count > len(results):
        st.caption(strings.SOME_SHOWN.format(shown=len(results), count=f"{count:,}"))
    state = SearchState(line=line)
    items = [grid_item(result, state) for result in results]
    for item, result in zip(items, results, strict=True):
        item["address"] = f"/?{urlencode(state.viewing(result.content_hash).params())}"
    words = {"label": strings.SELECTED, "no_preview": strings.NO_PREVIEW}
    data = {"items": items, "focus": "", "box": BOX_KEY, "words": words}
    opened = component("grid")(key=f"{key}_grid", data=data, on_opened_change=lambda: None).opened
    if opened:
        st.switch_page(page_at(SEARCH), query_params=state.viewing(str(opened)).params())


def current_theme() -> Theme:
    """The theme of this session."""
    return DARK if st.context.theme.type == "dark" else LIGHT
