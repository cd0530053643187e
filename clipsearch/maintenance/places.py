"""Naming the places at which pictures were taken."""

from __future__ import annotations

from clipsearch.catalog.catalog import Catalog
from clipsearch.media.metadata.gazetteer import Gazetteer, is_installed

_AT_ONCE = 5_000
"""Contents named in one transaction."""


def name_places(store: Catalog) -> int:
    """Name the places of all contents with coordinates that have no name for them yet.

    Returns:
        How many contents were named; none without the extra ``places``.
    """
    if not is_installed():
        return 0
    gazetteer: Gazetteer | None = None
    named = 0
    while True:
        hashes, coordinates = store.places.unnamed(limit=_AT_ONCE)
        if not hashes:
            return named
        gazetteer = gazetteer or Gazetteer()
        store.places.write(hashes, coordinates, gazetteer.places_of(coordinates))
        named += len(hashes)
