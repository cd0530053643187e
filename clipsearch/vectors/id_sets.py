"""Set operations on sorted id arrays, by binary search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def setdiff_sorted(ids: NDArray[np.int64], removed: NDArray[np.int64]) -> NDArray[np.int64]:
    """The elements of `ids`, int64 [n] ascending, that are not in `removed` (any order)."""
    if not len(removed) or not len(ids):
        return ids
    places = np.minimum(np.searchsorted(ids, removed), len(ids) - 1)
    return np.delete(ids, places[ids[places] == removed])


def intersect_sorted(ids: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The elements of `ids`, in their order, that are in `others`, int64 [n] ascending."""
    if not len(others):
        return ids[:0]
    places = np.minimum(np.searchsorted(others, ids), len(others) - 1)
    shared: NDArray[np.int64] = ids[others[places] == ids]
    return shared
