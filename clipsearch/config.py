"""Where things are: the library, the caches and the data that the program ships."""

from __future__ import annotations

import os
from pathlib import Path

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"


def default_library_dir() -> Path:
    """The library used when none is named: ``$CLIPSEARCH_LIBRARY``, or the user's data directory."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_data_path("clipsearch", appauthor=False) / "library"


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
