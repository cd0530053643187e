"""A run of the indexer: compare folders with the catalog, read what changed, embed, commit batch by batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clipsearch.encoders.base import Encoder
from clipsearch.errors import LibraryError, LibraryLockedError
from clipsearch.metadata import ImageMetadata
from clipsearch.reports import FileFailure, IndexProgress, IndexReport, StageTime
from clipsearch.store.batch import Batch
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import FailureRecord, FileRecord, JobRecord, ModelRecord, NewImage
from clipsearch.vectors.cache import current_index
from clipsearch.volumes import VolumePlace, is_online, place_of
from indexer.batches import batch_size, blocks_of, decoding_pool, embed_in_steps, look_ahead, new_embeddings
from indexer.plan import FolderPlan, IndexOptions, Place, locate, plan_folder
from indexer.preview import wanted_folders
from indexer.progress_meter import ProgressMeter
from indexer.read import ReadFile
from indexer.scan import ScannedFile
from indexer.sharing import SharedWork, begun_job
from indexer.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

_MOST_OF_A_ROOT = 0.5
"""Share of a root's files that may go at once without `IndexOptions.prune`."""


def index_folders(
    store: ImageStore,
    folders: Iterable[Path],
    *,
    encoder: Callable[[], tuple[Encoder, ModelRecord]],
    options: IndexOptions,
    notify: Callable[[str], None],
    progress: Callable[[IndexProgress], None],
    wait_s: float = 0.0,
) -> IndexReport:
    """Bring a catalog up to date with folders; see `Library.index`.

    Args:
        store: the catalog.
        folders: what to walk; every root if there are none.
        encoder: gives the encoder and its model's row; called once the folders are known to exist.
        options: how.
        notify: told of each file that is skipped, and of what a person should know, in one line each.
        progress: called a few times a second, from this thread.
        wait_s: how long to wait for another writer, in seconds.
    """
    started = time.monotonic()
    wanted = wanted_folders(store, folders)
    for folder in wanted:
        locate(store, folder)  # a wrong folder is told before anything is loaded
    with store.indexer_lock(wait_s=wait_s):
        run = _Run(store, *encoder(), options=options, notify=notify, progress=progress)
        run.index(wanted)
    return run.report(seconds=time.monotonic() - started)


