"""Which contents a library has embedded, in a form that every worker can hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from indexer.batches import blocks_of

_BLOCK = 100_000


def pack_digests(digests: Iterable[str]) -> NDArray[np.bytes_]:
    """Content hashes, hex, as a sorted array of 16 bytes each, which Ray keeps once for all workers of a machine."""
    blocks = [np.frombuffer(bytes.fromhex("".join(block)), dtype="S16") for block in blocks_of(digests, _BLOCK)]
    return np.sort(np.concatenate(blocks)) if blocks else np.empty(0, dtype="S16")


def is_packed(digest: str, packed: NDArray[np.bytes_]) -> bool:
    """Whether a content hash is among packed ones."""
    value = np.frombuffer(bytes.fromhex(digest), dtype="S16")
    place = int(np.searchsorted(packed, value)[0])
    return place < len(packed) and bool(packed[place] == value[0])
