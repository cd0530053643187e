"""A run of the indexer: compare folders with the catalog, read what changed, embed, commit batch by batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.exclusion_patterns import exclusion_pattern
from clipsearch.catalog.records import JobRecord, ModelRecord, RootRecord
from clipsearch.catalog.reports import IndexProgress, IndexReport
from clipsearch.catalog.volumes import VolumePlace, place_of
from clipsearch.errors import LibraryLockedError
from clipsearch.maintenance.places import name_places
from clipsearch.models.encoder import Encoder
from clipsearch.system.remote_files import address_of
from clipsearch.text import Notify
from clipsearch.vectors.engine import current_index
from indexer.backends.local import BackendFactory, local_engine
from indexer.commit import BatchCommitter, check_still_there
from indexer.decoder_process import started_ahead
from indexer.dry_run import folders_to_index
from indexer.leasing import begun_job
from indexer.plan import FolderPlan, IndexOptions, Place, locate, patterns_for, plan_folder
from indexer.pooling import pool_again
from indexer.progress_meter import ProgressMeter
from indexer.tally import Tally

logger = logging.getLogger(__name__)

_MOST_OF_A_ROOT = 0.5
"""Share of a root's files that may go at once without `IndexOptions.prune`."""


def index_folders(
    store: Catalog,
    folders: Iterable[Path],
    *,
    encoder: Callable[[], tuple[Encoder, ModelRecord]],
    options: IndexOptions,
    notify: Notify,
    progress: Callable[[IndexProgress], None],
    wait_s: float = 0.0,
    engine: BackendFactory = local_engine,
    keep: Callable[[RootRecord, Batch], None] | None = None,
) -> IndexReport:
    """Bring a catalog up to date with folders; see `Library.index`.

    Args:
        store: the catalog.
        folders: what to walk; every root if there are none.
        encoder: returns the encoder and its model's row; called once the folders are known to exist.
        options: how.
        notify: callback for one-line user notices, such as skipped files.
        progress: called a few times a second, from this thread.
        wait_s: how long to wait for another writer, in seconds.
        engine: returns the engine that reads and embeds.
        keep: given each batch of a root before it is committed.
    """
    started = time.monotonic()
    folders = list(folders)
    to_index = folders_to_index(store, folders)
    for folder in to_index:
        place = locate(store, folder)  # a wrong folder or pattern is reported before anything is loaded
        patterns_for(place, options.exclude)
    # a new library has something to decode: its process starts while the model loads
    with (
        started_ahead() if not store.roots.all() and engine is local_engine else nullcontext(),
        store.indexer_lock(wait_s=wait_s),
    ):
        run = _Run(store, *encoder(), options=options, notify=notify, progress=progress, engine=engine, keep=keep)
        run.index(to_index, are_named=bool(folders))
    return run.report(seconds=time.monotonic() - started)


