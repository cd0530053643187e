"""Embeddings as the catalog stores them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import LibraryError


def to_blob(embedding: NDArray[np.floating]) -> bytes:
    """An embedding as stored: little-endian float16 [dim]."""
    return embedding.astype("<f2").tobytes()


def from_blobs(blobs: Sequence[bytes], dim: int, *, catalog: str) -> NDArray[np.float16]:
    """Stored embeddings as a matrix, float16 [n, dim].

    Raises:
        LibraryError: an embedding is damaged; the message has the name of the catalog.
    """
    if any(len(blob) != 2 * dim for blob in blobs):
        raise LibraryError(f"{catalog} has damaged embeddings; repair it with: clipsearch check --repair")
    return np.frombuffer(b"".join(blobs), "<f2").reshape(-1, dim)
