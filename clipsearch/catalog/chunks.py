"""Splitting of parameter lists, so that statements stay within the databases' limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

CHUNK = 500
"""Items per statement; older versions of SQLite allow 999 parameters."""

_Item = TypeVar("_Item")


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Parts of at most `CHUNK` items."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