class _Run:
    """One run; holds what all of its folders share."""

    def __init__(
        self,
        store: Catalog,
        encoder: Encoder,
        model: ModelRecord,
        *,
        options: IndexOptions,
        notify: Notify,
        progress: Callable[[IndexProgress], None],
        engine: BackendFactory,
        keep: Callable[[RootRecord, Batch], None] | None,
    ) -> None:
        self._store = store
        self._model = model
        self._options = options
        self._notify = notify
        self._progress = ProgressMeter(progress)
        self._tally = Tally(notify)
        self._encoder = encoder
        self._engine = engine(store, encoder, model)
        self._keep = keep

    def report(self, *, seconds: float) -> IndexReport:
        """What was done so far."""
        return self._tally.report(seconds=seconds)

    def index(self, folders: Sequence[Path], *, are_named: bool) -> None:
        """All of it, for several folders; `are_named` if they are not simply all there are."""
        interrupted = self._store.jobs.interrupted("index")
        if self._options.exclude and not are_named:
            self._store.exclusions.add(map(exclusion_pattern, self._options.exclude), None)
        with begun_job(self._store, "index") as job_id:
            pool_again(self._store, self._encoder, self._model, notify=self._notify)
            self._index(folders, interrupted, job_id, are_named=are_named)
            with self._tally.watch.time("place names"):
                name_places(self._store)
            with self._tally.watch.time("vector index"):
                self._save_vectors()
            self._store.jobs.finish(job_id)

    def _index(self, folders: Sequence[Path], interrupted: JobRecord | None, job_id: int, *, are_named: bool) -> None:
        with self._tally.watch.time("compare"):
            plans = self._plan_all(folders, are_named=are_named)
        left = sum(len(plan.to_read) for _, plan in plans)
        if interrupted is not None and left:
            begun = interrupted.started_at.astimezone().strftime("%Y-%m-%d %H:%M")
            self._notify(
                f"the run of {begun} was interrupted; the {interrupted.done:,} files that it had committed are kept, "
                f"going on with the {left:,} that are left"
            )
        self._progress.start(left)
        writer = BatchCommitter(
            self._store,
            self._model,
            self._engine,
            self._encoder,
            job_id,
            self._options,
            self._tally,
            self._progress,
            self._keep,
        )
        for root_id, plan in plans:
            writer.read_beside(root_id, plan)
        if left:
            with self._engine:
                for root_id, plan in plans:
                    writer.read_and_embed(root_id, plan)
        for root_id, plan in plans:  # after all is read, so that a file moved between folders is not taken for lost
            self._remove_gone(root_id, plan, job_id)
        self._progress.finish()

    def _save_vectors(self) -> None:
        try:
            with self._store.cache_lock():
                current_index(self._store, self._model, notify=self._notify, locked=True)
        except LibraryLockedError as error:  # whoever indexes or searches next on this machine adds the difference
            logger.info("the vector cache is not saved: %s", error)

    def _plan_all(self, folders: Sequence[Path], *, are_named: bool) -> list[tuple[int, FolderPlan]]:
        """The root and the plan of each folder that is there; a folder inside another needs none of its own."""
        planned: dict[Path, tuple[int, FolderPlan]] = {}
        for folder in folders:
            place = locate(self._store, folder)  # not before: the last folder may have changed the roots
            around = [root_id for path, (root_id, _) in planned.items() if place.folder.is_relative_to(path)]
            if (place.root is None or place.root.id not in around) and self._is_there(place):
                root_id = self._root_id(place)
                if are_named:
                    self._store.exclusions.add(patterns_for(place, self._options.exclude), root_id)
                place = replace(place, root=next(root for root in self._store.roots.all() if root.id == root_id))
                planned[place.folder] = (root_id, self._plan(root_id, place))
        return list(planned.values())

    def _is_there(self, place: Place) -> bool:
        if place.online:
            return True
        self._tally.offline.append(place.folder)
        root = place.base
        if (address := address_of(root)) is not None:
            self._notify(f"{address} cannot be reached, or nothing is left there; nothing is removed")
            return False
        try:
            there = any(root.iterdir())
        except OSError:
            there = False
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
        options = replace(self._options, exclude=())  # the catalog has them by now
        plan = plan_folder(self._store, place, model_id=self._model.id, options=options, scanned=self._progress.scanned)
        for failure in plan.unlisted:
            self._tally.fail(failure.path, failure.reason)
        if plan.unlisted_rows or plan.others or plan.others_gone:
            batch = Batch(root_id, failures=plan.unlisted_rows, removed=sorted(plan.others_gone), others=plan.others)
            self._store.commit(batch, self._model.id)
        self._tally.unread.update(plan.other_kinds)
        self._tally.failures.extend(plan.failed)
        self._tally.unchanged += plan.unchanged
        if plan.is_excluded:
            self._notify(f"{place.folder} is excluded; see what is with: clipsearch roots")
        elif plan.nothing_found and not (plan.gone or plan.excluded):
            self._notify(f"no pictures in {place.folder}")
        return plan

    def _remove_gone(self, root_id: int, plan: FolderPlan, job_id: int) -> None:
        """Drop what is gone or excluded from the catalog, unless being gone may be a mistake."""
        if not plan.gone and not plan.excluded:
            return
        check_still_there(plan.place)
        if plan.excluded:
            self._store.commit(Batch(root_id, removed=sorted(plan.excluded), job_id=job_id), self._model.id)
            self._tally.excluded += len(plan.excluded)
        root = next(root for root in self._store.roots.all() if root.id == root_id)
        moved, lost = self._store.partition_missing(root_id, plan.gone)
        going = plan.gone
        if not self._options.prune and len(lost) > _MOST_OF_A_ROOT * root.files:
            self._tally.missing += len(lost)
            going = plan.gone - lost
            self._notify(
                f"{len(lost):,} of {root.files:,} pictures of {root.path} are gone; nothing is removed, as that may be "
                "a mistake. See which with --dry-run, remove them with --prune"
            )
        if going:
            self._store.commit(Batch(root_id, removed=sorted(going), job_id=job_id), self._model.id)
            self._tally.moved += len(moved)
            self._tally.removed += len(going - moved)
