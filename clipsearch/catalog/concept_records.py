"""What the catalog keeps of named concepts, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ConceptRecord:
    """A concept.

    Attributes:
        id: of its row.
        name: unique in the library, upper and lower case being the same.
        text: what it is in words, if anybody said so.
        version: rises with each change of its examples.
        added_at: with time zone.
    """

    id: int
    name: str
    text: str | None
    version: int
    added_at: datetime


@dataclass(frozen=True)
class ConceptExample:
    """A content that shows a concept, or that does not.

    Attributes:
        content_hash: XXH3-128 of the file's bytes, hex.
        positive: whether it shows the concept.
        path: where a picture outside of the library was; with `preview`.
        preview: a JPEG of it.
        vector: float16 [dim], unit length, by the model `model_id`; ``None`` if no model has embedded it yet.
        model_id: whose embedding that is; ``None`` also if that model is gone.
    """

    content_hash: str
    positive: bool
    path: str | None = None
    preview: bytes | None = None
    vector: NDArray[np.float16] | None = None
    model_id: int | None = None


@dataclass(frozen=True)
class ConceptFit:
    """What was fitted to a concept's examples, in the space of one model.

    Attributes:
        direction: float32 [dim], unit length; pictures are ranked by their cosine with it.
        scale: of the cosine, for the probability.
        intercept: likewise; see `probabilities`.
        text_share: how much of the direction is the zero-shot direction of the concept's text, 0–1.
        regularisation: the probe's C, the inverse of the strength of its L2 penalty.
        positives: examples that it was fitted to.
        negatives: likewise, those that a person gave.
        drawn: likewise, those that were drawn from the library.
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
        """That pictures show the concept, as far as its examples tell, at even odds beforehand.

        Args:
            embeddings: floating [n, dim], unit rows.

        Returns:
            float64 [n], 0–1.
        """
        logits = self.scale * (np.asarray(embeddings, np.float32) @ self.direction).astype(np.float64) + self.intercept
        found: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
        return found
