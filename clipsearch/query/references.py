"""How a picture is named: the path of a file, or ``#`` and the first digits of the content hash of a result."""

from __future__ import annotations

import re

from clipsearch.query.values import BadValueError, shown

_CONTENT_ID = re.compile(r"#[0-9a-f]{6,32}", re.IGNORECASE)


def read_reference(text: str) -> str:
    """The reference of an `ImageTerm`: a path as it is, an id in lower case.

    Raises:
        BadValueError: it begins as an id does and is none.

    >>> read_reference("#A1B2C3"), read_reference("./#A1B2C3")
    ('#a1b2c3', './#A1B2C3')
    """
    if not text.startswith("#"):
        return text
    if not _CONTENT_ID.fullmatch(text):
        raise BadValueError(
            f"{shown(text)} is not the id of a result, which has 6 to 32 of the digits 0-9 and a-f; "
            'a file whose name begins so is "./#…"'
        )
    return text.lower()
