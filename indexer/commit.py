"""The middle of a run of the indexer: files that have to be read are read, embedded and committed, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FailureRecord, FileRecord, ModelRecord, NewEmbedding, NewImage, RootRecord
from clipsearch.errors import LibraryError
from clipsearch.media.metadata.reading import ImageMetadata
from indexer.backends.local import Engine
from indexer.batches import blocks_of, new_embeddings
from indexer.leasing import SharedWork
from indexer.plan import FolderPlan, IndexOptions, Place, is_there_now
from indexer.progress_meter import ProgressMeter
from indexer.read import ReadFile
from indexer.scan import ScannedFile, still_exists
from indexer.tally import Tally


@dataclass(frozen=True)
class BatchCommitter:
    """Reads, embeds and commits for one run.

    Attributes:
        store: the catalog.
        model: whose embeddings.
        engine: what reads and embeds.
        job_id: the run's row.
        options: of the run.
        tally: where it is counted.
        progress: told of every file.
        keep: given each batch of a root before it is committed.
    """

    store: Catalog
    model: ModelRecord
    engine: Engine
    job_id: int
    options: IndexOptions
    tally: Tally
    progress: ProgressMeter
    keep: Callable[[RootRecord, Batch], None] | None = None

    def read_and_embed(self, root_id: int, plan: FolderPlan) -> None:
        """Bring all that has to be read of a folder into the catalog."""
        for to_read in self._shares(root_id, plan):
            files = self.engine.read(to_read, is_embedded=self._is_known)
            waited_for = self.progress.following(self.tally.watch.waits("wait for decoding", files))
            for block in blocks_of(waited_for, self.engine.batch_size):
                self._commit(root_id, plan, block)
                self.tally.processes = self.engine.processes

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

    def _is_known(self, digest: str) -> bool:
        return self.store.is_known(digest, self.model.id)

    def _commit(self, root_id: int, plan: FolderPlan, block: list[ReadFile]) -> None:
        """Embed what is new in a block of files and write all of it in one transaction."""
        for item in block:
            self.tally.decoding.add(item.seconds)
        if any(item.failure is not None for item in block):
            check_still_there(plan.place)
            block = [item for item in block if item.failure is None or still_exists(item.file.path)]
        decoded = {item.content_hash: item for item in block if item.content_hash and item.is_decoded}
        # a copy in the block before may have been embedded since this file was decoded
        embedded = self.store.embedded_among(decoded, self.model.id)
        fresh = [item for digest, item in decoded.items() if digest not in embedded]
        embeddings = self._embed(fresh)
        self.progress.advance(len(block) - len(fresh))
        images = [
            NewImage(digest, item.width, item.height, item.format, item.metadata or ImageMetadata(), item.fingerprint)
            for digest, item in decoded.items()
        ]
        files, failures = self._rows(block)
        batch = Batch(root_id, images, embeddings, files, failures, job_id=self.job_id, leased=self.store.shared)
        with self.tally.watch.time("commit"):
            if self.keep is not None and plan.place.root is not None:
                self.keep(plan.place.root, batch)
            self.store.commit(batch, self.model.id)
        self.tally.embedded += len(fresh)
        self.tally.reused += len(files) - len(fresh)

    def _embed(self, fresh: list[ReadFile]) -> list[NewEmbedding]:
        with self.tally.watch.time("embed"):
            pictures = self.engine.embed(fresh, self.progress.advance)
            return [
                embedding
                for item, views in zip(fresh, pictures, strict=True)
                for embedding in new_embeddings(item, views)
            ]

    def _rows(self, block: list[ReadFile]) -> tuple[list[FileRecord], list[FailureRecord]]:
        files, failures = [], []
        for item in block:
            seen = (item.file.relative_path, item.file.size, item.file.mtime_ns)
            if item.failure is not None:
                failures.append(FailureRecord(*seen, item.failure))
                self.tally.fail(item.file.path, item.failure)
            elif item.content_hash is not None:
                files.append(FileRecord(*seen, item.content_hash))
        return files, failures


def check_still_there(place: Place) -> None:
    """A drive that goes away in mid-run makes every file unreadable; that says nothing of the files.

    Raises:
        LibraryError: it did.
    """
    if not is_there_now(place):
        raise LibraryError(
            f"{place.base} went away during the run; what was committed is safe: plug its drive in and run it again"
        )
