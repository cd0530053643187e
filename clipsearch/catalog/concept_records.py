"""Records of named concepts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from clipsearch.metrics import sigmoid


@dataclass(frozen=True)
class ConceptRecord:
    """A concept.

    Attributes:
        id: of its row.
        name: unique in the library, ignoring case.
        text: optional description.
        version: incremented with each change of its examples.
        added_at: with time zone.
    """

    id: int
    name: str
    text: str | None
    version: int
    added_at: datetime


@dataclass(frozen=True)
class ConceptExample:
    """A positive or negative example.

    Attributes:
        content_hash: XXH3-128 of the file's bytes, hex.
        positive: whether it shows the concept.
        path: path of an image outside the library; with `preview`.
        preview: its JPEG preview.
        vector: embedding by the model `model_id`, float16 [dim], unit length; ``None`` if not embedded.
        model_id: model of `vector`; ``None`` if that model was removed.
    """

    content_hash: str
    positive: bool
    path: str | None = None
    preview: bytes | None = None
    vector: NDArray[np.float16] | None = None
    model_id: int | None = None


@dataclass(frozen=True)
class ConceptFit:
    """A classifier fitted to a concept's examples in the space of one model.

    Attributes:
        direction: float32 [dim], unit length; images are ranked by their cosine similarity with it.
        scale: scale of the cosine in `probabilities`.
        intercept: intercept in `probabilities`.
        text_share: share of the text's zero-shot direction in `direction`, 0–1.
        regularisation: the probe's C, the inverse strength of its L2 penalty.
        positives: number of positive examples.
        negatives: number of negative examples from the user.
        drawn: number of negative examples drawn from the library.
    """

    direction: NDArray[np.float32]
    scale: float
    intercept: float
    text_share: float
    regularisation: float
    positives: int
    negatives: int
    drawn: int

    def probabilities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities that images show the concept, at even prior odds.

        Args:
            embeddings: floating [n, dim], unit rows.

        Returns:
            float64 [n], 0–1.
        """
        cosines = (np.asarray(embeddings, np.float32) @ self.direction).astype(np.float64)
        return sigmoid(self.scale * cosines + self.intercept)
