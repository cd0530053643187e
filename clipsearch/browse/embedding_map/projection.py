"""Draw the map of a library and update it incrementally."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.browse.embedding_map.layout import MIN_FOR_UMAP, Layout, make_layout, sample_of
from clipsearch.browse.embedding_map.values import EmbeddingMap, Method
from clipsearch.catalog.records import ModelRecord
from clipsearch.system.optional_packages import has_extra

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

_OUTGROWN = 0.1
"""Share of pictures added or removed since drawing at which a map is drawn again."""

_MOSTLY_NEW = 0.5
"""Share of added pictures above which the previous layout is not refined."""


@dataclass(frozen=True)
class DrawnMap:
    """A map with the layout to position further pictures.

    Attributes:
        ids: of the pictures' embeddings, int64 [n], ascending.
        content_hashes: of the pictures, [n].
        points: float32 [n, 2].
        clusters: int16 [n].
        came_later: which pictures were added after drawing, bool [n].
        left: number of pictures removed after drawing.
        directions: see `EmbeddingMap`.
        layout: positions further pictures.
        method: projection method.
        drawn_at: catalog revision when it was drawn.
        revision: catalog revision of the last update.
    """

    ids: NDArray[np.int64]
    content_hashes: NDArray[np.bytes_]
    points: NDArray[np.float32]
    clusters: NDArray[np.int16]
    came_later: NDArray[np.bool_]
    left: int
    directions: NDArray[np.float32]
    layout: Layout
    method: Method
    drawn_at: int
    revision: int

    @property
    def drawing(self) -> str:
        """Id of the drawing, unchanged by incremental updates."""
        return f"{self.method}{self.drawn_at}"

    def is_to_be_redrawn(self) -> bool:
        """Whether the method or more than `_OUTGROWN` of the pictures have changed since drawing."""
        changed = int(self.came_later.sum()) + self.left
        return self.method != method_for(len(self.ids)) or changed > _OUTGROWN * len(self.ids)

    def shown(self, *, complete: bool, problem: str) -> EmbeddingMap:
        """The public map."""
        return EmbeddingMap(
            points=self.points,
            content_hashes=self.content_hashes,
            clusters=self.clusters,
            directions=self.directions,
            method=self.method,
            drawing=self.drawing,
            complete=complete,
            problem=problem,
        )


def method_for(pictures: int) -> Method:
    """The projection method for a number of pictures, by the installed packages."""
    return "umap" if pictures >= MIN_FOR_UMAP and has_extra("map", "umap") else "pca"


def draw_map(
    store: Catalog, model: ModelRecord, *, method: Method | None = None, before: DrawnMap | None = None
) -> DrawnMap:
    """Draw the map of a library; memory is bounded by the sample, a block and a few bytes for each picture.

    Args:
        store: the catalog.
        model: the model of the embeddings.
        method: `method_for` the pictures by default.
        before: the previous map, whose layout is refined unless most pictures are new.

    Raises:
        LibraryError: embeddings in the catalog are damaged.
    """
    revision, ids, hashes = store.positions.embedded_contents(model.id)
    blocks = [vectors for _, vectors in store.embeddings(sample_of(ids), dim=model.dim)]
    sample = np.concatenate(blocks or [np.zeros((1, model.dim), np.float16)]).astype(np.float32)
    method = method if method is not None else method_for(len(ids))
    refined = None
    if before is not None and before.method == method == "umap" and before.came_later.mean() <= _MOSTLY_NEW:
        refined = before.layout
    layout = make_layout(sample, pictures=len(ids), method=method, before=refined)
    placed = _place(store, model, layout, ids)
    return DrawnMap(
        ids=placed.ids,
        content_hashes=hashes[np.searchsorted(ids, placed.ids)],
        points=placed.points,
        clusters=placed.clusters,
        came_later=np.zeros(len(placed.ids), np.bool_),
        left=0,
        directions=placed.directions,
        layout=layout,
        method=method,
        drawn_at=revision,
        revision=revision,
    )


def incremental_update(store: Catalog, model: ModelRecord, drawn: DrawnMap) -> DrawnMap:
    """Remove deleted pictures from a map, and place new ones near their neighbors.

    Raises:
        LibraryError: embeddings in the catalog are damaged.
    """
    revision, ids, hashes = store.positions.embedded_contents(model.id)
    present = np.isin(drawn.ids, ids, assume_unique=True)
    new = _place(store, model, drawn.layout, np.setdiff1d(ids, drawn.ids, assume_unique=True))
    merged = np.concatenate([drawn.ids[present], new.ids])
    order = np.argsort(merged)
    return replace(
        drawn,
        ids=merged[order],
        content_hashes=hashes[np.searchsorted(ids, merged[order])],
        points=np.concatenate([drawn.points[present], new.points])[order],
        clusters=np.concatenate([drawn.clusters[present], new.clusters])[order],
        came_later=np.concatenate([drawn.came_later[present], np.ones(len(new.ids), np.bool_)])[order],
        left=drawn.left + int((~present & ~drawn.came_later).sum()),
        revision=revision,
    )


def up_to_date(store: Catalog, model: ModelRecord, drawn: DrawnMap | None) -> DrawnMap:
    """A map at the catalog's revision: as is, incrementally updated, or without one drawn by PCA.

    Raises:
        LibraryError: embeddings in the catalog are damaged.
    """
    if drawn is None:
        return draw_map(store, model, method="pca")
    return drawn if drawn.revision == store.revision() else incremental_update(store, model, drawn)


@dataclass(frozen=True)
class _Placed:
    """Pictures with positions and clusters, and the directions of the clusters."""

    ids: NDArray[np.int64]
    points: NDArray[np.float32]
    clusters: NDArray[np.int16]
    directions: NDArray[np.float32]


def _place(store: Catalog, model: ModelRecord, layout: Layout, ids: NDArray[np.int64]) -> _Placed:
    count = len(layout.centroids)
    sums, counts = np.zeros((count, model.dim)), np.zeros(count)
    placed = [np.empty(0, np.int64)]
    points = [np.empty((0, 2), np.float32)]
    clusters = [np.empty(0, np.int16)]
    for block, vectors in store.embeddings(ids, dim=model.dim):
        block_points, block_clusters = layout.place(vectors)
        placed.append(block)
        points.append(block_points)
        clusters.append(block_clusters)
        members = block_clusters[:, None] == np.arange(count)
        sums += members.T.astype(np.float32) @ vectors.astype(np.float32)
        counts += members.sum(axis=0)
    mean = sums.sum(axis=0) / max(counts.sum(), 1)
    directions = np.where(counts[:, None] > 0, sums / counts.clip(1)[:, None] - mean, 0).astype(np.float32)
    return _Placed(np.concatenate(placed), np.concatenate(points), np.concatenate(clusters), directions)
