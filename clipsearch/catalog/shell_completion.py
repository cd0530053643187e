"""Reads names for shell completion without SQLAlchemy, which is slow to import; errors yield no names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeAlias

from clipsearch.catalog.sqlite.file import CATALOG_NAME

NameKind: TypeAlias = Literal["saved", "roots", "concepts"]

_STATEMENTS = {
    "saved": "SELECT name FROM saved_searches",
    "roots": "SELECT path FROM roots",
    "concepts": "SELECT name FROM concepts",
}


def names_for_completion(library: Path, kind: NameKind) -> list[str]:
    """Sorted names of saved searches or concepts, or paths of roots, without those that are not UTF-8."""
    try:
        uri = (library / CATALOG_NAME).absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0.2)) as connection:
            names = [str(text) for (text,) in connection.execute(_STATEMENTS[kind])]
    except (sqlite3.Error, OSError, ValueError):
        return []
    return sorted(text for text in names if "//" not in text)
