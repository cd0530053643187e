"""Pictures in a region of the map, for the filter ``region:``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.browse.embedding_map.files import load_map
from clipsearch.browse.embedding_map.projection import up_to_date
from clipsearch.errors import EmptyLibraryError, QueryError
from clipsearch.query import Region

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog


def contents_in(store: Catalog, region: Region) -> list[str]:
    """The content hashes of the pictures in a region of the saved map, or of a map by PCA if none is saved.

    Raises:
        QueryError: the map was drawn again since the region was chosen, or the library has no images.
    """
    model = store.models.active()
    if model is None:
        raise EmptyLibraryError
    drawn = up_to_date(store, model, load_map(store.directory, model))
    if region.drawing not in ("", drawn.drawing):
        raise QueryError(f"region: the map was drawn again since ({drawn.drawing}); select the region again")
    inside = drawn.content_hashes[is_inside(drawn.points, region)]
    return [digest.decode() for digest in inside.tolist()]


def is_inside(points: NDArray[np.float32], region: Region) -> NDArray[np.bool_]:
    """Which points, float32 [n, 2], are in a region, bool [n].

    Source: the even-odd rule, Shimrat 1962, "Algorithm 112: Position of point relative to polygon", CACM 5(8).
    """
    corners = np.array(region.corners)
    if len(corners) == 2:
        low, high = corners.min(axis=0), corners.max(axis=0)
        rectangle: NDArray[np.bool_] = ((points >= low) & (points <= high)).all(axis=1)
        return rectangle
    x, y = points.astype(np.float64).T
    inside = np.zeros(len(points), np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside
