"""What a picture's own bytes say of it: when, where and with what it was taken, and what people wrote into it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from clipsearch.media.metadata import exif
from clipsearch.media.metadata.cr3 import read_cr3_tags
from clipsearch.media.metadata.dates import Moment, is_plausible, read_moment
from clipsearch.media.metadata.iptc import read_iptc
from clipsearch.media.metadata.sources import best_date
from clipsearch.media.metadata.text import MAX_TEXT, Descriptions, clean_text
from clipsearch.media.metadata.tiff import IPTC, XMP, TiffTags, read_tags
from clipsearch.media.metadata.values import DateClaim, ImageMetadata, Meaning, Source
from clipsearch.media.metadata.xmp import joined_extension, read_xmp

if TYPE_CHECKING:
    from PIL import Image

_EXIF_MARK = b"Exif\0\0"
_PHOTOSHOP_IPTC = 0x0404
"""The Photoshop resource that holds IPTC records."""

_TITLE, _CAPTION, _CREATED, _HEIC_ORIENTATION = "Title", "Description", "Creation Time", "original_orientation"
_PLAIN_KEYS = frozenset({_TITLE, _CAPTION, _CREATED, _HEIC_ORIENTATION})
"""Under which Pillow hands over single values: a PNG's texts, and pillow-heif's note of what it undid."""


def read_metadata(opened: Image.Image) -> ImageMetadata:
    """Read what a picture's file says of it; malformed parts are skipped, and nothing raises.

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
    segments = [content for name, content in getattr(opened, "applist", ()) if name == "APP1"]
    return _combine(tags, iptc, info.get("xmp") or info.get("XML:com.adobe.xmp"), info, segments)


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


def _combine(
    tags: TiffTags, iptc: Any, xmp: Any, info: dict[Any, Any], segments: Sequence[bytes] = ()
) -> ImageMetadata:
    """Choose between what several containers say: XMP before IPTC before EXIF before a PNG's text.

    The first source that has a property gives all of it; keywords of several are not mixed. EXIF comes late
    because cameras put placeholders there, people and photo programs write the other two. For dates and positions
    see `clipsearch.media.metadata.sources`.

    Source: Metadata Working Group, Guidelines for Handling Image Metadata 2.0, section 5, for which fields of
    the three hold the same property.
    """
    iptc, xmp = iptc or tags.image.get(IPTC), xmp or tags.image.get(XMP)
    if not (iptc or xmp or tags.image or info.keys() & _PLAIN_KEYS):
        return ImageMetadata()
    xmp = xmp.encode("utf-8", errors="ignore") if isinstance(xmp, str) else xmp
    from_xmp = Descriptions()
    if isinstance(xmp, bytes):
        from_xmp = read_xmp(xmp, extension=joined_extension(xmp, segments))
    from_iptc = read_iptc(iptc) if isinstance(iptc, bytes) else Descriptions()
    written = (from_xmp, from_iptc, exif.descriptions(tags), _text_chunks(info))
    taken = best_date([*exif.dates(tags), *(claim for source in written for claim in source.dates)])
    of_exif = exif.position(tags)
    is_placed = of_exif.latitude is not None or from_xmp.position.latitude is None
    position, source = (of_exif, Source.EXIF) if is_placed else (from_xmp.position, Source.XMP)
    return ImageMetadata(
        taken_at=taken.at if taken else None,
        taken_offset_min=taken.offset_min if taken else None,
        taken_precision=taken.precision if taken else None,
        taken_source=taken.source if taken else None,
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
        position_source=source if position.latitude is not None else None,
        orientation=_stored_orientation(info) or exif.orientation(tags) or from_xmp.orientation,
        title=next((source.title for source in written if source.title), None),
        caption=next((source.caption for source in written if source.caption), None),
        rating=next((source.rating for source in written if source.rating is not None), None),
        keywords=next((source.keywords for source in written if source.keywords), ()),
    )


def _stored_orientation(info: dict[Any, Any]) -> int | None:
    """What a HEIC said before pillow-heif turned the picture upright and set the tag to 1."""
    orientation = info.get(_HEIC_ORIENTATION)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else None


def _text_chunks(info: dict[Any, Any]) -> Descriptions:
    """Title, description and date of a PNG, under the keywords that its standard gives them."""
    title, caption, created = (
        value if isinstance(value, str) else "" for value in map(info.get, (_TITLE, _CAPTION, _CREATED))
    )
    moment = read_moment(created) or _read_mail_date(created)
    return Descriptions(
        title=clean_text(title, limit=MAX_TEXT),
        caption=clean_text(caption, limit=MAX_TEXT),
        dates=(DateClaim(*moment, Source.PNG, Meaning.TAKEN),) if moment is not None else (),
    )


def _read_mail_date(text: str) -> Moment | None:
    """A date in the form of RFC 1123, which PNG recommends: ``Tue, 14 Jul 2021 19:28:37 +0200``."""
    try:
        moment = parsedate_to_datetime(text[:100])
    except (ValueError, TypeError, OverflowError):
        return None
    offset = moment.utcoffset()
    offset_min = round(offset.total_seconds() / 60) if offset is not None else None
    at = moment.replace(tzinfo=None)
    return Moment(at, offset_min) if is_plausible(at, offset_min) else None
