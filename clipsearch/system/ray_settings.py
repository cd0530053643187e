"""Settings of indexing on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """A cluster and the resources of its workers (docs/ray.md).

    Attributes:
        address: ``HOST:PORT`` of the cluster or ``auto``; ``None`` starts a local one for the run.
        worker_cpus: cores per worker; ``None`` for those of the smallest node, at most 8.
        worker_gpus: GPUs per worker, may be fractional; 0 embeds on the CPU.
        runtime: runtime of the model on the workers, as for `clipsearch.library.Library.open`.
        device: device of the model on the workers, as for `clipsearch.library.Library.open`.
        shards: directory for Parquet copies of the embeddings, for `clipsearch import`; ``None`` for none.
    """

    address: str | None = None
    worker_cpus: int | None = None
    worker_gpus: float = 0.0
    runtime: str = "auto"
    device: str = "auto"
    shards: Path | None = None
