"""References to pictures in queries, and their embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import QueryError
from clipsearch.query import BadValueError, ImageTerm, read_reference

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.catalog.catalog import Catalog

Picture: TypeAlias = "Path | str | Image.Image"
"""A file, its path, ``~#`` and the first digits of a content hash, or a Pillow image."""


def embedding_starting(store: Catalog, model: ModelRecord, digits: str) -> tuple[int, NDArray[np.float32]]:
    """Id and embedding, float32 [dim], of the content whose hash has a prefix.

    Raises:
        QueryError: there is none, or more than one.
    """
    matches = store.by_hash_prefix(digits, model.id)
    if len(matches) != 1:
        what = "more than one picture" if matches else "no picture"
        raise QueryError(f"{what} of the library has a content hash that begins with {digits}")
    row_id, embedding = matches[0]
    return row_id, embedding.astype(np.float32)


def picture_term(text: str) -> ImageTerm:
    """Parse a reference: ``~#`` or ``#`` and the first digits of a content hash, otherwise a file.

    Raises:
        QueryError: the digits are no content hash.
    """
    try:
        return ImageTerm(read_reference(text[1:] if text.startswith("~#") else text))
    except BadValueError as error:
        raise QueryError(str(error)) from error
