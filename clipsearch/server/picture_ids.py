"""Picture ids in requests: content hashes, never paths."""

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
"""The only id of a picture: no path of a request reaches the disk."""


def cache_control(*, may_change: bool) -> str:
    """The Cache-Control header of a picture; content-addressed URLs are immutable.

    Args:
        may_change: whether it is a preview in place of an offline picture.
    """
    return "private, no-cache" if may_change else "private, max-age=31536000, immutable"


def not_found() -> HTTPException:
    """The error for an unknown picture or saved search."""
    return HTTPException(404, "not found in the library")


def details(library: Library, content_hash: str) -> PictureDetails:
    """The details of a picture.

    Raises:
        HTTPException: the picture is not in the library.
    """
    try:
        return library.browse.picture(content_hash)
    except QueryError as error:
        raise not_found() from error


def without_paths(line: str) -> Query:
    """Parse a query line that must not name files of this machine.

    Raises:
        QueryError: the query is invalid or names a picture by its path.
    """
    query = parse_query(line)
    if any(isinstance(term, ImageTerm) and term.path is not None for term in query.terms):
        raise QueryError(
            "paths are not accepted in queries; name a picture of the library by ~# and digits of its content hash"
        )
    return query
