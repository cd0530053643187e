"""What files beside a picture say of it: XMP, and the JSON of Google Takeout."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from clipsearch.media.metadata.sources import best_date, first_of_each
from clipsearch.media.metadata.takeout import read_takeout
from clipsearch.media.metadata.values import ImageMetadata, Source, metadata_from_fields, plain_fields
from clipsearch.media.metadata.xmp import parse_xmp

MAX_SIDECAR_BYTES = 4 * 2**20
"""Larger ones are not read: metadata takes kilobytes, and edits with masks are of no use here."""


@dataclass(frozen=True)
class Beside:
    """What the sidecars of one file say.

    Attributes:
        sidecar: of XMP files, which goes before what the picture itself has.
        takeout: of Takeout's JSON, which goes after it.
    """

    sidecar: ImageMetadata = field(default_factory=ImageMetadata)
    takeout: ImageMetadata = field(default_factory=ImageMetadata)

    def with_file(self, name: str, content: bytes) -> Beside:
        """Add another file, after those that are in it.

        Raises:
            ValueError: it cannot be read; the text says why.
        """
        if name.lower().endswith(".xmp"):
            return Beside(first_of_each([self.sidecar, _read_xmp(content)]), self.takeout)
        return Beside(self.sidecar, first_of_each([self.takeout, read_takeout(content)]))

    def to_json(self) -> str | None:
        """As text for the catalog; ``None`` if there is none."""
        known = {"sidecar": plain_fields(self.sidecar), "takeout": plain_fields(self.takeout)}
        said = {name: values for name, values in known.items() if values}
        return json.dumps(said, ensure_ascii=False) if said else None


def beside_from_json(text: str) -> Beside:
    """What `Beside.to_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        return Beside(**{name: metadata_from_fields(values) for name, values in json.loads(text).items()})
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _read_xmp(content: bytes) -> ImageMetadata:
    said = parse_xmp(content, limit=MAX_SIDECAR_BYTES)
    taken, (latitude, longitude, altitude_m) = best_date(said.dates), said.position
    return ImageMetadata(
        taken_at=taken.at if taken else None,
        taken_offset_min=taken.offset_min if taken else None,
        taken_precision=taken.precision if taken else None,
        taken_source=Source.SIDECAR if taken else None,
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        position_source=Source.SIDECAR if latitude is not None else None,
        lens=said.lens,
        title=said.title,
        caption=said.caption,
        rating=said.rating,
        keywords=said.keywords,
    )
