"""Pictures that clients bring: decoded out of harm's way, and searched with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clipsearch.errors import QueryError

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.library import Library


@dataclass(frozen=True)
class Upload:
    """A picture that was brought.

    Attributes:
        content_hash: of its bytes.
        image: as the encoder takes it; ``None`` if the library holds the picture.
    """

    content_hash: str
    image: Image.Image | None


class UploadReader(Protocol):
    """Decodes what clients bring with the guards of indexing; what comes from anywhere may crash a decoder."""

    def read(self, content: bytes, *, name: str, is_known: Callable[[str], bool]) -> Upload:
        """Decode a picture, unless its content is known.

        Args:
            content: the whole file.
            name: that it came with; its ending tells RAW formats apart.
            is_known: whether the content with a hash needs no decoding.

        Raises:
            ImageReadError: it is no picture, is damaged, is too large, or takes too long.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def picture_of_upload(library: Library, reader: UploadReader, content: bytes, *, name: str) -> Image.Image | str:
    """A picture that was brought, as `Library.similar` takes it: by its id if the library holds it.

    Raises:
        ImageReadError: as `UploadReader.read`.
    """
    upload = reader.read(content, name=name, is_known=lambda digest: _holds(library, digest))
    return upload.image if upload.image is not None else f"~#{upload.content_hash}"


def _holds(library: Library, content_hash: str) -> bool:
    try:
        library.picture(content_hash)
    except QueryError:
        return False
    return True
