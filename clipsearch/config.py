"""Where things are: the library, the caches and the data that the program ships."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from clipsearch.database_url import DatabaseUrl, is_database_url
from clipsearch.errors import ConfigError

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"


LibraryPlace: TypeAlias = Path | DatabaseUrl
"""Where a library is: a directory, or a database."""


def library_place(named: Path | str | DatabaseUrl | None = None) -> LibraryPlace:
    """Where a library is that a person named by a path or an address.

    Args:
        named: by default ``$CLIPSEARCH_LIBRARY``, or the user's data directory.

    Raises:
        ConfigError: it is the address of no database that a library can be in.
    """
    named = named if named is not None else os.environ.get(LIBRARY_VARIABLE) or None
    if named is None:
        import platformdirs

        return platformdirs.user_data_path("clipsearch", appauthor=False) / "library"
    if isinstance(named, str) and is_database_url(named):
        return DatabaseUrl.parse(named)
    return named if isinstance(named, DatabaseUrl) else Path(named).expanduser()


def default_library_dir() -> Path:
    """The directory of the library used when none is named, for what works on directories only.

    Raises:
        ConfigError: ``$CLIPSEARCH_LIBRARY`` names a database.
    """
    place = library_place()
    if not isinstance(place, Path):
        raise ConfigError(f"the library {place} is in a database; name a directory here, with --library DIR")
    return place


def cache_dir() -> Path:
    """Where compiled models are kept: ``$CLIPSEARCH_CACHE``, or the user's cache directory.

    Everything in it can be made again.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("clipsearch", appauthor=False)


def data_dir() -> Path:
    """The data that the program ships: inside the package in a wheel, beside it in a checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "data", package.parent / "data"):
        if (candidate / "models").is_dir():
            return candidate
    raise FileNotFoundError(f"the bundled data is missing from {package}; install clipsearch again")
