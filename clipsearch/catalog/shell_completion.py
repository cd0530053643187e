"""A look into a catalog by the standard library alone, for shell completion, where SQLAlchemy takes too long to load.

Nothing else reads the catalog this way. What cannot be read is nothing: a completion is no place for an error.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeAlias

from clipsearch.catalog.sqlite.file import CATALOG_NAME

Glanced: TypeAlias = Literal["saved", "roots", "concepts"]

_STATEMENTS = {
    "saved": "SELECT name FROM saved_searches",
    "roots": "SELECT path FROM roots",
    "concepts": "SELECT name FROM concepts",
}


def glance(library: Path, what: Glanced) -> list[str]:
    """Names of the saved searches or concepts, or paths of the roots, in order; those not UTF-8 are left out."""
    try:
        uri = (library / CATALOG_NAME).absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0.2)) as connection:
            found = [str(text) for (text,) in connection.execute(_STATEMENTS[what])]
    except (sqlite3.Error, OSError, ValueError):
        return []
    return sorted(text for text in found if "//" not in text)
