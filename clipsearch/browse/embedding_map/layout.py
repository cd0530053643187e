"""2D layout of embeddings by PCA or UMAP, with clusters: fitted on a sample, applied to any embedding."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.browse.embedding_map.values import Method

SAMPLE = 20_000
"""Maximum sample to fit a layout on; UMAP of it takes about a minute on one core."""

MIN_FOR_UMAP = 30
"""Minimum number of pictures for UMAP; below it PCA is used."""

_SEED = 20_210_612
_REDUCED_DIM = 50
_NEIGHBORS = 15
"""UMAP's `n_neighbors`; the default of umap-learn."""

_REFINING_RATE = 0.1
_REFINING_EPOCHS = 200
"""UMAP's learning rate and epochs to refine the previous map; the defaults are 1 and, for small libraries, 500."""

_INTERPOLATION_NEIGHBORS = 5
"""Neighbors in the sample from which the position of another picture is interpolated."""

_MAX_CLUSTERS = 24
_KMEANS_ITERATIONS = 25
_KMEANS_ATTEMPTS = 3


@dataclass(frozen=True)
class Layout:
    """A fitted layout, which positions any embedding of its model.

    Attributes:
        mean: of the sample, float32 [dim].
        components: principal components, float32 [reduced, dim].
        centroids: of the clusters, float32 [clusters, reduced].
        sample: reduced embeddings with positions, float32 [m, reduced]; empty for PCA.
        sample_points: positions of `sample`, float32 [m, 2].
        bounds: minimum and maximum of each axis before scaling to 0–1, float32 [2, 2].
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    centroids: NDArray[np.float32]
    sample: NDArray[np.float32]
    sample_points: NDArray[np.float32]
    bounds: NDArray[np.float32]

    def place(self, embeddings: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Positions, 0–1, float32 [n, 2], and clusters, int16 [n], of embeddings, floating [n, dim]."""
        reduced = _reduce(embeddings, self.mean, self.components)
        distances = (self.centroids**2).sum(axis=1) - 2 * reduced @ self.centroids.T
        clusters = distances.argmin(axis=1).astype(np.int16)
        points = self._points(reduced)
        low, high = self.bounds
        span = np.where(high > low, high - low, 1)
        scaled = np.where(high > low, (points - low) / span, 0.5)
        return scaled.clip(0, 1).astype(np.float32), clusters

    def points_of(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Positions before scaling, float32 [n, 2], of embeddings, floating [n, dim]."""
        return self._points(_reduce(embeddings, self.mean, self.components))

    def _points(self, reduced: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._by_neighbors(reduced) if len(self.sample) else _plane(reduced)

    def _by_neighbors(self, reduced: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate positions from the nearest neighbors in the sample, weighted by distance."""
        import faiss

        index = faiss.IndexFlatL2(self.sample.shape[1])
        index.add(self.sample)
        squared, rows = index.search(reduced, min(_INTERPOLATION_NEIGHBORS, len(self.sample)))
        weights = 1 / (squared.clip(0) + 1e-6) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        points: NDArray[np.float32] = (self.sample_points[rows] * weights[..., None]).sum(axis=1)
        return points


def cluster_count(pictures: int) -> int:
    """Number of clusters: twice the fourth root of the number of pictures, at most 24.

    >>> [cluster_count(pictures) for pictures in (1, 10, 100, 1_000, 10_000, 100_000)]
    [1, 4, 6, 11, 20, 24]
    """
    return max(1, min(_MAX_CLUSTERS, round(2 * math.sqrt(math.sqrt(pictures))), pictures // 2))


def sample_of(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ids to fit a layout on, ascending: all, or a deterministic random `SAMPLE`."""
    if len(ids) <= SAMPLE:
        return ids
    return np.sort(np.random.default_rng(_SEED).choice(ids, SAMPLE, replace=False))


def make_layout(sample: NDArray[np.float32], *, pictures: int, method: Method, before: Layout | None = None) -> Layout:
    """Fit a layout.

    Args:
        sample: embeddings, float32 [m, dim], m ≥ 1.
        pictures: number of pictures in the library.
        method: ``umap`` takes a minute.
        before: a previous layout by ``umap`` to refine, so that pictures stay near their positions.

    Source: McInnes et al. 2018, "UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction". It
    is initialized by PCA; spectral initialization is no better and can fail.
    """
    mean, components = _principal(sample)
    reduced = _reduce(sample, mean, components)
    centroids = _centroids(reduced, cluster_count(pictures))
    points = _plane(reduced)
    positioned = np.empty((0, reduced.shape[1]), np.float32)
    if method == "umap":
        positioned, points = reduced, _umap(reduced) if before is None else _refined(reduced, before.points_of(sample))
    bounds = np.stack([points.min(axis=0), points.max(axis=0)])
    return Layout(mean, components, centroids, positioned, points[: len(positioned)], bounds)


def _principal(sample: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean, float32 [dim], and principal components with deterministic signs, float32 [reduced, dim]."""
    mean = sample.mean(axis=0, dtype=np.float64)
    centered = sample - mean
    _, vectors = np.linalg.eigh(centered.T @ centered)  # ascending
    components = vectors[:, ::-1].T[:_REDUCED_DIM]
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
    return mean.astype(np.float32), np.ascontiguousarray(components, np.float32)


def _reduce(
    embeddings: NDArray[np.floating], mean: NDArray[np.float32], components: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.ascontiguousarray((embeddings.astype(np.float32) - mean) @ components.T)


def _plane(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two components, float32 [n, 2]."""
    plane = np.zeros((len(reduced), 2), np.float32)
    plane[:, : reduced.shape[1]] = reduced[:, :2]
    return plane


def _centroids(reduced: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """k-means centroids, float32 [count, reduced]."""
    import faiss

    kmeans = faiss.Kmeans(
        reduced.shape[1],
        min(count, len(reduced)),
        niter=_KMEANS_ITERATIONS,
        nredo=_KMEANS_ATTEMPTS,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=SAMPLE,
    )
    kmeans.train(reduced)
    return np.asarray(kmeans.centroids, np.float32)


def _umap(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """UMAP initialized by PCA, float32 [n, 2]."""
    plane = _plane(reduced)
    return _run_umap(reduced, 10 * plane / max(float(np.abs(plane).max()), 1e-12))


def _refined(reduced: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """UMAP refined from previous positions, float32 [n, 2]."""
    return _run_umap(reduced, start, learning_rate=_REFINING_RATE, n_epochs=_REFINING_EPOCHS)


def _run_umap(reduced: NDArray[np.float32], start: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # parametric UMAP needs TensorFlow
        import umap

    reducer = umap.UMAP(
        n_neighbors=min(_NEIGHBORS, len(reduced) - 1),
        init=start.astype(np.float32),
        random_state=_SEED,
        n_jobs=1,  # a seed implies it
        **options,
    )
    points: NDArray[np.float32] = np.asarray(reducer.fit_transform(reduced), np.float32)
    return points
