"""Pictures that visitors refer to by path: any file of this machine, or only those of the library.

A user of this machine can read its files anyway. With an access token, others can open the page: a path that they type
is then only looked up in the catalog, so that it cannot be used to read or probe files of the server.
"""

from __future__ import annotations

from dataclasses import replace

from clipsearch.config import typed_path
from clipsearch.errors import QueryError
from clipsearch.query import ImageTerm, Query, Term, parse_query
from ui import strings
from ui.shared import library, reads_any_picture, remote_library


def admitted(query: Query) -> Query:
    """The query, with paths replaced by content hashes where only pictures of the library are allowed.

    Raises:
        QueryError: a picture is not allowed.
    """
    return query if reads_any_picture() else replace(query, terms=tuple(_admitted(term) for term in query.terms))


def admitted_line(line: str) -> str:
    """As `admitted`, for a query line.

    Raises:
        QueryError: a picture is not allowed, or the line is invalid.
    """
    return line if reads_any_picture() or not line.strip() else str(admitted(parse_query(line)))


def admitted_picture(name: str) -> str:
    """As `admitted`, for one path or ``~#`` reference.

    Raises:
        QueryError: the picture is not allowed.
    """
    if reads_any_picture() or name.startswith(("#", "~#")):
        return name
    return f"~#{_content_of(name)}"


def _admitted(term: Term) -> Term:
    if not isinstance(term, ImageTerm) or term.path is None:
        return term
    return replace(term, reference=f"#{_content_of(term.path)}")


def _content_of(path: str) -> str:
    try:
        content_hash = library().browse.content_at(typed_path(path)) if remote_library() is None else None
    except (RuntimeError, ValueError, OSError):  # an unknown home, an impossible file name
        content_hash = None
    if content_hash is None:
        raise QueryError(strings.NOT_A_PICTURE_OF_THE_LIBRARY.format(path=path))
    return content_hash
