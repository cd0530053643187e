"""The pages; importing this package registers them in `ui.navigation`."""

from ui.pages import explore, learn, library, search

__all__ = ["explore", "learn", "library", "search"]
