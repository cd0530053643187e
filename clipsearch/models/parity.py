"""Parity of quantized models with their source, which decides whether embeddings are comparable.

Every search reads this, so numpy is imported only to measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clipsearch.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_COSINE = 0.99
"""Lowest mean cosine similarity between the two embeddings of an image or text."""

MIN_OVERLAP = 0.9
"""Lowest mean share of a text's ten nearest images that are also its ten nearest in the source's space."""

_TOP = 10


@dataclass(frozen=True)
class Parity:
    """Agreement of a quantized model with its fp32 source.

    Attributes:
        cosine: mean cosine similarity of the two embeddings of an image or text, of the worse tower.
        overlap: mean share of a text's ten nearest images that both have in common.
    """

    cosine: float
    overlap: float

    @property
    def shown(self) -> bool:
        """Whether its embeddings are comparable with the source's."""
        return self.cosine >= MIN_COSINE and self.overlap >= MIN_OVERLAP


class Space(Protocol):
    """Identity of an embedding space: a model's row in the catalog, or an encoder.

    Attributes:
        fingerprint: identity of the source weights.
        dim: embedding dimension.
        parity: parity with the source weights; ``None`` if these are not quantized.
    """

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def parity(self) -> Parity | None: ...  # noqa: D102


def spaces_agree(first: Space, second: Space) -> bool:
    """Whether embeddings of both are comparable: the same weights, and neither quantized without shown parity.

    >>> from types import SimpleNamespace as Of
    >>> source = Of(fingerprint="f", dim=2, parity=None)
    >>> spaces_agree(source, Of(fingerprint="f", dim=2, parity=Parity(0.995, 0.95)))
    True
    >>> spaces_agree(source, Of(fingerprint="f", dim=2, parity=Parity(0.995, 0.80)))
    False
    >>> spaces_agree(source, Of(fingerprint="other", dim=2, parity=None))
    False
    """
    is_same = (first.fingerprint, first.dim) == (second.fingerprint, second.dim)
    return is_same and all(space.parity is None or space.parity.shown for space in (first, second))


@dataclass(frozen=True)
class CheckEmbeddings:
    """Embeddings of the same images and texts, float32 [n, dim] and [m, dim], unit rows."""

    images: NDArray[np.float32]
    texts: NDArray[np.float32]


def measure_parity(source: CheckEmbeddings, quantized: CheckEmbeddings) -> Parity:
    """Compare a quantized model's embeddings with those of its source.

    Raises:
        ModelError: there are no images or no texts.
    """
    import numpy as np

    if not len(source.images) or not len(source.texts):
        raise ModelError("a model cannot be compared with its source without images and texts")
    cosines = [
        float(np.sum(one * other, axis=1, dtype=np.float64).mean())
        for one, other in ((source.images, quantized.images), (source.texts, quantized.texts))
    ]
    nearest = [
        np.argsort(-(side.texts @ side.images.T), axis=1, kind="stable")[:, :_TOP] for side in (source, quantized)
    ]
    shared = [len(np.intersect1d(one, other)) / len(one) for one, other in zip(*nearest, strict=True)]
    return Parity(min(cosines), float(np.mean(shared)))
