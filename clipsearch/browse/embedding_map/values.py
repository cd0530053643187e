"""The map of a library as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Method: TypeAlias = Literal["pca", "umap"]


@dataclass(frozen=True)
class EmbeddingMap:
    """A picture's place among all others: what looks or means alike lies together.

    Attributes:
        points: places across and up, float32 [n, 2], each from 0 to 1.
        content_hashes: whose places these are, bytes of 32 hex digits, [n].
        clusters: which cluster each is in, int16 [n], from 0.
        directions: where in the embedding space a cluster lies seen from the library's mean, float32 [clusters, dim].
        method: how places were found: ``pca`` (at once, by the two directions in which the pictures differ most) or
            ``umap`` (by neighbours).
        drawing: a name for the drawing, of its method and when it was made; pictures that come later do not change it.
        complete: no better map is being drawn.
        problem: why the better map could not be drawn; empty if that did not happen.
    """

    points: NDArray[np.float32]
    content_hashes: NDArray[np.bytes_]
    clusters: NDArray[np.int16]
    directions: NDArray[np.float32]
    method: Method
    drawing: str
    complete: bool = True
    problem: str = ""

    def __len__(self) -> int:
        """How many pictures are on it."""
        return len(self.points)

    def centres(self) -> NDArray[np.float32]:
        """The middle of each cluster on the map, by the median, float32 [clusters, 2]; NaN where it is empty."""
        found = np.full((len(self.directions), 2), np.nan, np.float32)
        for cluster in np.unique(self.clusters):
            found[cluster] = np.median(self.points[self.clusters == cluster], axis=0)
        return found
