"""A sample of a library's embeddings, the background for assessing single pictures."""

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
    """The sample of a library and its statistics, cached for one catalog revision."""

    def __init__(self, spec: str, encoder: Callable[[], Encoder]) -> None:
        """Bind the model: its spec, and what loads its encoder if the caption bank has to be embedded."""
        self._spec = spec
        self._encoder = encoder
        self._sampled: tuple[int, FloatMatrix] | None = None
        self._background: tuple[int, Background] | None = None

    @cached_property
    def calibration(self) -> Calibration:
        """The model's calibration."""
        return load_calibration(self._spec)

    def random_cosine(self, index: VectorIndex, revision: int) -> float:
        """See `retrieval.duplicates.verification.mean_cosine`."""
        from clipsearch.retrieval.duplicates.verification import mean_cosine

        return mean_cosine(self._sample(index, revision), of=len(index))

    def assess(
        self, index: VectorIndex, revision: int, text: NDArray[np.float32], ids: list[int], *, searched: int
    ) -> dict[int, Assessment]:
        """Assess pictures against a text query; see `MatchAssessor.assess`.

        Args:
            index: the library's vectors.
            revision: catalog revision of the index.
            text: embedding of the query text, float32 [dim], unit length.
            ids: embedding ids of the pictures.
            searched: number of pictures searched.

        Returns:
            An assessment for each id.
        """
        if not ids:
            return {}
        if self._background is None or self._background[0] != revision:
            self._background = revision, self._assessor.background(self._sample(index, revision))
        candidates = index.vectors(np.array(ids, dtype=np.int64))
        assessments = self._assessor.assess(text, candidates, self._background[1], searched=searched)
        return dict(zip(ids, assessments, strict=True))

    @cached_property
    def _assessor(self) -> MatchAssessor:
        return MatchAssessor(self.calibration, caption_bank(self._encoder()))

    def _sample(self, index: VectorIndex, revision: int) -> FloatMatrix:
        if self._sampled is None or self._sampled[0] != revision:
            self._sampled = revision, index.vectors(background_ids(index.ids()))
        return self._sampled[1]
