"""Pictures that clients bring, and what decodes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


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
            name: that it came with; its suffix distinguishes RAW formats.
            is_known: whether the content with a hash needs no decoding.

        Raises:
            ImageReadError: it is no picture, is damaged, is too large, or takes too long.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
