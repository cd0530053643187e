"""How indexing is spread over a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """A cluster, and what each of its workers gets (docs/ray.md).

    Attributes:
        address: of the cluster, ``HOST:PORT`` or ``auto``; ``None`` starts one on this machine for the run.
        worker_cpus: cores of each worker; ``None`` for those of the smallest node, 8 at most.
        worker_gpus: GPUs of each worker, or a part of one; 0 embeds on the cores.
        runtime: what runs the model there, as for `clipsearch.library.Library.open`.
        device: where it runs there, likewise.
        shards: a directory for what was embedded, as Parquet, for `clipsearch import` elsewhere; ``None`` keeps none.
    """

    address: str | None = None
    worker_cpus: int | None = None
    worker_gpus: float = 0.0
    runtime: str = "auto"
    device: str = "auto"
    shards: Path | None = None
