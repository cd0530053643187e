"""clipsearch: semantic search over your own images, by words or by picture, locally and privately.

The names below load on first use, so that ``import clipsearch`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsearch.boxes import Box
    from clipsearch.errors import (
        ClipSearchError,
        ConfigError,
        ImageReadError,
        IndexMismatchError,
        LibraryError,
        LibraryLockedError,
        ModelError,
        NoLibraryError,
        QueryError,
        SchemaVersionError,
    )
    from clipsearch.explain import Explanation
    from clipsearch.library import Library, SearchResult
    from clipsearch.reports import IndexReport, LibraryStatus

__version__ = "0.1.0"

__all__ = [
    "Box",
    "ClipSearchError",
    "ConfigError",
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
    "SearchResult",
]

_ELSEWHERE = {
    "Box": "clipsearch.crops",
    "Explanation": "clipsearch.explain",
    "IndexReport": "clipsearch.reports",
    "Library": "clipsearch.library",
    "LibraryStatus": "clipsearch.reports",
    "SearchResult": "clipsearch.results",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "clipsearch.errors")), name)
