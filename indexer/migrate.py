"""Changing a library's model: fill the new embedding space beside the old one, fit concepts in it, then switch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord, NewEmbedding, UnembeddedFile
from clipsearch.catalog.reports import IndexProgress, MigrationReport
from clipsearch.catalog.volumes import is_online
from clipsearch.errors import ImageReadError, LibraryError
from clipsearch.labeling.concepts.concept_space import ConceptSpace, fit_all
from clipsearch.media.decoding import load_image
from clipsearch.media.thumbnails import thumbnail_path
from clipsearch.models.encoder import Encoder
from clipsearch.models.parity import spaces_agree
from clipsearch.text import Notify, format_count
from clipsearch.vectors.engine import current_index, library_engine
from indexer.batch_writer import BatchWriter
from indexer.batches import blocks_of, decoding_pool, new_embeddings
from indexer.embedding import Embedded, EmbeddingThreads
from indexer.pooling import pool_again
from indexer.progress_meter import ProgressMeter
from indexer.read import ReadFile
from indexer.scan import ScannedFile


def migrate_library(
    store: Catalog,
    *,
    load_encoder: Callable[[], Encoder],
    concepts_of: Callable[[ModelRecord], ConceptSpace],
    drop_old: bool,
    partial: bool,
    notify: Notify,
    progress: Callable[[IndexProgress], None],
    wait_s: float = 0.0,
) -> MigrationReport:
    """Embed everything with another model, then make searches use it; see `Library.migrate`.

    Args:
        store: the catalog.
        load_encoder: loads the new model.
        concepts_of: the library's concepts in the space of a model.
        drop_old: drop the embeddings of every other model once searches use the new one.
        partial: switch even if some pictures could not be embedded.
        notify: callback for one-line user notices.
        progress: called a few times a second, from this thread.
        wait_s: how long to wait for another writer, in seconds.
    """
    started = time.monotonic()
    with store.writer_lock(wait_s=wait_s):
        encoder = load_encoder()
        model = store.models.add(
            spec=encoder.spec,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            precision=encoder.precision,
            parity=encoder.parity,
        )
        run = _Migration(store, encoder, model, notify=notify, progress=progress)
        run.fill()
        space = next(space for space in store.models.spaces() if space.model == model)
        report = MigrationReport(
            embedded=run.embedded,
            from_preview=run.from_preview,
            missing=space.missing,
            concepts=0,
            switched=False,
            seconds=0.0,
        )
        if not space.missing or partial:
            fitted = fit_all(concepts_of(model), progress=lambda done, total: progress(_fitting(done, total)))
            _switch(store, model, drop_old=drop_old, notify=notify)
            report = replace(report, concepts=fitted, switched=True)
    return replace(report, seconds=time.monotonic() - started)


def _fitting(done: int, total: int) -> IndexProgress:
    return IndexProgress(done, total, images_per_second=0.0, remaining_s=None, of="concept")


def _switch(store: Catalog, model: ModelRecord, *, drop_old: bool, notify: Notify) -> None:
    """Make searches use a model, in one transaction; its vectors are saved before, so that none has to wait."""
    current_index(store, model, notify=notify, locked=True)
    store.models.activate_known(model)
    if drop_old:
        for other in store.models.drop_others(model):
            library_engine(store.directory).delete(store.directory, other)
    current_index(store, model, notify=notify, locked=True)


class _Migration:
    """Fills a model's embedding space from the files, and from previews where files are not there."""

    def __init__(
        self,
        store: Catalog,
        encoder: Encoder,
        model: ModelRecord,
        *,
        notify: Notify,
        progress: Callable[[IndexProgress], None],
    ) -> None:
        self.embedded = self.from_preview = 0
        self._store = store
        self._encoder = encoder
        self._model = model
        self._notify = notify
        self._progress = ProgressMeter(progress)

    def fill(self) -> None:
        """Embed what the model has not embedded yet; an interrupted migration goes on where it was."""
        self._copy()
        pool_again(self._store, self._encoder, self._model, notify=self._notify)
        interrupted = self._store.jobs.interrupted("migrate")
        job_id = self._store.jobs.begin("migrate")
        left = self._store.count_to_embed(self._model.id)
        if interrupted is not None and left:
            begun = interrupted.started_at.astimezone().strftime("%Y-%m-%d %H:%M")
            self._notify(f"the migration of {begun} was interrupted; going on with the {left:,} pictures that are left")
        self._progress.start(left)
        roots = {root.id: root for root in self._store.roots.all()}
        online = {root.id for root in roots.values() if is_online(root)}
        paths = {root.id: root.path for root in roots.values()}
        unread: list[UnembeddedFile] = []
        for root_id in sorted(online):
            todo = [file for file in self._store.files_to_embed(self._model.id) if file.root_id == root_id]
            unread += self._embed_files(todo, paths[root_id], job_id)
            if not is_online(roots[root_id]):
                raise LibraryError(
                    f"{paths[root_id]} went away during the migration; what was committed is safe: "
                    "plug its drive in and run it again"
                )
        unread += [file for file in self._store.files_to_embed(self._model.id) if file.root_id not in online]
        self._embed_previews(unread, job_id)
        self._progress.finish()
        self._store.jobs.finish(job_id)

    def _copy(self) -> None:
        """Copy the embeddings of a model of the same space, such as that to which heads were added."""
        for space in self._store.models.spaces():
            if space.model != self._model and spaces_agree(space.model, self._encoder):
                copied = self._store.models.copy_embeddings(space.model, self._model)
                if copied:
                    pictures = format_count(copied, "picture")
                    self._notify(f"{pictures} copied from {space.model.spec}, whose embeddings are the same")

    def _embed_files(self, files: list[UnembeddedFile], root: Path, job_id: int) -> list[UnembeddedFile]:
        """Embed from the files themselves; returns those that cannot be read, or hold another content now."""
        expected = {file.relative_path: file for file in files}
        scanned = (ScannedFile(root, file.relative_path, file.size, file.mtime_ns) for file in files)
        unread: list[UnembeddedFile] = []
        with (
            EmbeddingThreads(self._encoder) as embedding,
            BatchWriter(most=embedding.sizes.uncommitted, waiting=self._progress.tick, notify=self._notify) as writer,
            decoding_pool(self._encoder, library=self._store.directory) as pool,
        ):
            look_ahead = embedding.sizes.look_ahead
            read = pool.read(scanned, wanted_from=self._wanted_from, look_ahead=look_ahead, waiting=writer.look)
            for block in blocks_of(self._progress.following(read), embedding.sizes.images):
                good = [item for item in block if self._is_as_expected(item, expected[item.file.relative_path])]
                unread += [expected[item.file.relative_path] for item in block if item not in good]
                pixels = [item.pixels for item in good if item.pixels is not None]
                writer.add(partial(embedding.start, pixels), partial(self._write, good, job_id))
        return unread

    def _write(self, files: list[ReadFile], job_id: int, embedding: Future[Embedded]) -> None:
        """Commit files once they are embedded; on the writing thread."""
        views = embedding.result().views
        fresh = new_embeddings(self._store, self._model, files, views, encoder=self._encoder)
        self._store.commit(Batch(None, embeddings=fresh, job_id=job_id), self._model.id)
        ended = sum(item.is_last for item in files)
        self.embedded += ended
        self._progress.advance(ended)

    def _embed_previews(self, files: Iterable[UnembeddedFile], job_id: int) -> None:
        """Embed from thumbnails, at their lower fidelity, until the files themselves can be read."""
        with EmbeddingThreads(self._encoder) as embedding:
            blocks = blocks_of(self._progress.following(self._previews(files)), embedding.sizes.images)
            for block, pictures in embedding.ahead(blocks, lambda block: [pixels[None] for _, pixels in block]):
                fresh = [
                    NewEmbedding(digest, views[0], from_preview=True)
                    for (digest, _), views in zip(block, pictures, strict=True)
                ]
                self._store.commit(Batch(None, embeddings=fresh, job_id=job_id), self._model.id)
                self._progress.advance(len(fresh))
                self.from_preview += len(fresh)
        if self.from_preview:
            self._notify(
                f"{self.from_preview:,} pictures were embedded from their previews, as their drives are not there; "
                "they are embedded again when their folders are indexed"
            )

    def _previews(self, files: Iterable[UnembeddedFile]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Content hash and pixels of each content that has a thumbnail and no embedding at all."""
        transform = self._encoder.transform
        for file in files:
            if self._store.embedding_of(file.content_hash, self._model.id) is not None:
                continue
            try:
                preview = load_image(thumbnail_path(self._store.directory, file.content_hash))
            except ImageReadError:
                continue  # counted as missing: the space lacks it afterwards
            yield file.content_hash, transform(preview.image)

    def _wanted_from(self, digest: str) -> int | None:
        is_embedded = self._store.is_embedded(digest, self._model.id)
        return None if is_embedded else self._store.wanted_from(digest, self._model.id)

    @staticmethod
    def _is_as_expected(item: ReadFile, file: UnembeddedFile) -> bool:
        return item.pixels is not None and item.content_hash == file.content_hash
