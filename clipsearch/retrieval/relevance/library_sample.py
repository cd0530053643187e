"""What the pictures of a library are like altogether, with which single ones are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.models.encoder import FloatMatrix
from clipsearch.retrieval.relevance.calibration import (
    Assessment,
    Background,
    Calibration,
    MatchAssessor,
    background_ids,
    load_calibration,
)
from clipsearch.retrieval.relevance.caption_bank import caption_bank

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder
    from clipsearch.vectors.index import VectorIndex


class LibrarySample:
    """A sample of a library and what follows from it, kept until the library changes."""

    def __init__(self, spec: str, encoder: Callable[[], Encoder]) -> None:
        """Bind the model: its spec, and what gives its encoder when a bank of captions has to be embedded."""
        self._spec = spec
        self._encoder = encoder
        self._sampled: tuple[int, FloatMatrix] | None = None
        self._of_sample: tuple[int, Background] | None = None

    @cached_property
    def calibration(self) -> Calibration:
        """What was fitted for the model."""
        return load_calibration(self._spec)

    def random_cosine(self, index: VectorIndex, revision: int) -> float:
        """Mean cosine of two pictures of the library; see `retrieval.duplicates.verification.mean_cosine`."""
        from clipsearch.retrieval.duplicates.verification import mean_cosine

        return mean_cosine(self._sample(index, revision), of=len(index))

    def assess(
        self, index: VectorIndex, revision: int, words: NDArray[np.float32], ids: list[int], *, searched: int
    ) -> dict[int, Assessment]:
        """How well pictures match words.

        Args:
            index: the library's vectors.
            revision: of the catalog, with which they agree.
            words: embedding of the words, float32 [dim], unit length.
            ids: of the pictures' embeddings.
            searched: pictures among which they were found.

        Returns:
            An assessment for each id.
        """
        if not ids:
            return {}
        if self._of_sample is None or self._of_sample[0] != revision:
            self._of_sample = revision, self._assessor.background(self._sample(index, revision))
        candidates = index.vectors(np.array(ids, dtype=np.int64))
        found = self._assessor.assess(words, candidates, self._of_sample[1], searched=searched)
        return dict(zip(ids, found, strict=True))

    @cached_property
    def _assessor(self) -> MatchAssessor:
        return MatchAssessor(self.calibration, caption_bank(self._encoder()))

    def _sample(self, index: VectorIndex, revision: int) -> FloatMatrix:
        if self._sampled is None or self._sampled[0] != revision:
            self._sampled = revision, index.vectors(background_ids(index.ids()))
        return self._sampled[1]
