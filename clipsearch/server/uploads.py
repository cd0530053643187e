"""Queries that name pictures which clients bring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import QueryError
from clipsearch.media.uploads import UploadReader
from clipsearch.query import ImageTerm, Term, parse_query

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.library import Library


def picture_of_upload(library: Library, reader: UploadReader, content: bytes, *, name: str) -> Image.Image | str:
    """A picture that was brought, as `Library.similar` takes it: by its id if the library holds it.

    Raises:
        ImageReadError: as `UploadReader.read`.
    """
    upload = reader.read(content, name=name, is_known=lambda digest: _holds(library, digest))
    return upload.image if upload.image is not None else f"~#{upload.content_hash}"


@contextmanager
def query_with_uploads(
    library: Library, reader: UploadReader, line: str, brought: Sequence[tuple[str, bytes]]
) -> Iterator[str]:
    """A query line in which ``~1``, ``~2`` and so on are pictures that were brought, as `Library.search` takes it.

    What the library does not hold is kept as decoded pixels, in files that are gone afterwards.

    Args:
        library: that is searched.
        reader: decodes.
        line: names each picture once at least, and no other file.
        brought: the name that each came with, and its content.

    Raises:
        QueryError: the line is wrong, names another file, or not every picture.
        ImageReadError: as `UploadReader.read`.
    """
    query = parse_query(line)
    numbers = {str(number) for number in range(1, len(brought) + 1)}
    named = {term.path for term in query.terms if isinstance(term, ImageTerm) and term.path is not None}
    if named != numbers:
        raise QueryError(
            f"the query names the pictures that come with it by ~1 to ~{len(brought)}, each of them, and no other file"
        )
    with tempfile.TemporaryDirectory(prefix="clipsearch-") as folder:
        references = {
            str(number): _reference(picture_of_upload(library, reader, content, name=name), Path(folder) / str(number))
            for number, (name, content) in enumerate(brought, start=1)
        }

        def referred(term: Term) -> Term:
            if isinstance(term, ImageTerm) and term.path is not None:
                return replace(term, reference=references[term.path])
            return term

        yield str(replace(query, terms=tuple(referred(term) for term in query.terms)))


def _reference(picture: Image.Image | str, path: Path) -> str:
    """What stands for a picture in a query."""
    if isinstance(picture, str):
        return picture.removeprefix("~")
    picture.save(path, "PNG", compress_level=1)
    return str(path)


def _holds(library: Library, content_hash: str) -> bool:
    try:
        library.browse.picture(content_hash)
    except QueryError:
        return False
    return True
