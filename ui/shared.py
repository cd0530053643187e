"""The library that all sessions share, opened when first needed; or the library of a server."""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace, cache_dir, library_place
from clipsearch.errors import ConfigError, NoLibraryError
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.library_parts.protocol import SearchableLibrary
    from clipsearch.models.encoder import Encoder
    from clipsearch.server.client.library import RemoteLibrary

logger = logging.getLogger(__name__)

DEMO_MODEL = "mini"


@dataclass
class _Shared:
    """The state of the process, in which sessions are threads."""

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
    """Set the library to show, and close the previous one.

    Args:
        place: the library, which need not exist; the default one if ``None``.
        remote: the library of a server to show instead.
        encoder: an encoder to use instead of loading the library's.
        reads_any_picture: whether visitors may refer to any picture of this machine by path.
    """
    close()
    with _shared.lock:
        _shared.place, _shared.remote, _shared.encoder, _shared.in_demo = place, remote, encoder, False
        _shared.reads_any_picture = reads_any_picture
        _shared.filled.clear()


def close() -> None:
    """Close all opened libraries."""
    with _shared.lock:
        opened: list[SearchableLibrary] = [*_shared.libraries.values()]
        if _shared.remote is not None:
            opened.append(_shared.remote)
        _shared.libraries.clear()
    for library in opened:
        library.close()


def own_place() -> LibraryPlace:
    """The user's library, also while the demo is shown."""
    place = library_place(_shared.place)
    return place.absolute() if isinstance(place, Path) else place


def shown_place() -> LibraryPlace:
    """The library that is shown; it need not exist."""
    return demo_dir() / "library" if _shared.in_demo else own_place()


def remote_library() -> RemoteLibrary | None:
    """The library of a server, if it is shown."""
    return _shared.remote


def searchable() -> SearchableLibrary:
    """The library of a server if it is shown, else `library`, with its errors."""
    return _shared.remote or library()


def searchable_name() -> str:
    """An identifier of `searchable`."""
    return _shared.remote.url if _shared.remote is not None else str(library().path)


def reads_any_picture() -> bool:
    """Whether visitors may refer to any picture of this machine by path."""
    return _shared.reads_any_picture


def library_exists() -> bool:
    """Whether there is a library to show.

    Raises:
        LibraryError: its database cannot be reached, or it is damaged.
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
    """Check the connection to a server or database.

    Raises:
        ConfigError: the server rejects the token, or the database driver is not installed.
        LibraryError: the server or the database cannot be reached.
    """
    if _shared.remote is not None:
        _shared.remote.revision()
    else:
        library_exists()


def library() -> Library:
    """The library that is shown, shared by all sessions; thread-safe.

    Raises:
        ConfigError: the library of a server is shown.
        NoLibraryError: it does not exist.
        LibraryError: its catalog is damaged or cannot be reached.
        SchemaVersionError: a newer clipsearch wrote it.
    """
    place = shown_place()
    with _shared.lock:
        if place not in _shared.libraries:
            _shared.libraries[place] = open_library(notify=logger.info)
        return _shared.libraries[place]


def open_library(*, notify: Notify, create: bool = False) -> Library:
    """Open the library that is shown again, for background work; the caller closes it.

    Shares the model if it is loaded already.

    Args:
        notify: callback for one-line user notices.
        create: make the library if there is none.

    Raises:
        ConfigError: as for `library`.
        LibraryError: as for `library`.
        SchemaVersionError: as for `library`.
    """
    from clipsearch.library import Library

    if _shared.remote is not None:
        raise ConfigError(f"this requires a local library; this page shows the library of {_shared.remote.url}")
    place, model = shown_place(), DEMO_MODEL if _shared.in_demo else None
    opened = _shared.libraries.get(place)
    encoder = _shared.encoder or (opened.loaded_encoder if opened is not None else None)
    with _shared.lock if create else nullcontext():  # no session may see a partially created library
        return Library.open(place, model=model, create=create, encoder=encoder, notify=notify)


def has_pictures() -> bool:
    """Whether the library that is shown has pictures."""
    place = shown_place()
    if place not in _shared.filled and library_exists() and any(root.files for root in library().roots.all()):
        _shared.filled.add(place)
    return place in _shared.filled


def demo_dir() -> Path:
    """The cache folder of the demo's photographs and library."""
    return cache_dir() / "demo"


def in_demo() -> bool:
    """Whether the demo library is shown."""
    return _shared.in_demo


def show_demo(shown: bool) -> None:
    """Show the demo library, or the user's again; both stay open, because sessions may use them."""
    with _shared.lock:
        _shared.in_demo = shown
