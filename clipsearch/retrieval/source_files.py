"""Read indexed pictures from any of their files, or from the preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import ImageReadError
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.retrieval.results import SearchResult

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.media.loading import MediaFile


@dataclass(frozen=True)
class ContentFile:
    """A file with a content as indexed, and whether its drive is connected."""

    path: Path
    content_hash: str
    online: bool

    def open(self) -> MediaFile:
        """The file, read unless it is a video; whether a video has changed is not checked, as that takes long.

        Raises:
            ImageReadError: the file cannot be read or has changed.
        """
        from clipsearch.media.loading import open_media

        if not self.online:
            raise ImageReadError(self.path, "its drive is not connected")
        file = open_media(self.path)
        if file.content is not None and file.content_hash != self.content_hash:
            raise ImageReadError(self.path, "it has changed since it was indexed; index its folder again")
        return file


def files_of_result(result: SearchResult) -> list[ContentFile]:
    """The files with a result's content; copies are assumed to be online."""
    first = ContentFile(result.path, result.content_hash, result.online)
    return [first, *(ContentFile(path, result.content_hash, online=True) for path in result.copies)]


def files_of_content(catalog: LazyCatalog, files: Sequence[FoundFile]) -> list[ContentFile]:
    """Files of the catalog, with their online state."""
    online = {root.id for root in catalog.root_places() if is_online(root)}
    return [ContentFile(file.path, file.content_hash, file.root_id in online) for file in files]


def open_original(files: Sequence[ContentFile]) -> MediaFile:
    """The first file of a content that can be read and has not changed.

    Raises:
        ImageReadError: none can be read; about the first one.
    """
    first_error: ImageReadError | None = None
    for file in files:
        try:
            return file.open()
        except ImageReadError as error:
            first_error = first_error or error
    raise first_error or ImageReadError(None, "it is in no file of the library any more")


def load_original(
    library: Path, files: Sequence[ContentFile], *, min_side: int, at_s: float | None = None
) -> tuple[Image.Image, bool]:
    """Decode a picture, or its preview if no file can be read.

    Args:
        library: directory of the library.
        files: the picture's files.
        min_side: see `decode_image`.
        at_s: time of a video's frame, in seconds; ``None`` for its cover.

    Returns:
        RGB, upright; and whether it is the preview.

    Raises:
        ImageReadError: there is neither; about the first file.
    """
    try:
        return open_original(files).picture(min_side=min_side, at_s=at_s), False
    except ImageReadError:
        preview = existing_thumbnail(library, files[0].content_hash) if files else None
        if preview is None:
            raise
        from clipsearch.media.decoding import load_image

        return load_image(preview).image, True
