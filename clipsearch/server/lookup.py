"""Looking up what requests name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from clipsearch.errors import QueryError

if TYPE_CHECKING:
    from clipsearch.browse.details import PictureDetails
    from clipsearch.library import Library


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
