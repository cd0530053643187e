"""How a query names a picture that the library holds, and the embedding behind the name."""

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
    """Id and embedding, float32 [dim], of the content of a library whose hash begins so.

    Raises:
        QueryError: there is none, or more than one.
    """
    found = store.by_hash_prefix(digits, model.id)
    if len(found) != 1:
        what = "more than one picture" if found else "no picture"
        raise QueryError(f"{what} of the library has a content hash that begins with {digits}")
    return found[0][0], found[0][1].astype(np.float32)


def picture_term(text: str) -> ImageTerm:
    """What a text names: ``~#`` or ``#`` and digits an earlier result, anything else a file.

    Raises:
        QueryError: it begins as an id does and is none.
    """
    try:
        return ImageTerm(read_reference(text[1:] if text.startswith("~#") else text))
    except BadValueError as error:
        raise QueryError(str(error)) from error
