"""What all sessions of the page share: one library, opened when it is first needed, with its encoder and its index.

Or, in the place of one of one's own, the library of a server: what finds and shows pictures then asks that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace, cache_dir, library_place
from clipsearch.errors import ConfigError, NoLibraryError

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.library_parts.protocol import SearchableLibrary
    from clipsearch.models.encoder import Encoder
    from clipsearch.server.client.library import RemoteLibrary

logger = logging.getLogger(__name__)

DEMO_MODEL = "mini"


@dataclass
class _Shared:
    """The state of the process; sessions are threads of it."""

    place: LibraryPlace | None = None
    remote: RemoteLibrary | None = None
    encoder: Encoder | None = None
    reads_any_picture: bool = True
    in_demo: bool = False
    libraries: dict[LibraryPlace, Library] = field(default_factory=dict)
    filled: set[LibraryPlace] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


_shared = _Shared()


def configure(
    place: LibraryPlace | None = None,
    *,
    remote: RemoteLibrary | None = None,
    encoder: Encoder | None = None,
    reads_any_picture: bool = True,
) -> None:
    """Say which library is shown, and close those that were.

    Args:
        place: where it is, there or not; by default the user's own.
        remote: show that of a server instead; closed with the others.
        encoder: use this one instead of loading the library's by name.
        reads_any_picture: whether visitors may name pictures of this machine by their path that are in no library.
    """
    close()
    with _shared.lock:
        _shared.place, _shared.remote, _shared.encoder, _shared.in_demo = place, remote, encoder, False
        _shared.reads_any_picture = reads_any_picture
        _shared.filled.clear()


def close() -> None:
    """Close every library that was opened."""
    with _shared.lock:
        opened: list[SearchableLibrary] = [*_shared.libraries.values()]
        if _shared.remote is not None:
            opened.append(_shared.remote)
        _shared.libraries.clear()
    for library in opened:
        library.close()


def own_place() -> LibraryPlace:
    """Where the user's own library is, whether the demo is shown or not."""
    place = library_place(_shared.place)
    return place.absolute() if isinstance(place, Path) else place


def shown_place() -> LibraryPlace:
    """Where the library that is shown is, there or not."""
    return demo_dir() / "library" if _shared.in_demo else own_place()


def remote_library() -> RemoteLibrary | None:
    """The library of a server, if one is shown."""
    return _shared.remote


def searchable() -> SearchableLibrary:
    """What finds and shows pictures: the library of a server, or else that of `library`, with the same errors."""
    return _shared.remote or library()


def searchable_name() -> str:
    """What tells it from others."""
    return _shared.remote.url if _shared.remote is not None else str(library().path)


def reads_any_picture() -> bool:
    """Whether visitors may name pictures of this machine by their path that are in no library."""
    return _shared.reads_any_picture


def library_exists() -> bool:
    """Whether there is a library to show.

    Raises:
        LibraryError: it is in a database that cannot be reached, or is damaged.
    """
    place = shown_place()
    if isinstance(place, Path):
        return (place / CATALOG_NAME).is_file()
    try:
        library()
    except NoLibraryError:
        return False
    return True


def check_reachable() -> None:
    """Have it told at once when the library is elsewhere and nobody answers there.

    Raises:
        ConfigError: a server wants another token, or what speaks to a database is not installed.
        LibraryError: the server or the database cannot be reached.
    """
    if _shared.remote is not None:
        _shared.remote.revision()
    else:
        library_exists()


def library() -> Library:
    """The library that is shown: one for all sessions, safe to use from their threads.

    Raises:
        ConfigError: a server's is shown.
        NoLibraryError: there is none.
        LibraryError: its catalog is damaged, or cannot be reached.
        SchemaVersionError: a newer clipsearch wrote it.
    """
    place = shown_place()
    with _shared.lock:
        if place not in _shared.libraries:
            _shared.libraries[place] = open_library(notify=logger.info)
        return _shared.libraries[place]


def open_library(*, notify: Callable[[str], None], create: bool = False) -> Library:
    """Open the library that is shown once more, for work in the background; to be closed by the caller.

    The model is loaded once for both, unless a search loads it while the work is under way.

    Args:
        notify: told in one line what a person should know.
        create: make it if there is none.

    Raises:
        ConfigError: as for `library`.
        LibraryError: as for `library`.
        SchemaVersionError: as for `library`.
    """
    from clipsearch.library import Library

    if _shared.remote is not None:
        raise ConfigError(f"this needs a library on this machine; the one that is shown is on {_shared.remote.url}")
    place, model = shown_place(), DEMO_MODEL if _shared.in_demo else None
    there = _shared.libraries.get(place)
    encoder = _shared.encoder or (there.loaded_encoder if there is not None else None)
    with _shared.lock if create else nullcontext():  # so that no session finds it half made
        return Library.open(place, model=model, create=create, encoder=encoder, notify=notify)


def has_pictures() -> bool:
    """Whether there is a library with anything in it to search."""
    place = shown_place()
    if place not in _shared.filled and library_exists() and any(root.files for root in library().roots.all()):
        _shared.filled.add(place)
    return place in _shared.filled


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
