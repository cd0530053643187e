"""The middle of a run of the indexer: files that have to be read are read, embedded and committed, block by block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FailureRecord, FileRecord, ModelRecord, RootRecord
from clipsearch.errors import LibraryError
from clipsearch.media.segments import Segment
from clipsearch.models.encoder import Encoder
from indexer.backends.local import Engine
from indexer.batch_writer import BatchWriter
from indexer.batches import blocks_of, contents_of, new_embeddings
from indexer.embedding import Embedded
from indexer.leasing import SharedWork
from indexer.plan import FolderPlan, IndexOptions, Place, is_there_now
from indexer.progress_meter import ProgressMeter
from indexer.read import ReadFile
from indexer.scan import ScannedFile, still_exists
from indexer.sidecars import read_sidecars
from indexer.tally import Tally

_SIDECARS = 500
"""Files whose sidecars are committed at a time."""


_Part: TypeAlias = tuple[str | None, tuple[Segment, ...]]
"""A content hash, and the segments of it that a part of its file has."""


@dataclass(frozen=True)
class _Prepared:
    """A batch whose embeddings are not there yet, the parts to embed for it, and the root of its files."""

    batch: Batch
    fresh: list[ReadFile]
    root: RootRecord | None


@dataclass(frozen=True)
class BatchCommitter:
    """Reads, embeds and commits for one run.

    Attributes:
        store: the catalog.
        model: whose embeddings.
        engine: what reads and embeds.
        encoder: pools the frames of videos.
        job_id: the run's row.
        options: of the run.
        tally: where it is counted.
        progress: called for every file.
        keep: given each batch of a root before it is committed.
    """

    store: Catalog
    model: ModelRecord
    engine: Engine
    encoder: Encoder
    job_id: int
    options: IndexOptions
    tally: Tally
    progress: ProgressMeter
    keep: Callable[[RootRecord, Batch], None] | None = None

    def read_and_embed(self, root_id: int, plan: FolderPlan) -> None:
        """Bring all that has to be read of a folder into the catalog.

        While a batch is decoded, the ones before it are embedded, and those before them are committed.
        """
        with BatchWriter(most=self.engine.uncommitted, waiting=self.progress.tick, notify=self.tally.notify) as writer:
            begun: deque[set[_Part]] = deque(maxlen=self.engine.uncommitted)
            for to_read in self._shares(root_id, plan):
                files = self.engine.read(to_read, wanted_from=self._wanted_from, waiting=writer.look)
                waited_for = self.progress.following(self.tally.watch.waits("wait for decoding", files))
                for block in blocks_of(waited_for, self.engine.batch_size):
                    prepared = self._prepare(root_id, plan, block, known=set().union(*begun))
                    writer.add(partial(self.engine.embed, prepared.fresh), partial(self._write, prepared))
                    begun.append({_part(item) for item in prepared.fresh})
                    self.tally.processes = self.engine.processes
                writer.drain()

    def read_beside(self, root_id: int, plan: FolderPlan) -> None:
        """Bring into the catalog what has changed beside files that have not."""
        for block in blocks_of(self.progress.following(plan.beside), _SIDECARS):
            sidecars = {
                file.relative_path: read_sidecars(file.path, file.sidecars, notify=self.tally.notify) for file in block
            }
            if any(record.is_unread for record in sidecars.values()):
                check_still_there(plan.place)
            self.store.commit(Batch(root_id, sidecars=sidecars), self.model.id)
            self.tally.sidecars += len(block)

    def _shares(self, root_id: int, plan: FolderPlan) -> Iterator[Iterable[ScannedFile]]:
        """What this run has to read of a folder: all of it, or what other indexers leave to it."""
        if not self.store.shared:
            yield plan.to_read
            return
        again = self.options.verify or self.options.retry_failed
        shared = SharedWork(
            self.store, self.job_id, root_id, model_id=None if again else self.model.id, done=self._done_elsewhere
        )
        yield from shared.shares(plan.to_read, block=self.engine.look_ahead)

    def _done_elsewhere(self, files: int) -> None:
        self.tally.unchanged += files
        self.progress.advance(files)

    def _wanted_from(self, digest: str) -> int | None:
        return self.store.wanted_from(digest, self.model.id)

    def _prepare(self, root_id: int, plan: FolderPlan, block: list[ReadFile], *, known: set[_Part]) -> _Prepared:
        """Find what is new in a block of files; `known` is what the batches embed that may not be committed yet."""
        for item in block:
            self.tally.decoding.add(item.seconds)
        if any(item.failure is not None for item in block):
            check_still_there(plan.place)
            block = [item for item in block if item.failure is None or still_exists(item.file.path)]
        # copies in a block are embedded once
        decoded = list({_part(item): item for item in block if item.is_decoded}.values())
        # a copy in a block before may have been embedded since this file was decoded
        embedded = self.store.embedded_among({item.content_hash or "" for item in decoded}, self.model.id)
        fresh = [item for item in decoded if item.content_hash not in embedded and _part(item) not in known]
        files, failures = self._rows(block)
        batch = Batch(root_id, contents_of(decoded), (), files, failures, job_id=self.job_id, leased=self.store.shared)
        return _Prepared(batch, fresh, plan.place.root)

    def _write(self, prepared: _Prepared, embedding: Future[Embedded]) -> None:
        """Write a batch in one transaction once it is embedded; on the writing thread."""
        embedded, fresh = embedding.result(), prepared.fresh
        self.tally.add_embedding(embedded.started, embedded.ended)
        with self.tally.watch.time("commit"):
            embeddings = new_embeddings(self.store, self.model, fresh, embedded.views, encoder=self.encoder)
            batch = replace(prepared.batch, embeddings=embeddings)
            if self.keep is not None and prepared.root is not None:
                self.keep(prepared.root, batch)
            self.store.commit(batch, self.model.id)
        ended = sum(item.is_last for item in fresh)
        self.tally.embedded += ended
        self.tally.reused += len(batch.files) - ended
        self.progress.advance(len(batch.files) + len(batch.failures))

    def _rows(self, block: list[ReadFile]) -> tuple[list[FileRecord], list[FailureRecord]]:
        files, failures = [], []
        for item in block:
            seen = (item.file.relative_path, item.file.size, item.file.mtime_ns)
            if item.failure is not None:
                failures.append(FailureRecord(*seen, item.failure))
                self.tally.fail(item.file.path, item.failure)
            elif item.content_hash is not None and item.is_last:
                beside = read_sidecars(item.file.path, item.file.sidecars, notify=self.tally.notify)
                files.append(FileRecord(*seen, item.content_hash, *beside))
        return files, failures


def _part(item: ReadFile) -> _Part:
    return item.content_hash, item.segments


def check_still_there(place: Place) -> None:
    """A drive that goes away in mid-run makes every file unreadable; that says nothing of the files.

    Raises:
        LibraryError: it did.
    """
    if not is_there_now(place):
        raise LibraryError(
            f"{place.base} went offline during the run; progress is saved: connect its drive and run again"
        )
