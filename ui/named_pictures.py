"""Pictures that visitors name by their path: any of this machine, or only what the library holds.

Whoever sits at this machine can read their own files anyway. Where a token lets others in, a path that a visitor types
must not have any file of the server read: then it is looked up in the catalog, and nothing else is said of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clipsearch.errors import QueryError
from clipsearch.query import ImageTerm, Query, Term, parse_query
from ui import strings
from ui.shared import library, reads_any_picture, remote_library


def admitted(query: Query) -> Query:
    """The query with only such pictures as may be looked at.

    Raises:
        QueryError: it names another one.
    """
    return query if reads_any_picture() else replace(query, terms=tuple(_admitted(term) for term in query.terms))


def admitted_line(line: str) -> str:
    """A query line with only such pictures as may be looked at.

    Raises:
        QueryError: it names another one, or is wrong.
    """
    return line if reads_any_picture() or not line.strip() else str(admitted(parse_query(line)))


def admitted_picture(name: str) -> str:
    """A picture, by its path or by ``~#`` and digits, if it may be looked at.

    Raises:
        QueryError: it may not.
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
        content_hash = library().browse.content_at(Path(path).expanduser()) if remote_library() is None else None
    except (RuntimeError, ValueError, OSError):  # a home that nobody has, a name that no file can have
        content_hash = None
    if content_hash is None:
        raise QueryError(strings.NOT_A_PICTURE_OF_THE_LIBRARY.format(path=path))
    return content_hash
