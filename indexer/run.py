"""A run of the indexer: compare folders with the catalog, read what changed, embed, commit batch by batch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoders.base import Encoder
from clipsearch.encoders.compiled import available_cores
from clipsearch.errors import ConfigError
from clipsearch.lock import writer_lock
from clipsearch.lookahead import map_ahead
from clipsearch.reports import FileFailure, IndexProgress, IndexReport
from clipsearch.store.image_store import Batch, ImageStore
from clipsearch.store.records import FailureRecord, FileRecord, ModelRecord, NewImage
from clipsearch.vector_cache import current_index
from indexer.read import ReadFile, read_file
from indexer.scan import ScannedFile, scan
from indexer.volumes import volume_id

BATCH_SIZE = 32
"""Pictures embedded and committed at a time; what a crash can cost."""

_CPU_STEP = 8
"""Pictures embedded by one call on a CPU: larger ones are no faster there."""

_LOOK_AHEAD = 3 * BATCH_SIZE
"""Files read before their turn, at most; bounds the memory."""

_PROGRESS_EVERY_S = 0.1


def index_folders(
    store: ImageStore,
    folders: Iterable[Path],
    *,
    encoder: Callable[[], tuple[Encoder, ModelRecord]],
    notify: Callable[[str], None],
    progress: Callable[[IndexProgress], None],
) -> IndexReport:
    """Bring a catalog up to date with folders; see `Library.index`.

    Args:
        store: the catalog.
        folders: what to walk.
        encoder: gives the encoder and its model's row; called once the folders are known to exist.
        notify: told of each file that is skipped, in one line.
        progress: called a few times a second, from this thread.
    """
    started = time.monotonic()
    checked = [_checked_folder(folder) for folder in folders]
    if not checked:
        raise ConfigError("no folder is named; say which to index, for example: clipsearch index ~/Pictures")
    with writer_lock(store.directory):
        loaded, model = encoder()
        run = _Run(store, loaded, model, notify, progress)
        plans = [run.plan(folder) for folder in dict.fromkeys(checked)]
        run.read_and_embed(plans)
        current_index(store, model, notify=notify, locked=True)
    return run.report(seconds=time.monotonic() - started)


@dataclass
class _Plan:
    """What has to be done for one folder: files to read, and files that are gone."""

    root_id: int
    to_read: list[ScannedFile] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


class _Run:
    """One run; holds what all of its folders share."""

    def __init__(
        self,
        store: ImageStore,
        encoder: Encoder,
        model: ModelRecord,
        notify: Callable[[str], None],
        progress: Callable[[IndexProgress], None],
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._model = model
        self._notify = notify
        self._progress = _ProgressMeter(progress)
        self._embedded = self._reused = self._unchanged = self._removed = 0
        self._failures: list[FileFailure] = []

    def report(self, *, seconds: float) -> IndexReport:
        """What was done so far."""
        return IndexReport(
            embedded=self._embedded,
            reused=self._reused,
            unchanged=self._unchanged,
            removed=self._removed,
            failures=list(self._failures),
            seconds=seconds,
        )

    def plan(self, folder: Path) -> _Plan:
        """Compare a folder with the catalog; sizes and times only, no file is read."""
        root_id, prefix, root = self._root_of(folder)
        plan = _Plan(root_id)
        known = {item.relative_path: item for item in self._store.files_in(root_id, prefix)}
        pending = self._store.unembedded_files(root_id, self._model.id)
        reasons = dict(self._store.failures()) if any(item.failed for item in known.values()) else {}
        unlisted: list[str] = []

        def on_error(path: Path, reason: str) -> None:
            unlisted.append(path.relative_to(root).as_posix())
            self._fail(path, reason)

        plan.gone = set(known)
        found = 0
        for file in scan(root, prefix=prefix, on_error=on_error):
            found += 1
            plan.gone.discard(file.relative_path)
            before = known.get(file.relative_path)
            changed = before is None or (before.size, before.mtime_ns) != (file.size, file.mtime_ns)
            if changed or file.relative_path in pending:
                plan.to_read.append(file)
            elif before is not None and before.failed:
                self._failures.append(FileFailure(file.path, reasons.get(file.path, "unreadable")))
            else:
                self._unchanged += 1
            self._progress.scanned()
        # what lies behind a folder that cannot be listed now is not gone
        plan.gone = {path for path in plan.gone if not any(_is_below(path, folder) for folder in unlisted)}
        if not found:
            self._explain_nothing_found(folder, plan)
        return plan

    def read_and_embed(self, plans: list[_Plan]) -> None:
        """Carry the plans out: decoding in threads, embedding and committing in this one."""
        self._progress.start(sum(len(plan.to_read) for plan in plans))
        read = partial(read_file, transform=self._encoder.transform, is_embedded=self._is_embedded)
        for plan in plans:
            files = map_ahead(read, plan.to_read, workers=max(2, available_cores()), look_ahead=_LOOK_AHEAD)
            with contextlib.closing(files):
                for block in _blocks(files, BATCH_SIZE):
                    self._commit(plan.root_id, block)
            if plan.gone:
                self._store.commit(Batch(plan.root_id, removed=sorted(plan.gone)), self._model.id)
                self._removed += len(plan.gone)
        self._progress.finish()

    def _root_of(self, folder: Path) -> tuple[int, str, Path]:
        """The root that holds a folder (made if there is none), and the folder's relative path in it."""
        for root in self._store.roots():
            if folder.is_relative_to(root.path):
                relative = folder.relative_to(root.path).as_posix()
                return root.id, "" if relative == "." else relative, root.path
        return self._store.add_root(folder, volume_id(folder)), "", folder

    def _is_embedded(self, digest: str) -> bool:
        return self._store.embedding_of(digest, self._model.id) is not None

    def _commit(self, root_id: int, block: list[ReadFile]) -> None:
        """Embed what is new in a block of files and write all of it in one transaction."""
        fresh = {item.content_hash: item for item in block if item.content_hash and item.pixels is not None}
        # a copy in the block before may have been embedded since this file was decoded
        fresh = {digest: item for digest, item in fresh.items() if not self._is_embedded(digest)}
        images: list[NewImage] = []
        if fresh:
            embeddings = self._embed([item.pixels for item in fresh.values() if item.pixels is not None])
            images = [
                NewImage(digest, item.width, item.height, item.format, embedding)
                for (digest, item), embedding in zip(fresh.items(), embeddings, strict=True)
            ]
        self._progress.advance(len(block) - len(images))
        files, failures = [], []
        for item in block:
            seen = (item.file.relative_path, item.file.size, item.file.mtime_ns)
            if item.failure is not None:
                failures.append(FailureRecord(*seen, item.failure))
                self._fail(item.file.path, item.failure)
            elif item.content_hash is not None:
                files.append(FileRecord(*seen, item.content_hash))
        self._store.commit(Batch(root_id, images=images, files=files, failures=failures), self._model.id)
        self._embedded += len(images)
        self._reused += len(files) - len(images)

    def _embed(self, pixels: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Embed pictures one after the other, telling the progress of slow models within a batch too."""
        step = _CPU_STEP if self._encoder.device == "cpu" else len(pixels)
        for start in range(0, len(pixels), step):
            part = pixels[start : start + step]
            yield from self._encoder.encode_pixels(np.stack(part))
            self._progress.advance(len(part))

    def _fail(self, path: Path, reason: str) -> None:
        self._notify(f"skipping {path}: {reason}")
        self._failures.append(FileFailure(path, reason))

    def _explain_nothing_found(self, folder: Path, plan: _Plan) -> None:
        """Say that a folder holds no pictures; where it used to, it is taken for an unplugged drive."""
        if plan.gone:
            self._notify(
                f"{folder} holds no pictures now, but {len(plan.gone)} are in the catalog; nothing is removed, "
                "as its drive may be unplugged"
            )
            plan.gone = set()
        else:
            self._notify(f"no pictures in {folder}")


class _ProgressMeter:
    """Tells progress a few times a second, however often it is called."""

    def __init__(self, tell: Callable[[IndexProgress], None]) -> None:
        self._tell = tell
        self._done, self._total = 0, 0
        self._started = self._told = time.monotonic()

    def scanned(self) -> None:
        if self._due():
            self._tell(IndexProgress(0, None, 0.0, None))

    def start(self, total: int) -> None:
        self._total, self._started = total, time.monotonic()
        self._tell(IndexProgress(0, total, 0.0, None))

    def advance(self, files: int) -> None:
        self._done += files
        if self._due():
            self._tell(self._now())

    def finish(self) -> None:
        self._tell(self._now())

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self._told >= _PROGRESS_EVERY_S
        self._told = now if due else self._told
        return due

    def _now(self) -> IndexProgress:
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        return IndexProgress(self._done, self._total, rate, (self._total - self._done) / rate if rate else None)


def _checked_folder(folder: Path) -> Path:
    if not folder.exists():
        raise ConfigError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name the folder that holds it")
    resolved = folder.resolve()
    # POSIX lets "//photos" stand beside "/photos"; the catalog holds one of them
    return Path("/" + str(resolved).lstrip("/")) if str(resolved).startswith("//") else resolved


def _is_below(path: str, folder: str) -> bool:
    return folder in (".", path) or path.startswith(f"{folder}/")


def _blocks(items: Iterable[ReadFile], size: int) -> Iterator[list[ReadFile]]:
    block: list[ReadFile] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
