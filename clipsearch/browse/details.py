"""One picture with all that a library knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import QueryError
from clipsearch.media.metadata.reading import ImageMetadata
from clipsearch.media.thumbnails import existing_thumbnail

__all__ = ["HeldFile", "PictureDetails", "picture_details"]


@dataclass(frozen=True)
class HeldFile:
    """A file that holds a picture.

    Attributes:
        path: where it is, or was when it was indexed.
        online: whether its drive is there now.
        size: in bytes, when it was indexed.
        modified_at: when it had changed last then, with time zone.
    """

    path: Path
    online: bool
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class PictureDetails:
    """What a library knows of one content.

    Attributes:
        content_hash: XXH3-128 of the files' bytes, 32 hex digits.
        files: that hold it, by path; one at least.
        width: as it is looked at, in pixels.
        height: likewise.
        format: Pillow's name, for example ``JPEG``.
        metadata: that it carries.
        tags: that the library gave it, or a person.
        thumbnail: its preview; ``None`` if there is none.
    """

    content_hash: str
    files: tuple[HeldFile, ...]
    width: int
    height: int
    format: str
    metadata: ImageMetadata
    tags: tuple[str, ...] = ()
    thumbnail: Path | None = None

    @property
    def original(self) -> Path | None:
        """A file of it whose drive is there; ``None`` if there is none."""
        return next((file.path for file in self.files if file.online), None)


def picture_details(store: Catalog, content_hash: str) -> PictureDetails:
    """Look a picture up.

    Args:
        store: the catalog.
        content_hash: all 32 hex digits.

    Raises:
        QueryError: no file of the library holds such a picture.
    """
    found = store.overview.picture(content_hash)
    if found is None:
        raise QueryError(f"the library holds no picture #{content_hash[:12]}")
    wanted = {file.root_id for file in found.files}
    online = {root.id for root in store.roots.places() if root.id in wanted and is_online(root)}
    return PictureDetails(
        content_hash=found.content_hash,
        files=tuple(HeldFile(file.path, file.root_id in online, file.size, file.modified_at) for file in found.files),
        width=found.width,
        height=found.height,
        format=found.format,
        metadata=found.metadata,
        tags=tuple(tag.tag for tag in store.tags.of(content_hash)),
        thumbnail=existing_thumbnail(store.directory, content_hash),
    )
