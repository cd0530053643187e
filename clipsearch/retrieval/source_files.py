"""Pictures that the catalog knows, read from whichever of their files is there, or from their preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import content_hash, decode_image, load_image, read_image_bytes
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.retrieval.results import SearchResult

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class ContentFile:
    """A file that held a content when it was indexed, and whether its drive is there."""

    path: Path
    content_hash: str
    online: bool

    def read(self) -> bytes:
        """The whole file.

        Raises:
            ImageReadError: it cannot be read, or holds something else by now.
        """
        if not self.online:
            raise ImageReadError(self.path, "its drive is not there")
        content = read_image_bytes(self.path)
        if content_hash(content) != self.content_hash:
            raise ImageReadError(self.path, "it has changed since it was indexed; index its folder again")
        return content


def files_of_result(result: SearchResult) -> list[ContentFile]:
    """The files of a result's own content; those of its copies are taken to be there."""
    first = ContentFile(result.path, result.content_hash, result.online)
    return [first, *(ContentFile(path, result.content_hash, online=True) for path in result.copies)]


def files_of_content(catalog: LazyCatalog, files: Sequence[FoundFile]) -> list[ContentFile]:
    """Files as the catalog knows them."""
    online = {root.id for root in catalog.root_places() if is_online(root)}
    return [ContentFile(file.path, file.content_hash, file.root_id in online) for file in files]


def read_original(files: Sequence[ContentFile]) -> tuple[bytes, Path]:
    """Read the first file of a content that is there and still holds it.

    Returns:
        The whole file, and which one it is.

    Raises:
        ImageReadError: none of them can be read; about the first one.
    """
    failed = ImageReadError(None, "no file of the library holds it any more")
    for number, file in enumerate(files):
        try:
            return file.read(), file.path
        except ImageReadError as error:
            failed = error if number == 0 else failed
    raise failed


def load_original(library: Path, files: Sequence[ContentFile], *, min_side: int) -> tuple[Image.Image, bool]:
    """Decode a picture, or its preview where no file of it is there.

    Args:
        library: its directory, where previews are.
        files: that hold the picture.
        min_side: as for `decode_image`.

    Returns:
        RGB, upright; and whether it is the preview.

    Raises:
        ImageReadError: there is neither; about the first file.
    """
    try:
        content, path = read_original(files)
        return decode_image(content, path=path, min_side=min_side).image, False
    except ImageReadError:
        preview = existing_thumbnail(library, files[0].content_hash) if files else None
        if preview is None:
            raise
        return load_image(preview).image, True
