"""What a picture's own bytes say of it: when, where and with what it was taken, and what people wrote into it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from clipsearch.media.metadata import exif
from clipsearch.media.metadata.cr3 import read_cr3_tags
from clipsearch.media.metadata.iptc import read_iptc
from clipsearch.media.metadata.text import MAX_TEXT, Descriptions, clean_text
from clipsearch.media.metadata.tiff import IPTC, XMP, TiffTags, read_tags
from clipsearch.media.metadata.xmp import read_xmp

if TYPE_CHECKING:
    from PIL import Image

_EXIF_MARK = b"Exif\0\0"
_PHOTOSHOP_IPTC = 0x0404
"""The Photoshop resource that holds IPTC records."""

_TITLE, _CAPTION, _HEIC_ORIENTATION = "Title", "Description", "original_orientation"
_PLAIN_KEYS = frozenset({_TITLE, _CAPTION, _HEIC_ORIENTATION})
"""Under which Pillow hands over single values: a PNG's texts, and pillow-heif's note of what it undid."""


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of one content, from EXIF, IPTC and XMP; what is absent or makes no sense is ``None``.

    Attributes:
        taken_at: date and time on the camera's clock when the picture was taken, without a time zone.
        taken_offset_min: that clock's offset from UTC in minutes, where the file tells.
        camera: make and model in one line, the make not repeated.
        lens: model of the lens.
        focal_length_mm: as set on the lens.
        focal_length_35mm: its equivalent on 35 mm film.
        f_number: aperture.
        exposure_s: exposure time in seconds.
        iso: sensitivity.
        latitude: degrees north, -90 to 90.
        longitude: degrees east, -180 to 180.
        altitude_m: above sea level, in metres.
        orientation: EXIF orientation as stored, 1 to 8.
        title: of XMP, IPTC, EXIF or a PNG's text; like the caption at most 2,000 characters.
        caption: description in one of these.
        rating: 0 to 5 stars, -1 for rejected.
        keywords: of the first of XMP, IPTC and EXIF that has any, without repeats, in their order; at most 200.
    """

    taken_at: datetime | None = None
    taken_offset_min: int | None = None
    camera: str | None = None
    lens: str | None = None
    focal_length_mm: float | None = None
    focal_length_35mm: float | None = None
    f_number: float | None = None
    exposure_s: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    orientation: int | None = None
    title: str | None = None
    caption: str | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()


def read_metadata(opened: Image.Image) -> ImageMetadata:
    """Read what a picture's file says of it; malformed parts are left out, and nothing raises.

    Args:
        opened: as `PIL.Image.open` returned it. A TIFF must not have been loaded yet (Pillow closes it then), a
            PNG must have been (its metadata may come after its pixels); for the rest it makes no difference.
    """
    info = opened.info
    if opened.format == "TIFF":
        file: BinaryIO | None = getattr(opened, "fp", None)
        tags = TiffTags() if file is None else read_tags(file)
    else:
        tags = _exif_tags(info)
    photoshop = info.get("photoshop")
    iptc = photoshop.get(_PHOTOSHOP_IPTC) if isinstance(photoshop, dict) else None
    return _combine(tags, iptc, info.get("xmp") or info.get("XML:com.adobe.xmp"), info)


def read_raw_metadata(content: bytes) -> ImageMetadata | None:
    """Read the metadata of a RAW file that is TIFF at heart, as most are, or a CR3; ``None`` for the others.

    Args:
        content: the whole file.
    """
    tags = read_cr3_tags(content) or read_tags(io.BytesIO(content))
    return _combine(tags, None, None, {}) if tags.image else None


def _exif_tags(info: dict[Any, Any]) -> TiffTags:
    block = info.get("exif")
    if block is None and isinstance(profile := info.get("Raw profile type exif"), str):  # ImageMagick's PNGs
        try:
            block = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            return TiffTags()
    if not isinstance(block, bytes):
        return TiffTags()
    # some write the mark twice
    return read_tags(io.BytesIO(block.removeprefix(_EXIF_MARK).removeprefix(_EXIF_MARK)))


def _combine(tags: TiffTags, iptc: Any, xmp: Any, info: dict[Any, Any]) -> ImageMetadata:
    """Choose between what several containers say: XMP before IPTC before EXIF before a PNG's text.

    The first source that has a property gives all of it; keywords of several are not mixed. EXIF comes late
    because cameras put placeholders there, people and photo programs write the other two.

    Source: Metadata Working Group, Guidelines for Handling Image Metadata 2.0, section 5, for which fields of
    the three hold the same property.
    """
    iptc, xmp = iptc or tags.image.get(IPTC), xmp or tags.image.get(XMP)
    if not (iptc or xmp or tags.image or info.keys() & _PLAIN_KEYS):
        return ImageMetadata()
    xmp = xmp.encode("utf-8", errors="ignore") if isinstance(xmp, str) else xmp
    from_xmp = read_xmp(xmp) if isinstance(xmp, bytes) else Descriptions()
    from_iptc = read_iptc(iptc) if isinstance(iptc, bytes) else Descriptions()
    written = (from_xmp, from_iptc, exif.descriptions(tags), _text_chunks(info))
    taken_at, taken_offset_min = exif.taken(tags)
    position = exif.position(tags)
    return ImageMetadata(
        taken_at=taken_at,
        taken_offset_min=taken_offset_min,
        camera=exif.camera(tags),
        lens=exif.lens(tags) or from_xmp.lens,
        focal_length_mm=exif.focal_length_mm(tags),
        focal_length_35mm=exif.focal_length_35mm(tags),
        f_number=exif.f_number(tags),
        exposure_s=exif.exposure_s(tags),
        iso=exif.iso(tags),
        latitude=position.latitude,
        longitude=position.longitude,
        altitude_m=position.altitude_m,
        orientation=_stored_orientation(info) or exif.orientation(tags) or from_xmp.orientation,
        title=next((source.title for source in written if source.title), None),
        caption=next((source.caption for source in written if source.caption), None),
        rating=next((source.rating for source in written if source.rating is not None), None),
        keywords=next((source.keywords for source in written if source.keywords), ()),
    )


def _stored_orientation(info: dict[Any, Any]) -> int | None:
    """What a HEIC said before pillow-heif turned the picture upright and set the tag to 1."""
    found = info.get(_HEIC_ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else None


def _text_chunks(info: dict[Any, Any]) -> Descriptions:
    """Title and description of a PNG, under the keywords that its standard gives them."""
    title, caption = (info.get(key) for key in (_TITLE, _CAPTION))
    return Descriptions(
        title=clean_text(title, limit=MAX_TEXT) if isinstance(title, str) else None,
        caption=clean_text(caption, limit=MAX_TEXT) if isinstance(caption, str) else None,
    )
