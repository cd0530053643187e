"""GPS positions of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.filters import EARTH_RADIUS_M
from clipsearch.query import Near

_MIN_RADIUS_KM = 0.5
_DECIMALS = 4
"""Decimals of degrees; 11 m."""


@dataclass(frozen=True)
class PicturePlaces:
    """GPS positions of pictures.

    Attributes:
        content_hashes: of the pictures, bytes of 32 hex digits, [n].
        places: latitude and longitude in degrees, float64 [n, 2].
        names: town, region and country of each, empty where unknown, [n].
    """

    content_hashes: NDArray[np.bytes_]
    places: NDArray[np.float64]
    names: Sequence[str]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.places)

    def spots(self, *, step: float) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
        """Cluster the positions by a grid.

        Args:
            step: size of the grid cells, in degrees.

        Returns:
            Mean position of the pictures of each spot, float64 [spots, 2]; their number, int64 [spots]; and the name of
            one of them, empty where unknown.
        """
        _, first, spot, counts = np.unique(
            np.floor(self.places / step), axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        spot = spot.reshape(-1)  # numpy 2.0 adds a dimension
        means = [np.bincount(spot, self.places[:, axis], len(counts)) / counts for axis in (0, 1)]
        return np.stack(means, axis=1), counts, [self.names[row] for row in first.tolist()]

    def within(self, south: float, west: float, north: float, east: float) -> PicturePlaces:
        """The pictures in a bounding box, in degrees."""
        latitude, longitude = self.places.T
        inside = (south <= latitude) & (latitude <= north) & (west <= longitude) & (longitude <= east)
        names = [self.names[row] for row in np.flatnonzero(inside).tolist()]
        return PicturePlaces(self.content_hashes[inside], self.places[inside], names)


def circle_around(places: NDArray[np.float64]) -> Near:
    """The circle around the centroid on the globe that contains positions, for ``near:``.

    Args:
        places: latitude and longitude in degrees, float64 [n, 2], n ≥ 1.

    >>> str(circle_around(np.array([[35.0, 25.0], [35.2, 25.0]])))
    '35.1,25,11.2km'
    """
    latitude, longitude = np.radians(places).T
    on_globe = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    x, y, z = on_globe.mean(axis=0)
    latitude_deg = round(math.degrees(math.atan2(z, math.hypot(x, y))), _DECIMALS)
    longitude_deg = round(math.degrees(math.atan2(y, x)), _DECIMALS)
    phi, theta = math.radians(latitude_deg), math.radians(longitude_deg)
    cosines = on_globe @ [math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)]
    # from the chord: the arc cosine is coarse where the distance is small
    chords = np.sqrt((2 - 2 * cosines).clip(0, 4))
    farthest_km = float(2 * np.arcsin(chords.max() / 2)) * EARTH_RADIUS_M / 1000
    radius_km = max(_MIN_RADIUS_KM, math.ceil(10 * farthest_km + 0.1) / 10)
    return Near(latitude_deg, longitude_deg, 1000 * min(radius_km, 20_000.0))
