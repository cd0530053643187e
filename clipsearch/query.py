"""What a person asks for, checked: a pure parser, no model and no library needed."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.errors import QueryError


@dataclass(frozen=True)
class Query:
    """A parsed query line.

    Attributes:
        text: the words to look for, white space joined.
    """

    text: str


def parse_query(line: str) -> Query:
    """Parse a query line.

    >>> parse_query("  two dogs \\n playing ")
    Query(text='two dogs playing')

    Raises:
        QueryError: there is nothing to look for.
    """
    text = " ".join(line.split())
    if not text:
        raise QueryError('the query is empty; say what to look for, for example: clipsearch search "a red bicycle"')
    return Query(text=text)


def check_k(k: int) -> int:
    """Return `k`, the number of results wanted.

    Raises:
        QueryError: it is below 1.
    """
    if k < 1:
        raise QueryError(f"k must be at least 1, not {k}")
    return k