class _Run:
    """One run; holds what all of its folders share."""

    def __init__(
        self,
        store: ImageStore,
        encoder: Encoder,
        model: ModelRecord,
        *,
        options: IndexOptions,
        notify: Callable[[str], None],
        progress: Callable[[IndexProgress], None],
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._model = model
        self._options = options
        self._notify = notify
        self._progress = ProgressMeter(progress)
        self._job_id: int | None = None
        self._embedded = self._reused = self._unchanged = self._moved = self._removed = self._missing = 0
        self._failures: list[FileFailure] = []
        self._offline: list[Path] = []
        self._decoding, self._watch = Stopwatch(), Stopwatch()
        self._processes = 0

    def report(self, *, seconds: float) -> IndexReport:
        """What was done so far."""
        return IndexReport(
            embedded=self._embedded,
            reused=self._reused,
            unchanged=self._unchanged,
            moved=self._moved,
            removed=self._removed,
            missing=self._missing,
            failures=list(self._failures),
            offline=list(self._offline),
            seconds=seconds,
            stages=(
                *(StageTime(stage, taken, self._processes) for stage, taken in self._decoding.seconds.items()),
                *(StageTime(stage, taken, 0) for stage, taken in self._watch.seconds.items()),
            ),
        )

    def index(self, folders: Sequence[Path]) -> None:
        """All of it, for several folders."""
        interrupted = self._store.jobs.interrupted("index")
        with begun_job(self._store, "index") as self._job_id:
            self._index(folders, interrupted)
            with self._watch.time("vector index"):
                self._save_vectors()
            self._store.jobs.finish(self._job_id)

    def _index(self, folders: Sequence[Path], interrupted: JobRecord | None) -> None:
        with self._watch.time("compare"):
            plans = self._plan_all(folders)
        left = sum(len(plan.to_read) for _, plan in plans)
        if interrupted is not None and left:
            begun = interrupted.started_at.astimezone().strftime("%Y-%m-%d %H:%M")
            self._notify(
                f"the run of {begun} was interrupted; the {interrupted.done:,} files that it had committed are kept, "
                f"going on with the {left:,} that are left"
            )
        self._progress.start(left)
        for root_id, plan in plans:
            self._read_and_embed(root_id, plan)
        for root_id, plan in plans:  # after all is read, so that a file moved between folders is not taken for lost
            self._remove_gone(root_id, plan)
        self._progress.finish()

    def _save_vectors(self) -> None:
        try:
            with self._store.cache_lock():
                current_index(self._store, self._model, notify=self._notify, locked=True)
        except LibraryLockedError as error:  # whoever indexes or searches next on this machine adds the difference
            logger.info("the vector cache is not saved: %s", error)

    def _plan_all(self, folders: Sequence[Path]) -> list[tuple[int, FolderPlan]]:
        """The root and the plan of each folder that is there; a folder inside another needs none of its own."""
        planned: dict[Path, tuple[int, FolderPlan]] = {}
        for folder in folders:
            place = locate(self._store, folder)  # not before: the last folder may have changed the roots
            around = [root_id for path, (root_id, _) in planned.items() if place.folder.is_relative_to(path)]
            if (place.root is None or place.root.id not in around) and self._is_there(place):
                root_id = self._root_id(place)
                place = replace(place, root=next(root for root in self._store.roots.all() if root.id == root_id))
                planned[place.folder] = (root_id, self._plan(root_id, place))
        return list(planned.values())

    def _is_there(self, place: Place) -> bool:
        if place.online:
            return True
        self._offline.append(place.folder)
        root = place.base
        there = root.is_dir() and any(root.iterdir())
        self._notify(
            f"{root} is on another drive than when it was indexed; nothing is changed. If its pictures were copied "
            f"there, say so with: clipsearch roots move {root} {root}"
            if there
            else f"{root} is offline (its drive is not plugged in, or the folder is gone or empty); nothing is removed"
        )
        return False

    def _root_id(self, place: Place) -> int:
        """The root of a place, made or moved if need be."""
        try:
            where = place_of(place.base)
        except OSError:
            where = VolumePlace(None, None)
        values = {"volume_id": where.volume_id, "volume_path": where.volume_path}
        if place.root is None:
            return self._store.roots.add(place.base, **values)
        if place.moved:
            self._notify(f"{place.root.path} is at {place.base} now")
            self._store.roots.move(place.root.id, place.base, **values)
        return place.root.id

    def _plan(self, root_id: int, place: Place) -> FolderPlan:
        plan = plan_folder(
            self._store, place, model_id=self._model.id, options=self._options, scanned=self._progress.scanned
        )
        for failure in plan.unlisted:
            self._fail(failure.path, failure.reason)
        if plan.unlisted_rows:
            self._store.commit(Batch(root_id, failures=plan.unlisted_rows), self._model.id)
        self._failures.extend(plan.failed)
        self._unchanged += plan.unchanged
        if plan.nothing_found and not plan.gone:
            self._notify(f"no pictures in {place.folder}")
        return plan

    def _read_and_embed(self, root_id: int, plan: FolderPlan) -> None:
        """Read what has to be read: decoding in other processes, embedding and committing in this one."""
        with decoding_pool(self._encoder, library=self._store.directory) as pool:
            for to_read in self._shares(root_id, plan):
                files = pool.read(to_read, is_embedded=self._is_known, look_ahead=look_ahead(self._encoder))
                waited_for = self._progress.following(self._watch.waits("wait for decoding", files))
                for block in blocks_of(waited_for, batch_size(self._encoder)):
                    self._commit(root_id, plan, block)
                    self._processes = max(self._processes, len(pool.process_ids))

    def _shares(self, root_id: int, plan: FolderPlan) -> Iterator[Iterable[ScannedFile]]:
        """What this run has to read of a folder: all of it, or what other indexers leave to it."""
        if not self._store.shared or self._job_id is None:
            yield plan.to_read
            return
        again = self._options.verify or self._options.retry_failed
        shared = SharedWork(
            self._store, self._job_id, root_id, model_id=None if again else self._model.id, done=self._done_elsewhere
        )
        yield from shared.shares(plan.to_read, block=look_ahead(self._encoder))

    def _done_elsewhere(self, files: int) -> None:
        self._unchanged += files
        self._progress.advance(files)

    def _is_known(self, digest: str) -> bool:
        return self._store.is_known(digest, self._model.id)

    def _commit(self, root_id: int, plan: FolderPlan, block: list[ReadFile]) -> None:
        """Embed what is new in a block of files and write all of it in one transaction."""
        for item in block:
            self._decoding.add(item.seconds)
        if any(item.failure is not None for item in block):
            self._check_still_there(plan)
            block = [item for item in block if item.failure is None or _still_exists(item.file.path)]
        decoded = {item.content_hash: item for item in block if item.content_hash and item.pixels is not None}
        # a copy in the block before may have been embedded since this file was decoded
        embedded = self._store.embedded_among(decoded, self._model.id)
        fresh = [item for digest, item in decoded.items() if digest not in embedded]
        pixels = [item.pixels for item in fresh if item.pixels is not None]
        with self._watch.time("embed"):
            pictures = embed_in_steps(self._encoder, pixels, self._progress.advance)
            embeddings = [
                embedding
                for item, views in zip(fresh, pictures, strict=True)
                for embedding in new_embeddings(item.content_hash or "", views)
            ]
        self._progress.advance(len(block) - len(fresh))
        images = [
            NewImage(digest, item.width, item.height, item.format, item.metadata or ImageMetadata(), item.fingerprint)
            for digest, item in decoded.items()
        ]
        files, failures = [], []
        for item in block:
            seen = (item.file.relative_path, item.file.size, item.file.mtime_ns)
            if item.failure is not None:
                failures.append(FailureRecord(*seen, item.failure))
                self._fail(item.file.path, item.failure)
            elif item.content_hash is not None:
                files.append(FileRecord(*seen, item.content_hash))
        with self._watch.time("commit"):
            shared = self._store.shared
            batch = Batch(root_id, images, embeddings, files, failures, job_id=self._job_id, leased=shared)
            self._store.commit(batch, self._model.id)
        self._embedded += len(fresh)
        self._reused += len(files) - len(fresh)

    def _check_still_there(self, plan: FolderPlan) -> None:
        """A drive that goes away in mid-run makes every file unreadable; that says nothing of the files."""
        if not _is_there_now(plan.place):
            raise LibraryError(
                f"{plan.place.base} went away during the run; what was committed is safe: "
                "plug its drive in and run it again"
            )

    def _remove_gone(self, root_id: int, plan: FolderPlan) -> None:
        """Drop what is gone from the catalog, unless that may be a mistake."""
        if not plan.gone:
            return
        self._check_still_there(plan)
        root = next(root for root in self._store.roots.all() if root.id == root_id)
        moved, lost = self._store.split_gone(root_id, plan.gone)
        going = plan.gone
        if not self._options.prune and len(lost) > _MOST_OF_A_ROOT * root.files:
            self._missing += len(lost)
            going = plan.gone - lost
            self._notify(
                f"{len(lost):,} of {root.files:,} pictures of {root.path} are gone; nothing is removed, as that may be "
                "a mistake. See which with --dry-run, remove them with --prune"
            )
        if going:
            self._store.commit(Batch(root_id, removed=sorted(going), job_id=self._job_id), self._model.id)
            self._moved += len(moved)
            self._removed += len(going - moved)

    def _fail(self, path: Path, reason: str) -> None:
        self._notify(f"skipping {path}: {reason}")
        self._failures.append(FileFailure(path, reason))


def _is_there_now(place: Place) -> bool:
    if place.root is None or place.moved:
        return place.base.is_dir()
    return is_online(place.root)


def _still_exists(path: Path) -> bool:
    """Whether there is such a file, readable or not; one deleted since it was scanned is no failure."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
