"""The interface of dual encoders: an image and a text tower with a common embedding space."""

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
    """A dual encoder. Embeddings are L2-normalized here and nowhere else.

    Attributes:
        spec: the name stored in a library, such as ``mini`` or ``ViT-B-32-256/datacomp_s34b_b86k``.
        fingerprint: identity of the weights; encoders with the same spec and fingerprint share a space.
        dim: embedding dimension.
        device: device name for display: ``cpu``, ``cuda``, ``mps``.
        precision: precision for display: ``fp32``, ``bf16``, ``int8``…
        parity: measured parity of quantized weights with those that `fingerprint` identifies; ``None`` if these are not
            quantized (`clipsearch.models.parity.spaces_agree`).
        logit_scale: the learned inverse temperature, exponentiated, by which cosines are multiplied before a softmax
            (Radford et al. 2021, §2.3).
        transform: image transform to the input of `encode_pixels`.
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
        """Embed RGB images of any size.

        Returns:
            float32 [n, dim], each row of unit length.
        """
        ...

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed images.

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
        """Embed texts; see `Encoder.encode_texts`."""
        ...


@runtime_checkable
class OpensLater(Protocol):
    """An encoder that loads its towers at their first use."""

    def open_image_tower(self) -> None:
        """Load the image tower for batches now, from any thread.

        Raises:
            ModelError: it is missing or damaged.
        """
        ...


@runtime_checkable
class EmbedsInBatches(Protocol):
    """An encoder whose `encode_pixels` several threads may call, and that is fastest so.

    Attributes:
        images_per_batch: images per call, at best.
        batches_at_once: calls at a time.
    """

    images_per_batch: int
    batches_at_once: int


@runtime_checkable
class EncodesPictures(Protocol):
    """An encoder that collects the pictures of a batch itself, into the memory that it passes to its device."""

    def encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatMatrix:
        """Embed transformed images.

        Args:
            pictures: uint8 [views, height, width, 3] each, RGB, 0–255.

        Returns:
            float32 [all views, dim], each row of unit length.
        """
        ...


def transform_images(transform: ImageTransform, images: Sequence[Image.Image]) -> NDArray[np.uint8]:
    """Transform images to a batch for `Encoder.encode_pixels`, uint8 [n, height, width, 3]."""
    pixels = np.empty((len(images), *transform.spec.size, 3), np.uint8)
    for row, image in enumerate(images):
        pixels[row] = transform(image)
    return pixels


def l2_normalize(embeddings: NDArray[np.floating]) -> FloatMatrix:
    """Scale each row to unit length.

    Args:
        embeddings: floating [n, dim].

    Returns:
        float32 [n, dim], C-contiguous, each row of unit length.

    Raises:
        ModelError: a row is zero or not finite, because the model is damaged.
    """
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if rows.size and not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("the model returned an embedding that is zero or not finite; its files may be damaged")
    return rows / norms if rows.size else rows
