"""The coast lines that the program ships, and how they were made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from clipsearch.browse.places import circle_around
from clipsearch.config import data_dir
from ui.build_world_outline import land_of
from ui.world_map import LAND_FILE, world_outline


def _lines() -> list[list[tuple[float, float]]]:
    outline = world_outline()
    lines: list[list[tuple[float, float]]] = [[]]
    for longitude, latitude in zip(outline.longitudes, outline.latitudes, strict=True):
        if longitude is None or latitude is None:
            assert longitude is latitude, "gaps are at the same places"
            lines.append([])
        else:
            lines[-1].append((longitude, latitude))
    return lines


def test_the_outline_is_on_the_globe_and_small() -> None:
    points = [point for line in _lines() for point in line]
    assert len(points) > 4000
    assert all(-180 <= longitude <= 180 and -90 <= latitude <= 90 for longitude, latitude in points)
    assert (data_dir() / LAND_FILE).stat().st_size < 100_000


def test_no_line_goes_back_across_the_map() -> None:
    """Regression: land over the date line was drawn as lines from one edge of the map to the other."""
    for line in _lines():
        assert all(abs(a[0] - b[0]) <= 180 for a, b in pairwise(line))


@pytest.mark.parametrize(
    ("place", "longitude", "latitude"),
    [
        ("Cape Agulhas", 20.0, -34.8),
        ("Gibraltar", -5.4, 36.1),
        ("Cape York", 142.5, -10.7),
        ("Cape Horn", -67.3, -55.9),
    ],
)
def test_known_capes_are_on_the_coast(place: str, longitude: float, latitude: float) -> None:
    nearest = min(abs(x - longitude) + abs(y - latitude) for line in _lines() for x, y in line)
    assert nearest < 1.2, place


def test_a_topology_becomes_rounded_rings() -> None:
    topology = {
        "transform": {"scale": [0.01, 0.01], "translate": [10, 20]},
        "arcs": [[[0, 0], [1000, 0], [0, 1000]], [[0, 0], [0, 1000], [1000, 0]], [[0, 0], [1, 0], [0, 1], [-1, -1]]],
        "objects": {"land": {"type": "MultiPolygon", "arcs": [[[0, -2]], [[2]]]}},
    }
    square = [(10.0, 20.0), (20.0, 20.0), (20.0, 30.0), (10.0, 30.0), (10.0, 20.0)]
    assert land_of(topology) == {"type": "MultiPolygon", "coordinates": [[square]]}, "tiny islands are omitted"


@pytest.mark.parametrize(
    "places",
    [[[35.0, 25.0], [35.2, 25.4]], [[-17.0, 179.9], [-17.1, -179.9]], [[89.0, 0.0], [89.0, 180.0]], [[1.0, 2.0]]],
)
def test_a_circle_has_all_its_places_in_it_and_is_not_much_larger(places: list[list[float]]) -> None:
    """Also across the date line and at a pole."""
    circle = circle_around(np.array(places))
    phi, theta = np.radians(np.array(places)).T
    middle, meridian = np.radians([circle.latitude, circle.longitude])
    cosines = np.sin(phi) * np.sin(middle) + np.cos(phi) * np.cos(middle) * np.cos(theta - meridian)
    farthest_m = float(np.arccos(cosines.clip(-1, 1)).max()) * 6_371_008.8
    assert farthest_m <= circle.radius_m < farthest_m + 600
