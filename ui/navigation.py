"""The pages and the navigation between them. Pages register with `page`; `ui.pages` imports them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from streamlit.navigation.page import Page

SEARCH, EXPLORE, LEARN, LIBRARY = "search", "explore", "learn", "library"
"""URL paths of the pages; the search page, as the default, has the empty path."""


@dataclass(frozen=True)
class _Entry:
    draw: Callable[[], None]
    title: str
    icon: str
    position: int


_entries: dict[str, _Entry] = {}


def page(path: str, *, title: str, icon: str, position: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register the function that draws a page.

    Args:
        path: the URL path.
        title: the title in the menu.
        icon: the name of a Material icon.
        position: the position in the menu, from 0; the first page is the default.
    """

    def register(draw: Callable[[], None]) -> Callable[[], None]:
        _entries[path] = _Entry(draw, title, icon, position)
        return draw

    return register


def menu() -> list[Page]:
    """The pages in menu order."""
    return [page_at(path) for path in sorted(_entries, key=lambda path: _entries[path].position)]


def page_at(path: str) -> Page:
    """The page of a URL path."""
    import streamlit as st

    entry = _entries[path]
    return st.Page(
        entry.draw,
        title=entry.title,
        icon=f":material/{entry.icon}:",
        url_path=path,
        default=not entry.position,
    )


def open_search(line: str) -> NoReturn:
    """Switch to the search page with a query; ends the run of the script."""
    import streamlit as st

    st.switch_page(page_at(SEARCH), query_params={"q": line} if line else None)
