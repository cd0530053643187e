"""Embeddings of texts that were searched for before, kept with the other caches; they spare loading the text tower."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import cache_dir
from clipsearch.system import atomic

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder

logger = logging.getLogger(__name__)

MOST = 5_000
"""Texts that are kept for a model; beyond that the older half is dropped."""

LOOKED_AT_ONE_IN = 64
"""So many texts are kept until the directory is looked at again, on average: by the hash of what is kept, as most
processes keep one."""

_UNIT_TOLERANCE = 1e-3


class QueryCache:
    """One file for each text, named by a hash of it; what cannot be read or written costs time, not results."""

    def __init__(self, directory: Path, dim: int) -> None:
        """Bind a directory, made when something is kept, and the embeddings' dimension."""
        self._directory = directory
        self._dim = dim

    @classmethod
    def of(cls, encoder: Encoder) -> QueryCache:
        """The cache of a model's texts: of its weights, in the precision they run in."""
        form = re.sub(r"[^A-Za-z0-9]+", "-", f"{encoder.fingerprint}-{encoder.device}-{encoder.precision}")
        return cls(cache_dir() / "queries" / form, encoder.dim)

    def get(self, text: str, *, ensemble: bool) -> NDArray[np.float32] | None:
        """The embedding of a text, float32 [dim], unit length; ``None`` if it is not kept.

        Args:
            text: as it was typed.
            ensemble: whether short texts are put into templates.
        """
        try:
            content = self._path(text, ensemble=ensemble).read_bytes()
        except OSError:
            return None
        if len(content) != 4 * self._dim:
            return None
        embedding = np.frombuffer(content, "<f4").astype(np.float32)
        return embedding if abs(float(embedding @ embedding) - 1.0) < _UNIT_TOLERANCE else None

    def put(self, text: str, embedding: NDArray[np.float32], *, ensemble: bool) -> None:
        """Keep an embedding, float32 [dim]."""
        path = self._path(text, ensemble=ensemble)
        try:
            atomic.write_bytes(path, embedding.astype("<f4").tobytes())
            if int(path.stem, 16) % LOOKED_AT_ONE_IN == 0:
                self._drop_old()
        except OSError as error:
            logger.info("the embedding of a query was not kept: %s", error)

    def _path(self, text: str, *, ensemble: bool) -> Path:
        import xxhash

        name = xxhash.xxh3_128_hexdigest(f"{int(ensemble)} {text}".encode("utf-8", "surrogatepass"))
        return self._directory / f"{name}.f32"

    def _drop_old(self) -> None:
        kept = list(self._directory.iterdir())
        if len(kept) > MOST:
            kept.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in kept[: len(kept) // 2]:
                path.unlink(missing_ok=True)
