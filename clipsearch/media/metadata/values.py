"""What is known of a picture besides its pixels, and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple


class Source(StrEnum):
    """Where a date or a position comes from; `clipsearch.media.metadata.sources` says which goes first."""

    SIDECAR = "sidecar"
    """An XMP file beside the picture."""

    EXIF = "exif"
    IPTC = "iptc"
    XMP = "xmp"

    PNG = "png"
    """A text chunk of a PNG."""

    CONTAINER = "container"
    """A tag of a video's container."""

    TAKEOUT = "takeout"
    """A JSON file of Google Takeout beside the picture."""

    NAME = "name"
    """The file's name."""


class Precision(StrEnum):
    """How much of a date is known where the day is not; the date is the first of that period."""

    YEAR = "year"
    MONTH = "month"


class Meaning(IntEnum):
    """What a date says, the most telling first."""

    TAKEN = 0
    DIGITIZED = 1

    WRITTEN = 2
    """When a camera wrote the file, or had a fix."""


class DateClaim(NamedTuple):
    """A date that a picture may have been taken on; see `ImageMetadata`."""

    at: datetime
    offset_min: int | None
    precision: Precision | None
    source: Source
    meaning: Meaning


class Position(NamedTuple):
    """Where a picture was taken; see `ImageMetadata`."""

    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None


NOWHERE = Position()


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of one content; what is absent or makes no sense is ``None``.

    Attributes:
        taken_at: date and time on the camera's clock when the picture was taken, without a time zone.
        taken_offset_min: that clock's offset from UTC in minutes, where the source has it.
        taken_precision: how much of the date is known; ``None`` where the day is.
        taken_source: where the date comes from; ``None`` without one.
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
        position_source: where the three come from; ``None`` without latitude and longitude.
        orientation: EXIF orientation as stored, 1 to 8.
        title: of XMP, IPTC, EXIF or a PNG's text; like the caption at most 2,000 characters, in Unicode's form NFC.
        caption: description in one of these.
        rating: 0 to 5 stars, -1 for rejected.
        keywords: of the first source that has any, without repeats, in their order; at most 200, in form NFC.
    """

    taken_at: datetime | None = None
    taken_offset_min: int | None = None
    taken_precision: Precision | None = None
    taken_source: Source | None = None
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
    position_source: Source | None = None
    orientation: int | None = None
    title: str | None = None
    caption: str | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()


_NAMES = frozenset(field.name for field in fields(ImageMetadata))


def metadata_from_fields(values: Mapping[str, Any]) -> ImageMetadata:
    """Metadata from values by name, those of `plain_fields` included; values of other names are passed over.

    Raises:
        ValueError: a date, a precision or a source is none.
    """
    known = {name: value for name, value in values.items() if name in _NAMES and value is not None}
    if isinstance(known.get("taken_at"), str):
        known["taken_at"] = datetime.fromisoformat(known["taken_at"])
    for name, kind in (("taken_source", Source), ("position_source", Source), ("taken_precision", Precision)):
        if name in known:
            known[name] = kind(known[name])
    known["keywords"] = tuple(known.get("keywords", ()))
    return ImageMetadata(**known)


def plain_fields(metadata: ImageMetadata) -> dict[str, Any]:
    """Everything that is known, by name, as JSON has it."""
    known = {name: value for name, value in vars(metadata).items() if value not in (None, ())}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}


def date_text(at: datetime, precision: str | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A date as it is shown: no more of it than is known.

    >>> date_text(datetime(1987, 5, 1), Precision.MONTH), date_text(datetime(1987, 5, 1), None)
    ('1987-05', '1987-05-01 00:00')
    """
    return at.strftime(form if precision is None else "%Y-%m" if precision == Precision.MONTH else "%Y")
