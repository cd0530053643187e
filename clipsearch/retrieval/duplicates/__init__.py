"""Finding pictures that a library holds more than once: copies, re-saved versions, crops, turns and edits.

Nothing here touches a file.
"""

from __future__ import annotations

from clipsearch.retrieval.duplicates.search import find_duplicates
from clipsearch.retrieval.duplicates.values import (
    DuplicateFile,
    DuplicateGroup,
    DuplicateKind,
    LibraryContent,
    LibraryFile,
)

__all__ = [
    "DuplicateFile",
    "DuplicateGroup",
    "DuplicateKind",
    "LibraryContent",
    "LibraryFile",
    "find_duplicates",
]
