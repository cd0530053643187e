"""What every encoder is: a pair of towers that put pictures and words into one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.media.transform import ImageTransform
    from clipsearch.models.parity import Parity

FloatMatrix = NDArray[np.float32]


class Encoder(Protocol):
    """A dual encoder. Embeddings are L2-normalised here and nowhere else.

    Attributes:
        spec: the name a library remembers, such as ``mini`` or ``ViT-B-32-256/datacomp_s34b_b86k``.
        fingerprint: identity of the weights; two encoders of one spec and one fingerprint share a space.
        dim: embedding dimension.
        device: where it runs, for people: ``cpu``, ``cuda``, ``mps``.
        precision: of the arithmetic or the weights, for people: ``fp32``, ``bf16``, ``int8``…
        parity: how close its embeddings are to those of the weights that `fingerprint` names, where it runs
            rounded ones; ``None`` if it runs these themselves (`clipsearch.models.parity.spaces_agree`).
        logit_scale: the inverse temperature that it learned, exponentiated: what cosines are multiplied by before
            a softmax makes probabilities of them (Radford et al. 2021, §2.3).
        transform: how a picture becomes the pixels that `encode_pixels` takes.
    """

    spec: str
    fingerprint: str
    dim: int
    device: str
    precision: str
    parity: Parity | None
    logit_scale: float
    transform: ImageTransform

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed RGB pictures of any size.

        Returns:
            float32 [n, dim], each row of unit length.
        """
        ...

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed pictures that `transform` has already brought to size.

        Args:
            pixels: uint8 [n, height, width, 3], RGB, 0–255.

        Returns:
            float32 [n, dim], each row of unit length.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts.

        Returns:
            float32 [n, dim], each row of unit length.
        """
        ...


class TextEncoder(Protocol):
    """The text side of an `Encoder`, with the same attributes."""

    fingerprint: str
    dim: int

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts; float32 [n, dim], rows of unit length."""
        ...


@runtime_checkable
class OpensLater(Protocol):
    """An encoder that is made at once and opens its towers when they are first used."""

    def open_image_tower(self) -> None:
        """Open what embeds many pictures now, in any thread, so that the first of them need not wait for it.

        Raises:
            ModelError: it is missing or damaged; using it will say so again.
        """
        ...


def l2_normalize(embeddings: NDArray[np.floating]) -> FloatMatrix:
    """Scale each row to unit length.

    Args:
        embeddings: floating [n, dim].

    Returns:
        float32 [n, dim], C-contiguous, each row of unit length.

    Raises:
        ModelError: a row is zero or not finite, which only a damaged model produces.
    """
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if rows.size and not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("the model returned an embedding that is zero or not finite; its files may be damaged")
    return rows / norms if rows.size else rows
