"""What all sessions of the page share: one library, opened when it is first needed, with its encoder and its index."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import cache_dir, default_library_dir
from clipsearch.store.catalog import CATALOG_NAME

if TYPE_CHECKING:
    from clipsearch.encoders.base import Encoder
    from clipsearch.library import Library

logger = logging.getLogger(__name__)

DEMO_MODEL = "mini"


@dataclass
class _Shared:
    """The state of the process; sessions are threads of it."""

    path: Path | None = None
    encoder: Encoder | None = None
    reads_any_picture: bool = True
    in_demo: bool = False
    libraries: dict[Path, Library] = field(default_factory=dict)
    filled: set[Path] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


_shared = _Shared()


def configure(path: Path | None = None, *, encoder: Encoder | None = None, reads_any_picture: bool = True) -> None:
    """Say which library is shown, and close those that were.

    Args:
        path: its directory, there or not; by default the user's own.
        encoder: use this one instead of loading the library's by name.
        reads_any_picture: whether visitors may name pictures of this machine by their path that are in no library.
    """
    close()
    with _shared.lock:
        _shared.path, _shared.encoder, _shared.in_demo = path, encoder, False
        _shared.reads_any_picture = reads_any_picture
        _shared.filled.clear()


def close() -> None:
    """Close every library that was opened."""
    with _shared.lock:
        libraries = list(_shared.libraries.values())
        _shared.libraries.clear()
    for library in libraries:
        library.close()


def own_library_path() -> Path:
    """The directory of the user's own library, whether the demo is shown or not."""
    return (_shared.path or default_library_dir()).expanduser().absolute()


def library_path() -> Path:
    """The directory of the library that is shown, there or not."""
    return demo_dir() / "library" if _shared.in_demo else own_library_path()


def reads_any_picture() -> bool:
    """Whether visitors may name pictures of this machine by their path that are in no library."""
    return _shared.reads_any_picture


def library_exists() -> bool:
    """Whether there is a library to show."""
    return (library_path() / CATALOG_NAME).is_file()


def library() -> Library:
    """The library that is shown: one for all sessions, safe to use from their threads.

    Raises:
        LibraryError: there is none, or its catalog is damaged.
        SchemaVersionError: a newer clipsearch wrote it.
    """
    path = library_path()
    with _shared.lock:
        if path not in _shared.libraries:
            _shared.libraries[path] = open_library(notify=logger.info)
        return _shared.libraries[path]


def open_library(*, notify: Callable[[str], None], create: bool = False) -> Library:
    """Open the library that is shown once more, for work in the background; to be closed by the caller.

    The model is loaded once for both, unless a search loads it while the work is under way.

    Args:
        notify: told in one line what a person should know.
        create: make it if there is none.

    Raises:
        LibraryError: as for `library`.
        SchemaVersionError: as for `library`.
    """
    from clipsearch.library import Library

    path, model = library_path(), DEMO_MODEL if _shared.in_demo else None
    there = _shared.libraries.get(path)
    encoder = _shared.encoder or (there.encoder_at_hand if there is not None else None)
    with _shared.lock if create else nullcontext():  # so that no session finds it half made
        return Library.open(path, model=model, create=create, encoder=encoder, notify=notify)


def has_pictures() -> bool:
    """Whether there is a library with anything in it to search."""
    path = library_path()
    if path not in _shared.filled and library_exists() and any(root.files for root in library().roots()):
        _shared.filled.add(path)
    return path in _shared.filled


def demo_dir() -> Path:
    """Where the demo's photographs and its library are kept; everything in it can be made again."""
    return cache_dir() / "demo"


def in_demo() -> bool:
    """Whether the demo's library is shown instead of the user's own."""
    return _shared.in_demo


def show_demo(shown: bool) -> None:
    """Show the demo's library, or the user's own again; both stay open, as sessions may be at work with them."""
    with _shared.lock:
        _shared.in_demo = shown
