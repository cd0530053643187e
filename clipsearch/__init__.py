"""clipsearch: semantic search over your own images, by words or by picture, locally and privately.

The names below load on first use, so that ``import clipsearch`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clipsearch._version import __version__ as __version__

if TYPE_CHECKING:
    from clipsearch.catalog.reports import IndexReport, LibraryStatus
    from clipsearch.errors import (
        ClipSearchError,
        ConfigError,
        EmptyLibraryError,
        ImageReadError,
        IndexMismatchError,
        LibraryError,
        LibraryLockedError,
        ModelError,
        NoLibraryError,
        QueryError,
        SchemaVersionError,
    )
    from clipsearch.library import Library
    from clipsearch.media.box import Box
    from clipsearch.retrieval.results import SearchOptions, SearchResult
    from clipsearch.retrieval.saliency import Explanation

__all__ = [
    "Box",
    "ClipSearchError",
    "ConfigError",
    "EmptyLibraryError",
    "Explanation",
    "ImageReadError",
    "IndexMismatchError",
    "IndexReport",
    "Library",
    "LibraryError",
    "LibraryLockedError",
    "LibraryStatus",
    "ModelError",
    "NoLibraryError",
    "QueryError",
    "SchemaVersionError",
    "SearchOptions",
    "SearchResult",
]

_ELSEWHERE = {
    "Box": "clipsearch.media.box",
    "Explanation": "clipsearch.retrieval.saliency",
    "IndexReport": "clipsearch.catalog.reports",
    "Library": "clipsearch.library",
    "LibraryStatus": "clipsearch.catalog.reports",
    "SearchOptions": "clipsearch.retrieval.results",
    "SearchResult": "clipsearch.retrieval.results",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "clipsearch.errors")), name)
