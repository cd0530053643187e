"""The coast lines of the world, coarse, for maps that need no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from clipsearch.config import data_dir

LAND_FILE = "world/land.geojson"

_HALF_TURN = 180


@dataclass(frozen=True)
class WorldOutline:
    """Lines over longitude and latitude, one after the other, with a ``None`` between two.

    Attributes:
        longitudes: degrees east, -180 to 180.
        latitudes: degrees north, -90 to 90; of the same length, with the same gaps.
    """

    longitudes: tuple[float | None, ...]
    latitudes: tuple[float | None, ...]


@cache
def world_outline() -> WorldOutline:
    """The outline of the land that the program ships."""
    land = json.loads((data_dir() / LAND_FILE).read_text(encoding="utf-8"))
    longitudes: list[float | None] = []
    latitudes: list[float | None] = []
    for polygon in land["coordinates"]:
        for ring in polygon:
            last = ring[0][0]
            for longitude, latitude in ring:
                if abs(longitude - last) > _HALF_TURN:  # over the date line: not drawn back across the map
                    longitudes.append(None)
                    latitudes.append(None)
                longitudes.append(longitude)
                latitudes.append(latitude)
                last = longitude
            longitudes.append(None)
            latitudes.append(None)
    return WorldOutline(tuple(longitudes[:-1]), tuple(latitudes[:-1]))
