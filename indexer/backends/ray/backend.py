"""The engine that works on a Ray cluster: Ray Data passes files to workers and brings back embeddings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clipsearch._version import __version__
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ClipSearchError, LibraryError, ModelError
from clipsearch.media.thumbnails import keep_thumbnail
from clipsearch.models.encoder import Encoder
from clipsearch.system.ray_settings import RaySettings
from clipsearch.system.remote_files import scheme_of
from indexer.backends.local import BackendFactory, Engine
from indexer.backends.ray.cluster import Room, joined
from indexer.backends.ray.known import pack_digests
from indexer.backends.ray.rows import COLUMN, EmbeddedFile, Task, WorkerError, from_rows, to_rows
from indexer.backends.ray.worker import Attempts, EmbeddingWorker, WorkerSettings
from indexer.batches import blocks_of
from indexer.embedding import Embedded
from indexer.read import ReadFile
from indexer.scan import ScannedFile, still_exists

if TYPE_CHECKING:
    from ray.data import Dataset

logger = logging.getLogger(__name__)

_TASK = 64
"""Files that a worker gets at once: what is done again when its node dies."""

_GPU_TASK = 512
"""The same with a GPU, which should not wait for the next ones too often."""

_ROUND = 50_000
"""Files that are handed to Ray at once, and leased in a shared catalog: its workers load the model for each round."""

_LARGEST_BATCH = 1024
"""Files committed at a time, at most."""

_UNCOMMITTED = 2
"""Batches that may have come back and not be committed."""

_ATTEMPTS = 2
"""How often a task is begun: one whose node died is not to blame."""

_ATTEMPTS_ALONE = 2
"""How often a file by itself is, after a task that it was part of was not finished in so many attempts."""

_TIME_LIMIT_S = 30.0

_MISSING = "no such file or directory"


def ray_engine(settings: RaySettings, *, sends_encoder: bool) -> BackendFactory:
    """What makes the engine of a run, for `indexer.run.index_folders`.

    Args:
        settings: the cluster.
        sends_encoder: whether the workers get the encoder itself, as nothing is known that they could load it by.
    """

    def make(store: Catalog, encoder: Encoder, model: ModelRecord) -> Engine:
        return RayEngine(store, model, settings, encoder=encoder if sends_encoder else None)

    return make


class RayEngine:
    """Reads and embeds on a cluster; see `indexer.backends.local.Engine`. Nothing is started until it is entered."""

    def __init__(
        self, store: Catalog, model: ModelRecord, settings: RaySettings, *, encoder: Encoder | None = None
    ) -> None:
        """Bind what a run needs.

        Args:
            store: the catalog, which the workers never see.
            model: whose embeddings are wanted.
            settings: the cluster.
            encoder: for the workers to use instead of loading the model; it has to survive pickling.
        """
        self._store = store
        self._model = model
        self._settings = settings
        self._encoder = encoder
        self._task = _GPU_TASK if settings.worker_gpus else _TASK
        self._stack = ExitStack()
        self.batch_size = self._task
        self.uncommitted = _UNCOMMITTED
        self.look_ahead = _ROUND
        self.processes = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._room: Room = stack.enter_context(joined(self._settings))
            import ray

            actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts)
            self._attempts = actor.remote()
            self._known = ray.put(pack_digests(self._store.complete_contents(self._model.id)))
            self._stack = stack.pop_all()
        self.batch_size = min(_LARGEST_BATCH, self._task * self._room.workers)
        self.processes = self._room.workers * self._room.cpus
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(
        self,
        files: Iterable[ScannedFile],
        *,
        wanted_from: Callable[[str], int | None],
        waiting: Callable[[], None],
    ) -> Iterator[ReadFile]:
        """Have files read and embedded, in the order in which that is done.

        Which contents are known is looked up at the start of the run, not by `wanted_from`: the workers cannot
        reach the catalog. What becomes known meanwhile is embedded once more, and committed once.
        """
        for wanted in blocks_of(files, _ROUND):
            for item in self._round(wanted):
                self._check_was_seen(item)
                if item.preview is not None and item.content_hash is not None:
                    keep_thumbnail(self._store.directory, item.content_hash, item.preview)
                yield item

    def embed(self, files: Sequence[ReadFile]) -> Future[Embedded]:
        """What the workers have embedded."""
        views = [file.views for file in files if isinstance(file, EmbeddedFile) and file.views is not None]
        now = time.perf_counter()
        done: Future[Embedded] = Future()
        done.set_result(Embedded(views, now, now))
        return done

    def _round(self, files: Sequence[ScannedFile]) -> Iterator[EmbeddedFile]:
        """All of the files, each once, however many workers die with some of them.

        Tasks that were begun too often are gone through once more file by file: what still ends its worker is set
        aside.
        """
        from ray.exceptions import RayError

        left = {file.relative_path: file for file in files}
        size, attempts = self._task, _ATTEMPTS
        for turn in count():
            before, lost = len(left), None
            blocks = blocks_of(list(left.values()), size)
            try:
                for item in self._embedded([Task(f"{turn}:{block[0].path}", block, attempts) for block in blocks]):
                    if item.file.relative_path in left:
                        yield item
                    if item.is_last:
                        left.pop(item.file.relative_path, None)
            except RayError as error:  # answers went down with a node
                logger.warning("%s", error)
                lost = error
            if not left:
                return
            is_stuck = len(left) == before if lost is not None else size == 1 and len(left) == len(files) > 1
            if is_stuck:
                why = f" ({str(lost).strip().splitlines()[-1]})" if lost is not None else ""
                raise ClipSearchError(
                    f"the workers of the Ray cluster die before they answer; see its logs{why}"
                ) from lost
            if lost is None and size == 1:
                break
            if lost is None:
                size, attempts = 1, _ATTEMPTS_ALONE
        for file in left.values():
            yield EmbeddedFile(file=file, failure="crashed the worker that embedded it")

    def _embedded(self, tasks: Sequence[Task]) -> Iterator[EmbeddedFile]:
        """What comes back of tasks."""
        batches: Iterable[Any] = self._dataset(tasks).iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=1
        )
        for batch in batches:
            for message in from_rows(batch.column(COLUMN).to_pylist()):
                if isinstance(message, WorkerError):
                    kind = ModelError if message.of_model else ClipSearchError
                    raise kind(f"the worker on {message.host} cannot go on: {message.reason}")
                if isinstance(message, EmbeddedFile):
                    yield message

    def _dataset(self, tasks: Sequence[Task]) -> Dataset:
        import ray

        _quieten_data()
        rows = [{COLUMN: message} for message in to_rows(tasks)[COLUMN]]
        settings = WorkerSettings(
            self._model,
            self._settings.runtime,
            "cuda" if self._room.gpus and self._settings.device == "auto" else self._settings.device,
            self._encoder,
            self._room.cpus,
            _TIME_LIMIT_S,
            __version__,
            remote=scheme_of(tasks[0].files[0].root) is not None,
        )
        workers = min(self._room.workers, len(tasks))
        return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            EmbeddingWorker,
            fn_constructor_args=(settings, self._known, self._attempts),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            num_cpus=self._room.cpus,
            num_gpus=self._room.gpus or None,
        )

    def _check_was_seen(self, item: EmbeddedFile) -> None:
        """A file that is here and not there says that a folder is missing on a node, and nothing of the file."""
        if item.failure == _MISSING and still_exists(item.file.path):
            raise LibraryError(
                f"{item.host} does not see {item.file.path}; every node of the cluster has to see the folder under "
                "the same path"
            )


def _quieten_data() -> None:
    """Nothing of Ray Data's own on the terminal; lost blocks are our business."""
    from ray.data import DataContext

    context: Any = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.max_errored_blocks = -1
    for handler in logging.getLogger("ray.data").handlers:
        # others may listen there, too
        if isinstance(handler, logging.StreamHandler) and type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.CRITICAL)
