"""The one rule by which a picture's metadata is chosen where several sources have it.

An XMP file beside a picture goes first: a person's program wrote it there instead of into the picture. Then comes what
the picture itself has. Google Takeout's JSON fills what is still unknown, and a date in the file's name comes last. The
time that a file system keeps says when a file was written, never when a picture was taken, and is no source.

Within the picture, a date that says when it was taken goes before one that says when it was digitized, whatever wrote
them; among equals EXIF goes before IPTC before XMP.

Source: Metadata Working Group, Guidelines for Handling Image Metadata 2.0, sections 5.3 and 5.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from clipsearch.media.metadata.dates import is_plausible
from clipsearch.media.metadata.names import date_in_name
from clipsearch.media.metadata.values import NOWHERE, DateClaim, ImageMetadata, Position, Source

_RANK = {source: rank for rank, source in enumerate(Source)}

_NOWHERE_DEGREES = 1e-4
"""So near to 0° north, 0° east lies what devices write that have no fix; about 11 m."""

_RANGES = {
    "taken_offset_min": (-14 * 60, 14 * 60),
    "focal_length_mm": (0.1, 50_000),
    "focal_length_35mm": (0.1, 50_000),
    "f_number": (0.1, 1_000),
    "exposure_s": (1e-7, 1e6),
    "iso": (1, 100_000_000),
    "altitude_m": (-12_000, 100_000),
    "orientation": (1, 8),
    "rating": (-1, 5),
}
"""What numbers of photographs can be; others are what nobody measured."""


def in_range(name: str, value: float | None) -> bool:
    """Whether a number can be the value of that field of `ImageMetadata`; NaN never is."""
    low, high = _RANGES[name]
    return value is not None and low <= value <= high


def best_date(claims: Iterable[DateClaim]) -> DateClaim | None:
    """The date that goes first among those that one picture, or one file beside it, has."""
    return min(claims, key=lambda claim: (claim.meaning, _RANK[claim.source]), default=None)


def checked_position(latitude: float | None, longitude: float | None, altitude_m: float | None = None) -> Position:
    """A position on the globe, or none; the altitude alone may be known.

    Noughts are what devices and programs write that know no position: nobody photographs in the sea at 0° N, 0° E.
    """
    altitude = altitude_m if in_range("altitude_m", altitude_m) else None
    if latitude is None or longitude is None:
        return Position(altitude_m=altitude)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # NaN neither
        return NOWHERE
    if math.hypot(latitude, longitude) < _NOWHERE_DEGREES:
        return NOWHERE
    return Position(round(latitude, 7), round(longitude, 7), altitude)


def merged(
    embedded: ImageMetadata,
    *,
    sidecars: Iterable[ImageMetadata],
    takeouts: Iterable[ImageMetadata],
    names: Iterable[str],
) -> ImageMetadata:
    """What is known of a picture in all.

    Args:
        embedded: what the picture itself has.
        sidecars: XMP files beside files of it, the first one first.
        takeouts: Takeout's JSON, alike.
        names: relative paths of its files.
    """
    known = first_of_each([*sidecars, embedded, *takeouts])
    if known.taken_at is None:
        by_name = next((found for name in names if (found := date_in_name(name)) is not None), None)
        if by_name is not None:
            known = replace(known, taken_at=by_name.at, taken_offset_min=by_name.offset_min, taken_source=Source.NAME)
    return replace(known, orientation=embedded.orientation)  # by which its pixels were turned


def without_nonsense(metadata: ImageMetadata) -> ImageMetadata:
    """Metadata that comes from elsewhere than a file, with the same checks."""
    wrong: list[str] = [name for name in _RANGES if not in_range(name, getattr(metadata, name))]
    offset_min = None if "taken_offset_min" in wrong else metadata.taken_offset_min
    if metadata.taken_at is None or not is_plausible(metadata.taken_at, offset_min, metadata.taken_precision):
        wrong += _OF_DATE
    if checked_position(metadata.latitude, metadata.longitude).latitude is None:
        wrong += _WHERE
    unknown: dict[str, Any] = dict.fromkeys(wrong)
    return replace(metadata, **unknown)


def first_of_each(layers: Sequence[ImageMetadata]) -> ImageMetadata:
    """Of every field the first value that is known; a date and a position each with what belongs to them."""
    values: dict[str, Any] = {
        name: next((value for layer in layers if (value := getattr(layer, name)) != default), default)
        for name, default in _SINGLE.items()
    }
    dated = next((layer for layer in layers if layer.taken_at is not None), _NOTHING)
    placed = next((layer for layer in layers if layer.latitude is not None), None)
    placed = placed or next((layer for layer in layers if layer.altitude_m is not None), _NOTHING)
    values |= {name: getattr(dated, name) for name in _OF_DATE} | {name: getattr(placed, name) for name in _OF_POSITION}
    return ImageMetadata(**values)


_NOTHING = ImageMetadata()
_OF_DATE = ("taken_at", "taken_offset_min", "taken_precision", "taken_source")
_WHERE = ("latitude", "longitude", "position_source")
_OF_POSITION = (*_WHERE, "altitude_m")
_SINGLE = {
    field.name: getattr(_NOTHING, field.name)
    for field in fields(ImageMetadata)
    if field.name not in (*_OF_DATE, *_OF_POSITION)
}
"""Fields that are chosen one by one, with what they are where nothing is known."""
