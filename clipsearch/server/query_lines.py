"""What queries of others may name."""

from __future__ import annotations

from clipsearch.errors import QueryError
from clipsearch.query import ImageTerm, Query, parse_query


def without_paths(line: str) -> Query:
    """Parse a query line of somebody who is not to have files of this machine read.

    Raises:
        QueryError: the line is wrong, or names a picture by its path.
    """
    query = parse_query(line)
    if any(isinstance(term, ImageTerm) and term.path is not None for term in query.terms):
        raise QueryError(
            "no files are read for queries here; name a picture of the library by ~# and the first digits of its "
            "content hash"
        )
    return query
