"""A run that reads the text in pictures: likely ones first, the newest first, committed batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.reports import IndexProgress, TextReport
from clipsearch.catalog.texts import UnreadFile
from clipsearch.catalog.volumes import is_online
from clipsearch.media.ocr import READER
from clipsearch.system.cpu import available_cores
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import Notify, format_count
from indexer.batches import blocks_of
from indexer.progress_meter import ProgressMeter
from indexer.read import ReadFile
from indexer.scan import ScannedFile, still_exists
from indexer.workers import DecodingPool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BATCH_SIZE = 16
"""Pictures committed at a time; what a crash can cost."""

_SAME_SHOT = 0.8
"""Cosine of neighboring frames of a video, from which on they are of one shot."""

_TIME_LIMIT_S = 120.0
"""For a page full of small print on a slow core."""


def read_texts(
    store: Catalog,
    *,
    likely: Callable[[Sequence[str]], set[str]],
    limit: int | None,
    notify: Notify,
    progress: Callable[[IndexProgress], None],
) -> TextReport:
    """Read the text of pictures that were not read yet; see `Texts.read`.

    It takes no lock, so that indexing may go on beside: a batch is one transaction, and leaves out what was removed.

    Args:
        store: the catalog.
        likely: which of some contents probably show text; those are read first.
        limit: pictures to read at most.
        notify: callback for one-line user notices.
        progress: called a few times a second, from this thread.
    """
    require_extra("ocr", what="reading text in pictures")
    started = time.monotonic()
    roots = {root.id: root for root in store.roots.all()}
    online = {root_id for root_id, root in roots.items() if is_online(root)}
    unread = list(store.texts.unread(READER))
    files = [file for file in unread if file.root_id in online]
    if len(files) < len(unread):
        notify(f"{format_count(len(unread) - len(files), 'picture')} of offline roots are left for later")
    first = likely([file.content_hash for file in files]) if files else set()
    files.sort(key=lambda file: file.content_hash not in first)  # stable: the newest first within both
    run = _TextRun(store, {root_id: root.path for root_id, root in roots.items()}, notify, ProgressMeter(progress))
    run.read(files[:limit])
    counts = store.texts.counts(READER)
    return TextReport(
        read=run.done,
        with_text=run.with_text,
        lines=run.lines,
        failed=run.failed,
        left=counts.contents - counts.read,
        seconds=time.monotonic() - started,
    )


def shot_positions(positions: NDArray[np.int64], vectors: NDArray[np.float32]) -> tuple[int, ...]:
    """The middle frame of each run of frames that resemble the ones before them.

    Args:
        positions: of the frames, int64 [n], ascending.
        vectors: their embeddings, float32 [n, dim], unit length.
    """
    if not len(positions):
        return ()
    cuts = np.flatnonzero((vectors[1:] * vectors[:-1]).sum(axis=1) < _SAME_SHOT) + 1
    return tuple(int(shot[len(shot) // 2]) for shot in np.split(positions, cuts))


class _TextRun:
    """Reads and commits, and counts."""

    def __init__(self, store: Catalog, roots: Mapping[int, Path], notify: Notify, progress: ProgressMeter) -> None:
        self.done = self.with_text = self.lines = self.failed = 0
        self._store = store
        self._roots = roots
        self._notify = notify
        self._progress = progress

    def read(self, files: Sequence[UnreadFile]) -> None:
        """Read files, and commit what was read batch by batch."""
        self._progress.start(len(files))
        if files:
            try:
                for block in blocks_of(self._progress.following(self._read(files)), BATCH_SIZE):
                    self._commit(block)
            finally:
                if self.lines:
                    self._store.texts.publish()
        self._progress.finish()

    def _read(self, files: Sequence[UnreadFile]) -> Iterator[tuple[UnreadFile, ReadFile]]:
        scanned = (
            ScannedFile(self._roots[file.root_id], file.relative_path, file.size, file.mtime_ns) for file in files
        )
        workers = available_cores()
        with DecodingPool(None, thumbnails=None, workers=workers, time_limit_s=_TIME_LIMIT_S) as pool:
            read = pool.read(scanned, wanted_from=self._shots, look_ahead=2 * workers)
            yield from zip(files, read, strict=True)

    def _shots(self, content_hash: str) -> tuple[int, ...]:
        """The middle frame of each shot of a video, by the embedded frames, in milliseconds."""
        model = self._store.models.active()
        if model is None:
            return ()
        frames = self._store.frames_of_content(content_hash, model.id, dim=model.dim)
        return shot_positions(frames.positions, frames.vectors.astype(np.float32))

    def _commit(self, block: Sequence[tuple[UnreadFile, ReadFile]]) -> None:
        # a file that has changed since is another content, for the indexer to find
        read = {file.content_hash: item.lines for file, item in block if item.content_hash == file.content_hash}
        self._store.texts.write(read, reader=READER)
        failed = [file for file, item in block if item.failure is not None and still_exists(item.file.path)]
        for _, item in block:
            if item.failure is not None:
                self._notify(f"skipping the text of {item.file.path}: {item.failure}")
        self._store.texts.fail([file.content_hash for file in failed], reader=READER)
        self.done += len(read)
        self.failed += sum(item.failure is not None for _, item in block)
        self.with_text += sum(bool(lines) for lines in read.values())
        self.lines += sum(len(lines) for lines in read.values())
        self._progress.advance(len(block))
