"""The errors of clipsearch.

::

    ClipSearchError
    ├── ConfigError            a setting, an option or a folder is invalid
    ├── ImageReadError         one picture cannot be read (path, reason)
    ├── IndexMismatchError     the library has embeddings of another model
    ├── LibraryError           the files of the library cannot be used (missing, damaged, disk full)
    │   ├── LibraryLockedError     another process is writing (holder)
    │   ├── NoLibraryError         the library does not exist
    │   └── SchemaVersionError     written by a newer clipsearch
    ├── ModelError             a model is unknown, unreachable, damaged or fails its parity check
    └── QueryError             the query is invalid, or cannot be answered
        ├── EmptyLibraryError      the library has no pictures yet
        └── UnknownTextError       the model knows no word of the query

The text of an error is one line with what the user needs to act. Third-party errors are translated where they occur,
with ``raise … from``; only `clipsearch.cli` and `ui` print or exit.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ClipSearchError",
    "ConfigError",
    "EmptyLibraryError",
    "ImageReadError",
    "IndexMismatchError",
    "LibraryError",
    "LibraryLockedError",
    "ModelError",
    "NoLibraryError",
    "QueryError",
    "SchemaVersionError",
    "UnknownTextError",
]


class ClipSearchError(Exception):
    """Base class of the errors of clipsearch."""


class ConfigError(ClipSearchError):
    """A setting, an option or a folder is invalid."""


class ImageReadError(ClipSearchError):
    """One picture cannot be read.

    Attributes:
        path: the file; ``None`` if the bytes are not from a file.
        reason: the reason, without the path.
    """

    def __init__(self, path: Path | None, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot read {path}: {reason}" if path is not None else f"cannot read the image: {reason}")


class IndexMismatchError(ClipSearchError):
    """The library has embeddings of another model."""


class LibraryError(ClipSearchError):
    """The files of the library cannot be used."""


class LibraryLockedError(LibraryError):
    """Another process is writing to the library.

    Attributes:
        holder: the owner of the lock ("process 4711 on host, since …"); ``None`` if unknown.
    """

    def __init__(self, library: Path | str, holder: str | None) -> None:
        self.holder = holder
        who = holder or "another process"
        super().__init__(
            f"{who} is writing to the library {library}; wait until it has finished, or stop it, and try again"
        )


class NoLibraryError(LibraryError):
    """The library does not exist; indexing creates it."""


class SchemaVersionError(LibraryError):
    """The catalog was written by a newer clipsearch."""


class ModelError(ClipSearchError):
    """A model is unknown, unreachable, damaged or fails its parity check."""


class QueryError(ClipSearchError):
    """The query is invalid, or cannot be answered.

    Attributes:
        line: the query line; ``None`` if the error has no position.
        position: the position in the line, from 0; ``None`` for the whole line. The text has the column, from 1.
    """

    def __init__(self, reason: str, *, line: str | None = None, position: int | None = None) -> None:
        self.line = line
        self.position = position
        super().__init__(reason if position is None else f"column {position + 1}: {reason}")


class UnknownTextError(QueryError):
    """The model knows no word of the query, so that nothing can match."""


class EmptyLibraryError(QueryError):
    """The library has no images yet."""

    def __init__(self) -> None:
        super().__init__("the library has no pictures yet; add some with: clipsearch index FOLDER")
