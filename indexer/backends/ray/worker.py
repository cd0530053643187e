"""What runs on the machines of a cluster: workers, which read files, decode them in other processes, and embed."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch._version import __version__
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ClipSearchError, ModelError
from clipsearch.models.encoder import Encoder
from clipsearch.models.parity import spaces_agree
from clipsearch.system.cpu import set_cpu_budget
from indexer.backends.ray.known import is_packed
from indexer.backends.ray.rows import COLUMN, EmbeddedFile, GivenUp, Rows, WorkerError, from_rows, to_rows
from indexer.batches import blocks_of
from indexer.embedding import EmbeddingThreads
from indexer.read import ReadFile
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool

logger = logging.getLogger(__name__)

_PROCESSES_PER_CORE = 4
"""That read and decode what comes from a store far away."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker receives once.

    Attributes:
        model: whose embeddings are wanted.
        runtime: what runs it, as for `clipsearch.models.loading.load_encoder`.
        device: where it runs.
        encoder: use this one instead of loading the model.
        cores: that are the worker's own.
        time_limit_s: seconds that a file may take to be decoded.
        version: of clipsearch, which must be the same on all machines.
        remote: the files are at addresses (`clipsearch.system.remote_files`), which takes waiting more than work.
    """

    model: ModelRecord
    runtime: str
    device: str
    encoder: Encoder | None
    cores: int
    time_limit_s: float
    version: str
    remote: bool


class Attempts:
    """Counts how often each task was begun; an actor that all workers ask.

    Ray gives a task to another worker whenever one dies with it, for ever if it is the task that they die of.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """A worker begins with a task; returns how often that has happened."""
        self._begun[name] += 1
        return self._begun[name]


class EmbeddingWorker:
    """Reads and embeds tasks; an actor of Ray Data's pool.

    A file can crash or hang a decoding process, which costs that file, and not the worker
    (`indexer.workers`).
    """

    def __init__(self, settings: WorkerSettings, known: Any, attempts: Any) -> None:
        """Prepare; what can go wrong is done with the first block, whose answer can say what did.

        Args:
            settings: of the run.
            known: Ray's reference to what `indexer.backends.ray.known.pack_digests` gave.
            attempts: Ray's handle of `Attempts`.
        """
        self._settings = settings
        self._known_reference = known
        self._attempts = attempts
        self._host = socket.gethostname()
        self._encoder: Encoder | None = None

    def __call__(self, rows: Rows) -> Rows:
        """Answer one `Task` with an `EmbeddedFile` for each of its files, or with one `GivenUp` or `WorkerError`."""
        import ray

        (task,) = from_rows(rows[COLUMN])
        try:
            if ray.get(self._attempts.begin.remote(task.name)) > task.attempts:
                return to_rows([GivenUp(task.name)])
            if self._encoder is None:
                self._encoder = self._start()
            return to_rows(list(self._embed(task.files)))
        except Exception as error:  # the indexing program reports it and ends the run
            reason = str(error) if isinstance(error, ClipSearchError) else f"{type(error).__name__}: {error}"
            return to_rows([WorkerError(self._host, reason, isinstance(error, ModelError))])

    def _start(self) -> Encoder:
        import ray

        if __version__ != self._settings.version:
            raise ClipSearchError(
                f"it has clipsearch {__version__}, and this machine {self._settings.version}; install the same"
            )
        set_cpu_budget(self._settings.cores)
        encoder = self._load()
        self._known: NDArray[np.bytes_] = ray.get(self._known_reference)
        self._pool = DecodingPool(
            encoder.transform,
            thumbnails=None,
            workers=max(2, self._settings.cores * (_PROCESSES_PER_CORE if self._settings.remote else 1)),
            time_limit_s=self._settings.time_limit_s,
            with_preview=True,
        )
        self._embedding = EmbeddingThreads(encoder)
        return encoder

    def _load(self) -> Encoder:
        if self._settings.encoder is not None:
            return self._settings.encoder
        from clipsearch.models.loading import load_encoder

        model = self._settings.model
        encoder = load_encoder(
            model.spec, runtime=self._settings.runtime, device=self._settings.device, notify=logger.info
        )
        if not spaces_agree(model, encoder):
            raise ModelError(
                f"its {model.spec} (weights {encoder.fingerprint}, {encoder.precision}) is not the library's "
                f"(weights {model.fingerprint}, {model.precision}); give every node the same model files"
            )
        return encoder

    def _embed(self, scanned: Sequence[ScannedFile]) -> Iterator[EmbeddedFile]:
        files = self._pool.read(
            scanned,
            wanted_from=lambda digest: None if is_packed(digest, self._known) else 0,
            look_ahead=self._embedding.sizes.look_ahead,
        )
        for block, embedded in self._embedding.ahead(blocks_of(files, self._embedding.sizes.images), _pixels):
            views = iter(embedded)
            for item in block:
                picture_views = next(views) if item.pixels is not None else None
                yield EmbeddedFile(**{**vars(item), "pixels": None, "views": picture_views, "host": self._host})


def _pixels(block: Sequence[ReadFile]) -> list[NDArray[np.uint8]]:
    return [item.pixels for item in block if item.pixels is not None]
