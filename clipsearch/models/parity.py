"""How close a rounded model's embeddings are to its source's, and which embeddings may stand side by side.

Every search reads this, so it needs no numpy; parity is measured in `clipsearch.models.compile.parity_check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MIN_COSINE = 0.99
"""Lowest mean cosine between a picture's or text's two embeddings."""

MIN_OVERLAP = 0.9
"""Lowest mean share of a text's ten nearest pictures that are its ten nearest in the source's space, too."""


@dataclass(frozen=True)
class Parity:
    """What was measured of a model with rounded weights against its fp32 source.

    Attributes:
        cosine: mean cosine of the two embeddings of one picture or text, of the worse tower.
        overlap: mean share of the ten nearest pictures of a text that both have in common.
    """

    cosine: float
    overlap: float

    @property
    def shown(self) -> bool:
        """Whether its embeddings may stand beside the source's."""
        return self.cosine >= MIN_COSINE and self.overlap >= MIN_OVERLAP


class Space(Protocol):
    """What identifies an embedding space: a row of the catalog, or an encoder.

    Attributes:
        fingerprint: identity of the source weights.
        dim: embedding dimension.
        parity: how close its embeddings are to those of the source weights; ``None`` if these are not rounded.
    """

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def parity(self) -> Parity | None: ...  # noqa: D102


def spaces_agree(first: Space, second: Space) -> bool:
    """Whether embeddings of both may be compared: the same weights, and neither rounded without shown parity.

    >>> from types import SimpleNamespace as Of
    >>> source = Of(fingerprint="f", dim=2, parity=None)
    >>> spaces_agree(source, Of(fingerprint="f", dim=2, parity=Parity(0.995, 0.95)))
    True
    >>> spaces_agree(source, Of(fingerprint="f", dim=2, parity=Parity(0.995, 0.80)))
    False
    >>> spaces_agree(source, Of(fingerprint="other", dim=2, parity=None))
    False
    """
    same_weights = (first.fingerprint, first.dim) == (second.fingerprint, second.dim)
    return same_weights and all(space.parity is None or space.parity.shown for space in (first, second))
