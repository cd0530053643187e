"""Drawing the map of a library from its catalog, and keeping a drawn one up to date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.browse.embedding_map.layout import UMAP_FROM, Layout, make_layout, sample_of
from clipsearch.browse.embedding_map.values import EmbeddingMap, Method
from clipsearch.catalog.records import ModelRecord
from clipsearch.system.optional_packages import has_extra

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

_OUTGROWN = 0.1
"""Share of pictures that came or went since a map was drawn from which on it is drawn anew."""

_MOSTLY_NEW = 0.5
"""Share of pictures that came since from which on it is drawn from nothing."""


@dataclass(frozen=True)
class DrawnMap:
    """A map with all that is needed to put further pictures on it.

    Attributes:
        ids: of the pictures' embeddings, int64 [n], ascending.
        content_hashes: of the pictures, [n].
        points: float32 [n, 2].
        clusters: int16 [n].
        came_later: which were not there when it was drawn, bool [n].
        left: how many were there then and are no more.
        directions: see `EmbeddingMap`.
        layout: gives further pictures their places.
        method: by which it was drawn.
        drawn_at: revision of the catalog when it was drawn.
        revision: that it is brought up to.
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
        """A name for what was drawn, whatever came later."""
        return f"{self.method}{self.drawn_at}"

    def is_to_be_redrawn(self) -> bool:
        """Whether it was drawn by another method than suits so many pictures, or of rather different ones."""
        changed = int(self.came_later.sum()) + self.left
        return self.method != method_for(len(self.ids)) or changed > _OUTGROWN * len(self.ids)

    def shown(self, *, complete: bool, problem: str) -> EmbeddingMap:
        """What a person sees of it."""
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
    """By which method so many pictures are best laid out, with what is installed."""
    return "umap" if pictures >= UMAP_FROM and has_extra("map", "umap") else "pca"


def draw_map(
    store: Catalog, model: ModelRecord, *, method: Method | None = None, before: DrawnMap | None = None
) -> DrawnMap:
    """Draw the map of a library; memory is bounded by the sample, a block and a few bytes for each picture.

    Args:
        store: the catalog.
        model: whose embeddings.
        method: `method_for` the pictures by default.
        before: the map that it takes the place of: its parts stay about where they are, unless most pictures are new.

    Raises:
        LibraryError: embeddings in the catalog are damaged.
    """
    revision, ids, hashes = store.positions.embedded_contents(model.id)
    blocks = [vectors for _, vectors in store.embeddings(sample_of(ids), dim=model.dim)]
    sample = np.concatenate(blocks or [np.zeros((1, model.dim), np.float16)]).astype(np.float32)
    method = method if method is not None else method_for(len(ids))
    kept = before is not None and before.method == method == "umap" and before.came_later.mean() <= _MOSTLY_NEW
    layout = make_layout(
        sample, pictures=len(ids), method=method, before=before.layout if before is not None and kept else None
    )
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
    """A map without the pictures that have gone since, and with those that have come, put to their neighbours.

    Raises:
        LibraryError: embeddings in the catalog are damaged.
    """
    revision, ids, hashes = store.positions.embedded_contents(model.id)
    stay = np.isin(drawn.ids, ids, assume_unique=True)
    new = _place(store, model, drawn.layout, np.setdiff1d(ids, drawn.ids, assume_unique=True))
    together = np.concatenate([drawn.ids[stay], new.ids])
    order = np.argsort(together)
    return replace(
        drawn,
        ids=together[order],
        content_hashes=hashes[np.searchsorted(ids, together[order])],
        points=np.concatenate([drawn.points[stay], new.points])[order],
        clusters=np.concatenate([drawn.clusters[stay], new.clusters])[order],
        came_later=np.concatenate([drawn.came_later[stay], np.ones(len(new.ids), np.bool_)])[order],
        left=drawn.left + int((~stay & ~drawn.came_later).sum()),
        revision=revision,
    )


@dataclass(frozen=True)
class _Placed:
    """Pictures with their places, and the directions of the clusters as they fill them."""

    ids: NDArray[np.int64]
    points: NDArray[np.float32]
    clusters: NDArray[np.int16]
    directions: NDArray[np.float32]


def _place(store: Catalog, model: ModelRecord, layout: Layout, ids: NDArray[np.int64]) -> _Placed:
    count = len(layout.centroids)
    sums, counts = np.zeros((count, model.dim)), np.zeros(count)
    found = [np.empty(0, np.int64)]
    points = [np.empty((0, 2), np.float32)]
    clusters = [np.empty(0, np.int16)]
    for block, vectors in store.embeddings(ids, dim=model.dim):
        block_points, block_clusters = layout.place(vectors)
        found.append(block)
        points.append(block_points)
        clusters.append(block_clusters)
        members = block_clusters[:, None] == np.arange(count)
        sums += members.T.astype(np.float32) @ vectors.astype(np.float32)
        counts += members.sum(axis=0)
    mean = sums.sum(axis=0) / max(counts.sum(), 1)
    directions = np.where(counts[:, None] > 0, sums / counts.clip(1)[:, None] - mean, 0).astype(np.float32)
    return _Placed(np.concatenate(found), np.concatenate(points), np.concatenate(clusters), directions)
