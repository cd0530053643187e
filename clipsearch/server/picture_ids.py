"""How clients name pictures: by content hash, never by a path that is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from clipsearch.errors import QueryError
from clipsearch.query import ImageTerm, Query, parse_query

if TYPE_CHECKING:
    from clipsearch.browse.details import PictureDetails
    from clipsearch.library import Library

CONTENT_HASH = re.compile("[0-9a-f]{32}")
"""What names a picture, and nothing else does: no path ever reaches the disk."""

_FOR_EVER = "private, max-age=31536000, immutable"
"""What an address stands for never changes: it is named by its content."""

_AT_ONCE_STALE = "private, no-cache"
"""For what is only shown until the picture itself can be read again."""


def cache_control(*, may_change: bool) -> str:
    """How a picture may be kept.

    Args:
        may_change: a small preview stands in for it, until its drive is there again.
    """
    return _AT_ONCE_STALE if may_change else _FOR_EVER


def not_found() -> HTTPException:
    """What is raised when the library holds no such picture, or has no such search."""
    return HTTPException(404, "the library holds nothing of that name")


def details(library: Library, content_hash: str) -> PictureDetails:
    """All that the library knows of a picture.

    Raises:
        HTTPException: it holds no such picture.
    """
    try:
        return library.browse.picture(content_hash)
    except QueryError as error:
        raise not_found() from error


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
