"""Which pairs of pictures are worth a closer look: near in the embedding space, or alike at 8×8 pixels.

The embedding finds crops and edits; the small picture finds what was turned, which moves an embedding a long way.
Neither comparison keeps n × n numbers: every block of pictures is compared with every other, and the best are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.media.perceptual_hash import COARSE_SIDE, USUAL_TURNS, coarse_vectors, turned

EMBEDDING_NEIGHBOURS = 16
"""Nearest pictures by embedding that are looked at."""

COARSE_NEIGHBOURS = 4
"""Nearest pictures by 8×8 pixels that are looked at, for each turn."""

_QUERY_ROWS = 4096
_BASE_ROWS = 65_536
"""Rows of a block: 100 MB as float32 at 384 dimensions."""


def embedding_candidates(embeddings: NDArray[np.float16], *, least: float) -> NDArray[np.int64]:
    """Pairs of neighbours in the embedding space with a cosine of at least `least`.

    Args:
        embeddings: floating [n, dim], unit length.
        least: a cosine.

    Returns:
        int64 [pairs, 2], rows of `embeddings`, the smaller first, each pair once.
    """
    return unique_pairs(_nearest(embeddings, embeddings, EMBEDDING_NEIGHBOURS + 1, least))


def coarse_candidates(fingerprints: NDArray[np.uint8], *, least: float) -> NDArray[np.int64]:
    """Pairs that correlate by at least `least` at 8×8 pixels, one of them turned or mirrored (`USUAL_TURNS`).

    Args:
        fingerprints: uint8 [n, bytes].
        least: a correlation.

    Returns:
        As `embedding_candidates`.
    """
    base = coarse_vectors(fingerprints)
    pictures = base.reshape(-1, COARSE_SIDE, COARSE_SIDE)
    pairs = [
        _nearest(turned(pictures, turn).reshape(base.shape), base, COARSE_NEIGHBOURS + 1, least) for turn in USUAL_TURNS
    ]
    return unique_pairs(np.concatenate(pairs))


def unique_pairs(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs [m, 2] with the smaller first, without repeats and without pairs of one with itself."""
    ordered = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(ordered, axis=0)


def _nearest(queries: NDArray[np.floating], base: NDArray[np.floating], k: int, least: float) -> NDArray[np.int64]:
    """Pairs (query, base row) among the k nearest of each query, with an inner product of at least `least`."""
    import faiss

    k = min(k, len(base))
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.zeros((len(queries), k), np.int64)
    for low in range(0, len(base), _BASE_ROWS):
        block = np.ascontiguousarray(base[low : low + _BASE_ROWS], np.float32)
        for start in range(0, len(queries), _QUERY_ROWS):
            part = slice(start, start + _QUERY_ROWS)
            query_block = np.ascontiguousarray(queries[part], np.float32)
            cosines, ids = faiss.knn(query_block, block, min(k, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
            both, all_rows = np.hstack([scores[part], cosines]), np.hstack([rows[part], ids + low])
            order = np.argsort(-both, axis=1, kind="stable")[:, :k]
            scores[part], rows[part] = np.take_along_axis(both, order, 1), np.take_along_axis(all_rows, order, 1)
    query, column = np.nonzero(scores >= least)
    return np.stack([query, rows[query, column]], axis=1)
