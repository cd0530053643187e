"""The pages and the way between them. A page registers itself with `page`; `ui.pages` imports them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from streamlit.navigation.page import Page

SEARCH, EXPLORE, LEARN, LIBRARY = "search", "explore", "learn", "library"
"""The pages' addresses; that of the search page, which is the first one, is not shown."""


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
        path: its address.
        title: in the menu.
        icon: name of a Material icon.
        position: in the menu, from 0; that one is shown when no page is asked for.
    """

    def register(draw: Callable[[], None]) -> Callable[[], None]:
        _entries[path] = _Entry(draw, title, icon, position)
        return draw

    return register


def menu() -> list[Page]:
    """Every page, in the order of the menu."""
    return [page_at(path) for path in sorted(_entries, key=lambda path: _entries[path].position)]


def page_at(path: str) -> Page:
    """The page at an address."""
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
    """Go to the search page with that query line; ends the run of the script."""
    import streamlit as st

    st.switch_page(page_at(SEARCH), query_params={"q": line} if line else None)
