"""Where the pictures of a library were taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.filters import EARTH_RADIUS_M
from clipsearch.query import Near

_LEAST_RADIUS_KM = 0.5
_DECIMALS = 4
"""Of degrees: 11 m."""


@dataclass(frozen=True)
class PicturePlaces:
    """Places of pictures.

    Attributes:
        content_hashes: of the pictures, bytes of 32 hex digits, [n].
        places: degrees north and degrees east, float64 [n, 2].
    """

    content_hashes: NDArray[np.bytes_]
    places: NDArray[np.float64]

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.places)

    def spots(self, *, step: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The places put together where they are close.

        Args:
            step: side of the squares that make one spot, in degrees.

        Returns:
            The middle of the pictures of each spot, float64 [spots, 2]; and how many these are, int64 [spots].
        """
        _, spot, counts = np.unique(np.floor(self.places / step), axis=0, return_inverse=True, return_counts=True)
        spot = spot.reshape(-1)  # numpy 2.0 gives it another dimension
        means = [np.bincount(spot, self.places[:, axis], len(counts)) / counts for axis in (0, 1)]
        return np.stack(means, axis=1), counts

    def within(self, south: float, west: float, north: float, east: float) -> PicturePlaces:
        """Those between two parallels and two meridians, in degrees."""
        latitude, longitude = self.places.T
        inside = (south <= latitude) & (latitude <= north) & (west <= longitude) & (longitude <= east)
        return PicturePlaces(self.content_hashes[inside], self.places[inside])


def circle_around(places: NDArray[np.float64]) -> Near:
    """A circle that has places in it, for ``near:``; around their middle on the globe, also across the date line.

    Args:
        places: degrees north and degrees east, float64 [n, 2], one at least.

    >>> str(circle_around(np.array([[35.0, 25.0], [35.2, 25.0]])))
    '35.1,25,11.2km'
    """
    latitude, longitude = np.radians(places).T
    on_globe = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    x, y, z = on_globe.mean(axis=0)
    middle = round(math.degrees(math.atan2(z, math.hypot(x, y))), _DECIMALS)
    meridian = round(math.degrees(math.atan2(y, x)), _DECIMALS)
    phi, theta = math.radians(middle), math.radians(meridian)
    cosines = on_globe @ [math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)]
    # from the chord: the arc cosine is coarse where the distance is small
    chords = np.sqrt((2 - 2 * cosines).clip(0, 4))
    farthest_km = float(2 * np.arcsin(chords.max() / 2)) * EARTH_RADIUS_M / 1000
    radius_km = max(_LEAST_RADIUS_KM, math.ceil(10 * farthest_km + 0.1) / 10)
    return Near(middle, meridian, 1000 * min(radius_km, 20_000.0))
