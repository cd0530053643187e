"""The public map of a library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Method: TypeAlias = Literal["pca", "umap"]


@dataclass(frozen=True)
class EmbeddingMap:
    """A 2D projection of a library's embeddings: similar pictures are near each other.

    Attributes:
        points: x and y, float32 [n, 2], 0 to 1.
        content_hashes: of the pictures, bytes of 32 hex digits, [n].
        clusters: int16 [n], from 0.
        directions: cluster means relative to the library's mean, float32 [clusters, dim].
        method: ``pca`` (at once) or ``umap``.
        drawing: id of the drawing; pictures added later do not change it.
        complete: whether no better map is being drawn.
        problem: why no better map could be drawn; empty if there is no problem.
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
        """Number of pictures."""
        return len(self.points)

    def centers(self) -> NDArray[np.float32]:
        """Median position of each cluster, float32 [clusters, 2]; NaN for an empty one."""
        centers = np.full((len(self.directions), 2), np.nan, np.float32)
        for cluster in np.unique(self.clusters):
            centers[cluster] = np.median(self.points[self.clusters == cluster], axis=0)
        return centers
