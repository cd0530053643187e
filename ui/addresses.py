"""Addresses within the page: pictures, previews, and searches as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

if TYPE_CHECKING:
    from streamlit.navigation.page import Page

SEARCH_PATH, EXPLORE_PATH, LEARN_PATH, LIBRARY_PATH = "search", "explore", "learn", "library"


def thumbnail_url(content_hash: str) -> str:
    """The small preview of a picture, for a grid."""
    return f"/thumbnail/{content_hash}"


def picture_url(content_hash: str) -> str:
    """A picture at the size of a screen."""
    return f"/picture/{content_hash}"


def search_url(line: str) -> str:
    """The search page with a query line, as a link to share."""
    return f"/?{urlencode({'q': line})}" if line else "/"


def search_page() -> Page:
    """The search page, which is the one without a path."""
    import streamlit as st

    from ui import strings
    from ui.pages import search

    return st.Page(search.page, title=strings.SEARCH_PAGE, icon=":material/search:", url_path=SEARCH_PATH, default=True)


def explore_page() -> Page:
    """The page with the maps."""
    import streamlit as st

    from ui import strings
    from ui.pages import explore

    return st.Page(explore.page, title=strings.EXPLORE_PAGE, icon=":material/hub:", url_path=EXPLORE_PATH)


def learn_page() -> Page:
    """The page where the library is taught."""
    import streamlit as st

    from ui import strings
    from ui.pages import learn

    return st.Page(learn.page, title=strings.LEARN_PAGE, icon=":material/school:", url_path=LEARN_PATH)


def library_page() -> Page:
    """The page that runs the library."""
    import streamlit as st

    from ui import strings
    from ui.pages import library

    return st.Page(library.page, title=strings.LIBRARY_PAGE, icon=":material/photo_library:", url_path=LIBRARY_PATH)


def open_search(line: str) -> NoReturn:
    """Go to the search page with that query line; ends the run of the script."""
    import streamlit as st

    st.switch_page(search_page(), query_params={"q": line} if line else None)
