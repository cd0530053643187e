"""On-disk cache of query text embeddings, which saves loading the text tower."""

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

MAX_TEXTS = 5_000
"""Maximum texts of a model; beyond it the older half is deleted."""

CLEANUP_INTERVAL = 64
"""Mean number of writes between two cleanups; the hash of the text decides, as most processes write only one."""

_UNIT_TOLERANCE = 1e-3


class QueryCache:
    """One file for each text, named by its hash; read and write errors only cost time."""

    def __init__(self, directory: Path, dim: int) -> None:
        """Bind a directory, created on the first write, and the embedding dimension."""
        self._directory = directory
        self._dim = dim

    @classmethod
    def of(cls, encoder: Encoder) -> QueryCache:
        """The cache of a model, by its weights, device and precision."""
        key = re.sub(r"[^A-Za-z0-9]+", "-", f"{encoder.fingerprint}-{encoder.device}-{encoder.precision}")
        return cls(cache_dir() / "queries" / key, encoder.dim)

    def get(self, text: str, *, ensemble: bool) -> NDArray[np.float32] | None:
        """The embedding of a text, float32 [dim], unit length; ``None`` if it is not cached.

        Args:
            text: as typed.
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
        """Write an embedding, float32 [dim]."""
        path = self._path(text, ensemble=ensemble)
        try:
            atomic.write_bytes(path, embedding.astype("<f4").tobytes())
            if int(path.stem, 16) % CLEANUP_INTERVAL == 0:
                self._drop_old()
        except OSError as error:
            logger.info("cannot cache the embedding of a query: %s", error)

    def _path(self, text: str, *, ensemble: bool) -> Path:
        import xxhash

        name = xxhash.xxh3_128_hexdigest(f"{int(ensemble)} {text}".encode("utf-8", "surrogatepass"))
        return self._directory / f"{name}.f32"

    def _drop_old(self) -> None:
        cached = list(self._directory.iterdir())
        if len(cached) > MAX_TEXTS:
            cached.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in cached[: len(cached) // 2]:
                path.unlink(missing_ok=True)
