"""The metadata of a picture as rows of a table, in plain text."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.browse.details import PictureDetails
from clipsearch.media.metadata.values import ImageMetadata, Source, date_text
from clipsearch.text import clock_time, format_bytes
from ui import strings_search as strings


def picture_facts(details: PictureDetails) -> list[tuple[str, str]]:
    """Labels and values of the known metadata."""
    metadata = details.metadata
    first = details.files[0]
    megapixels = details.width * details.height / 1e6
    rows = [
        ("taken", _with_source(_taken(metadata), metadata.taken_source)),
        ("title", metadata.title or ""),
        ("caption", metadata.caption or ""),
        ("camera", metadata.camera or ""),
        ("lens", metadata.lens or ""),
        ("exposure", ", ".join(_exposure(metadata))),
        ("focal", _focal(metadata)),
        ("iso", str(metadata.iso or "")),
        ("rating", _rating(metadata.rating)),
        ("keywords", ", ".join(metadata.keywords)),
        ("place", details.place or ""),
        ("position", _with_source(place_text(metadata), metadata.position_source)),
        ("altitude", f"{metadata.altitude_m:.0f} m" if metadata.altitude_m is not None else ""),
        ("video", ", ".join(_video(details))),
        ("size", f"{details.width:,} × {details.height:,} ({megapixels:.1f} MP), {details.format}"),
        ("file", format_bytes(first.size)),
        ("changed", f"{first.modified_at.astimezone():%Y-%m-%d %H:%M}" if first.modified_at is not None else ""),
        ("id", f"#{details.content_hash[:12]}"),
    ]
    return [(strings.FACTS[name], value) for name, value in rows if value]


def place_text(metadata: ImageMetadata) -> str:
    """Formatted coordinates; empty if unknown.

    >>> place_text(ImageMetadata(latitude=-33.8568, longitude=151.2153))
    '33.8568° S, 151.2153° E'
    """
    if metadata.latitude is None or metadata.longitude is None:
        return ""
    north, east = "N" if metadata.latitude >= 0 else "S", "E" if metadata.longitude >= 0 else "W"
    return f"{abs(metadata.latitude):.4f}° {north}, {abs(metadata.longitude):.4f}° {east}"


def _with_source(text: str, source: Source | None) -> str:
    return strings.WITH_SOURCE.format(text=text, source=strings.SOURCES[source]) if text and source else text


def _taken(metadata: ImageMetadata) -> str:
    if metadata.taken_at is None:
        return ""
    offset = metadata.taken_offset_min if metadata.taken_precision is None else None
    zone = "" if offset is None else f" (UTC{'+' if offset >= 0 else '−'}{abs(offset) // 60}:{abs(offset) % 60:02})"
    return f"{date_text(metadata.taken_at, metadata.taken_precision)}{zone}"


def _exposure(metadata: ImageMetadata) -> Iterator[str]:
    if metadata.exposure_s:
        seconds = metadata.exposure_s
        yield f"1/{round(1 / seconds)} s" if seconds < 0.4 else f"{seconds:g} s"
    if metadata.f_number:
        yield f"f/{metadata.f_number:g}"


def _video(details: PictureDetails) -> Iterator[str]:
    if details.duration_s is not None:
        yield clock_time(details.duration_s)
        if details.codec:
            yield details.codec
        if details.frame_rate:
            yield strings.FRAME_RATE.format(rate=f"{details.frame_rate:g}")


def _focal(metadata: ImageMetadata) -> str:
    focal, film = metadata.focal_length_mm, metadata.focal_length_35mm
    if focal is None:
        return ""
    if film is None:
        return strings.FOCAL.format(focal=f"{focal:g}")
    return strings.EQUIVALENT.format(focal=f"{focal:g}", film=f"{film:g}")


def _rating(stars: int | None) -> str:
    if stars is None:
        return ""
    return strings.REJECTED if stars < 0 else "★" * stars + "☆" * (5 - stars)
