"""Measures how close a rounded model's embeddings are to its source's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipsearch.errors import ModelError
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.parity import Parity

_TOP = 10


@dataclass(frozen=True)
class CheckEmbeddings:
    """Embeddings of one set of pictures and texts, float32 [n, dim] and [m, dim], unit rows."""

    images: FloatMatrix
    texts: FloatMatrix


def measure_parity(source: CheckEmbeddings, rounded: CheckEmbeddings) -> Parity:
    """Compare a rounded model's embeddings with those of its source.

    Raises:
        ModelError: there is nothing to compare.
    """
    if not len(source.images) or not len(source.texts):
        raise ModelError("a model cannot be compared with its source without pictures and texts")
    cosines = [
        float(np.sum(one * other, axis=1, dtype=np.float64).mean())
        for one, other in ((source.images, rounded.images), (source.texts, rounded.texts))
    ]
    return Parity(min(cosines), _overlap(_nearest(source), _nearest(rounded)))


def _nearest(embeddings: CheckEmbeddings) -> list[set[int]]:
    """The nearest pictures of each text; ties are broken by the order of the pictures."""
    scores = embeddings.texts @ embeddings.images.T  # [texts, images]
    return [set(row[:_TOP].tolist()) for row in np.argsort(-scores, axis=1, kind="stable")]


def _overlap(first: list[set[int]], second: list[set[int]]) -> float:
    return float(np.mean([len(one & other) / len(one) for one, other in zip(first, second, strict=True)]))
