"""Names of places, from the packages that are installed with the extra."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.media.metadata.gazetteer import Gazetteer, NamedPlace, place_name


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer()


def place_at(gazetteer: Gazetteer, latitude: float, longitude: float) -> NamedPlace:
    (place,) = gazetteer.places_of(np.array([[latitude, longitude]]))
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("latitude", "longitude", "label", "names"),
    [
        (35.34, 25.13, "Irákleion, Crete, Greece", ["Heraklion", "Ηράκλειο", "crete", "Griechenland", "ギリシャ"]),
        # in a part of a city, which is a town of its own
        (48.8584, 2.2945, "Paris, Île-de-France, France", ["paris", "파리", "ile-de-france"]),
        (35.68, 139.76, "Tokyo, Japan", ["東京", "japon", "japan"]),
        (48.137, 11.575, "Munich, Bavaria, Germany", ["münchen", "Munchen", "ドイツ", "almanya"]),
        (-33.857, 151.215, "Sydney, New South Wales, Australia", ["sydney", "australie"]),
        # a village, far from every city
        (46.594, 7.908, "Lauterbrunnen, Bern, Switzerland", ["lauterbrunnen", "schweiz"]),
    ],
)
def test_coordinates_have_the_names_of_town_region_and_country(
    gazetteer: Gazetteer, latitude: float, longitude: float, label: str | None, names: list[str]
) -> None:
    place = place_at(gazetteer, latitude, longitude)
    assert label is None or place.label == label
    assert {place_name(name) for name in names} <= place.names


def test_the_open_sea_has_no_name(gazetteer: Gazetteer) -> None:
    assert gazetteer.places_of(np.array([[0.0, -30.0], [-80.0, 0.0]])) == [None, None]
    assert gazetteer.places_of(np.empty((0, 2))) == []
