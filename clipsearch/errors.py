"""Every error clipsearch raises on purpose.

::

    ClipSearchError
    ├── ConfigError            a setting, an option or a folder given by the user is wrong
    ├── ImageReadError         one picture cannot be read (path, reason)
    ├── IndexMismatchError     the library holds another model's vectors than the one asked for
    ├── LibraryError           the library's own files cannot be used (missing, damaged, full disk)
    │   ├── LibraryLockedError     another process is writing (holder)
    │   ├── NoLibraryError         there is none yet
    │   └── SchemaVersionError     written by a newer clipsearch
    ├── ModelError             a model is unknown, unreachable, damaged or fails its parity check
    └── QueryError             the query cannot be answered as asked

The text of each error is one line that a person can act on. Third-party errors are translated where
they appear, with ``raise … from``; nothing below `clipsearch.cli` and `ui` prints or exits.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ClipSearchError",
    "ConfigError",
    "ImageReadError",
    "IndexMismatchError",
    "LibraryError",
    "LibraryLockedError",
    "ModelError",
    "NoLibraryError",
    "QueryError",
    "SchemaVersionError",
]


class ClipSearchError(Exception):
    """Base of every error that clipsearch raises on purpose."""


class ConfigError(ClipSearchError):
    """A setting, an option or a folder given by the user is wrong."""


class ImageReadError(ClipSearchError):
    """One picture cannot be read.

    Attributes:
        path: the file, or ``None`` when the bytes came from elsewhere.
        reason: why, in a few words, without the path.
    """

    def __init__(self, path: Path | None, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot read {path}: {reason}" if path is not None else f"cannot read the image: {reason}")


class IndexMismatchError(ClipSearchError):
    """The library holds another model's vectors than the one asked for."""


class LibraryError(ClipSearchError):
    """The library's own files cannot be used."""


class LibraryLockedError(LibraryError):
    """Another process is writing to the library.

    Attributes:
        holder: who holds the lock, in words ("process 4711 on host, since …"), or ``None`` if unknown.
    """

    def __init__(self, library: Path | str, holder: str | None) -> None:
        self.holder = holder
        who = holder or "another process"
        super().__init__(f"{who} is writing to the library {library}; wait for it to end, or stop it, and try again")


class NoLibraryError(LibraryError):
    """There is no library where one was looked for; indexing makes it."""


class SchemaVersionError(LibraryError):
    """The catalog was written by a newer clipsearch."""


class ModelError(ClipSearchError):
    """A model is unknown, unreachable, damaged or fails its parity check."""


class QueryError(ClipSearchError):
    """The query cannot be answered as asked.

    Attributes:
        line: the query line, or ``None`` when it is not about a part of one.
        position: where in the line, from 0; the text says it as a column, from 1. ``None`` when it is about the whole.
    """

    def __init__(self, reason: str, *, line: str | None = None, position: int | None = None) -> None:
        self.line = line
        self.position = position
        super().__init__(reason if position is None else f"column {position + 1}: {reason}")
