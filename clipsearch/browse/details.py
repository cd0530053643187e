"""A picture of the library with its files, metadata and tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import QueryError
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.retrieval.source_files import ContentFile


@dataclass(frozen=True)
class PictureFile(ContentFile):
    """A file of a picture: size in bytes and modification time (with time zone) are those when it was indexed."""

    size: int
    modified_at: datetime | None


@dataclass(frozen=True)
class PictureDetails:
    """A content of the library.

    Attributes:
        content_hash: XXH3-128 of the files' bytes, 32 hex digits.
        files: files with this content, by path; at least one.
        width: in pixels, after EXIF rotation.
        height: in pixels, after EXIF rotation.
        format: Pillow's format name, for example ``JPEG``.
        metadata: read from the file.
        tags: automatic and set by the user.
        place: town, region and country of its coordinates; ``None`` if unknown.
        thumbnail: its preview; ``None`` if there is none.
        lines: of text in it, in reading order.
        duration_s: of a video, in seconds; ``None`` for a photo.
        frame_rate: of a video, in frames per second, if known.
        codec: of a video.
    """

    content_hash: str
    files: tuple[PictureFile, ...]
    width: int
    height: int
    format: str
    metadata: ImageMetadata
    tags: tuple[str, ...] = ()
    place: str | None = None
    thumbnail: Path | None = None
    lines: tuple[OcrLine, ...] = ()
    duration_s: float | None = None
    frame_rate: float | None = None
    codec: str | None = None

    @property
    def original(self) -> Path | None:
        """The first file that is online; ``None`` if there is none."""
        return next((file.path for file in self.files if file.online), None)


def picture_details(store: Catalog, content_hash: str) -> PictureDetails:
    """See `Library.browse.picture`."""
    record = store.overview.picture(content_hash)
    if record is None:
        raise QueryError(f"the library has no picture #{content_hash[:12]}")
    root_ids = {file.root_id for file in record.files}
    online = {root.id for root in store.roots.places() if root.id in root_ids and is_online(root)}
    return PictureDetails(
        content_hash=content_hash,
        files=tuple(
            PictureFile(file.path, content_hash, file.root_id in online, file.size, file.modified_at)
            for file in record.files
        ),
        width=record.width,
        height=record.height,
        format=record.format,
        metadata=record.metadata,
        tags=tuple(tag.tag for tag in store.tags.of(content_hash)),
        place=record.place,
        thumbnail=existing_thumbnail(store.directory, content_hash),
        lines=store.full_text.originals([content_hash])[content_hash].lines,
        duration_s=record.duration_ms / 1000 if record.duration_ms is not None else None,
        frame_rate=record.frame_rate,
        codec=record.codec,
    )
