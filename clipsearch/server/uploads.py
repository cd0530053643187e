"""Uploaded pictures in queries."""

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
    """An uploaded picture for `Library.similar`: its content hash if it is in the library, otherwise decoded.

    Raises:
        ImageReadError: see `UploadReader.read`.
    """
    upload = reader.read(content, name=name, is_known=lambda digest: _has_picture(library, digest))
    return upload.image if upload.image is not None else f"~#{upload.content_hash}"


@contextmanager
def query_with_uploads(
    library: Library, reader: UploadReader, line: str, uploads: Sequence[tuple[str, bytes]]
) -> Iterator[str]:
    """A query line for `Library.search`, with ``~1``, ``~2``… replaced by references to uploaded pictures.

    Pictures that are not in the library are decoded to temporary files.

    Args:
        library: to search.
        reader: decodes uploads.
        line: names each upload at least once, and no other file.
        uploads: file name and content of each upload.

    Raises:
        QueryError: the query is invalid, names another file, or not every upload.
        ImageReadError: see `UploadReader.read`.
    """
    query = parse_query(line)
    numbers = {str(number) for number in range(1, len(uploads) + 1)}
    named = {term.path for term in query.terms if isinstance(term, ImageTerm) and term.path is not None}
    if named != numbers:
        raise QueryError(f"the query must name all uploaded pictures, ~1 to ~{len(uploads)}, and no other file")
    with tempfile.TemporaryDirectory(prefix="clipsearch-") as folder:
        references = {
            str(number): _reference(picture_of_upload(library, reader, content, name=name), Path(folder) / str(number))
            for number, (name, content) in enumerate(uploads, start=1)
        }

        def referred(term: Term) -> Term:
            if isinstance(term, ImageTerm) and term.path is not None:
                return replace(term, reference=references[term.path])
            return term

        yield str(replace(query, terms=tuple(referred(term) for term in query.terms)))


def _reference(picture: Image.Image | str, path: Path) -> str:
    """The reference to a picture in a query."""
    if isinstance(picture, str):
        return picture.removeprefix("~")
    picture.save(path, "PNG", compress_level=1)
    return str(path)


def _has_picture(library: Library, content_hash: str) -> bool:
    try:
        library.browse.picture(content_hash)
    except QueryError:
        return False
    return True
