"""Batches are decoded, embedded and committed at the same time, in order, and whatever ends a run leaves whole ones."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.reports import IndexProgress
from clipsearch.config import data_dir
from clipsearch.errors import LibraryError, ModelError
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.onnx.encoder import CompiledEncoder
from indexer.batch_writer import BatchWriter
from indexer.decoder_process import started_ahead
from indexer.embedding import SMALL_BATCH, BatchSizes, EmbeddingThreads, batch_sizes
from tests.conftest import ColourEncoder, Notes, save_photo

Open = Callable[..., Library]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(100):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 2 * number, 255 - number), size=(8, 8))
    return tmp_path / "photos"


class Gate(ColourEncoder):
    """Embeds the second batch only once the first one is being committed."""

    def __init__(self) -> None:
        super().__init__()
        self.committing = threading.Event()

    def encode_pixels(self, pixels: np.ndarray) -> FloatMatrix:
        if self.embedded == SMALL_BATCH:
            assert self.committing.wait(30)
        return super().encode_pixels(pixels)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[Batch], None]]:
    """What is called before each batch of files is committed."""
    called: list[Callable[[Batch], None]] = []
    commit = Catalog.commit

    def watched(store: Catalog, batch: Batch, model_id: int) -> None:
        if batch.files:
            for function in called:
                function(batch)
        commit(store, batch, model_id)

    monkeypatch.setattr(Catalog, "commit", watched)
    return called


def test_a_batch_is_committed_while_the_next_one_is_embedded(
    open_library: Open, photos: Path, commits: list[Callable[[Batch], None]]
) -> None:
    encoder = Gate()

    def until_embedded(_: Batch) -> None:
        encoder.committing.set()
        limit = time.monotonic() + 30
        while encoder.embedded < 2 * SMALL_BATCH:  # would not come if embedding waited for this commit
            assert time.monotonic() < limit
            time.sleep(0.01)

    commits.append(until_embedded)
    library = open_library(encoder=encoder)
    commits.append(lambda _: commits.clear())
    assert library.index(photos).embedded == 100


@pytest.mark.long
def test_no_more_is_begun_than_may_be_lost(
    open_library: Open, photos: Path, commits: list[Callable[[Batch], None]]
) -> None:
    encoder = ColourEncoder()
    committed = [0]

    def check(batch: Batch) -> None:
        time.sleep(0.02)  # what could run ahead has time to
        assert encoder.embedded - committed[0] <= 2 * SMALL_BATCH
        committed[0] += len(batch.files)

    commits.append(check)
    assert open_library(encoder=encoder).index(photos).embedded == 100
    assert committed == [100]


def test_copies_in_batches_under_way_are_embedded_once(open_library: Open, tmp_path: Path) -> None:
    for number in range(20):
        save_photo(tmp_path / "photos" / f"{number:03}.png", (number, 1, 2), size=(8, 8))
    for number in range(20, 100):
        shutil.copy(tmp_path / "photos" / f"{number % 20:03}.png", tmp_path / "photos" / f"{number:03}.png")
    encoder = ColourEncoder()
    report = open_library(encoder=encoder).index(tmp_path / "photos")
    assert (encoder.embedded, report.embedded, report.reused) == (20, 20, 80)


@pytest.mark.long
def test_a_failed_commit_ends_the_run_at_once(
    open_library: Open, photos: Path, commits: list[Callable[[Batch], None]]
) -> None:
    seen: list[int] = []

    def full(batch: Batch) -> None:
        seen.append(len(batch.files))
        if len(seen) == 2:
            raise LibraryError("the disk is full")

    commits.append(full)
    encoder = ColourEncoder()
    library = open_library(encoder=encoder)
    with pytest.raises(LibraryError, match="the disk is full"):
        library.index(photos)
    assert len(seen) == 2  # nothing after it, which might depend on it
    assert encoder.embedded <= 4 * SMALL_BATCH
    commits.clear()
    assert library.status().files == SMALL_BATCH
    assert library.index(photos).unchanged == SMALL_BATCH


def test_a_model_that_fails_ends_the_run_and_keeps_what_was_embedded_before(open_library: Open, photos: Path) -> None:
    class Failing(ColourEncoder):
        def encode_pixels(self, pixels: np.ndarray) -> FloatMatrix:
            if self.embedded >= 2 * SMALL_BATCH:
                raise ModelError("out of order")
            return super().encode_pixels(pixels)

    with pytest.raises(ModelError, match="out of order"):
        open_library(encoder=Failing()).index(photos)
    assert open_library().status().files == 2 * SMALL_BATCH


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_is_ended_commits_what_it_has_begun(
    open_library: Open, photos: Path, notes: Notes, end: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.progress_meter._EVERY_S", 0.0)
    encoder = ColourEncoder()
    library = open_library(encoder=encoder)

    def stop(progress: IndexProgress) -> None:
        if progress.done >= 40:
            raise end

    with pytest.raises(end):
        library.index(photos, progress=stop)
    files = library.status().files
    assert files >= 40 and files == encoder.embedded
    assert any("press Ctrl-C again" in note for note in notes) == (end is KeyboardInterrupt)
    assert library.maintenance.check(full=True).is_sound


def test_only_a_new_library_starts_a_process_before_it_knows_what_to_read(
    open_library: Open, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[float] = []
    popen = subprocess.Popen

    def watched(*arguments: Any, **options: Any) -> Any:
        started.append(time.monotonic())
        return popen(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", watched)
    library = open_library()
    library.index(photos)
    assert started
    started.clear()
    library.index(photos)
    assert not started  # nothing to decode


def test_a_process_that_nobody_takes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def watched(*arguments: Any, **options: Any) -> Any:
        processes.append(popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", watched)
    with started_ahead():
        (process,) = processes
        assert process.poll() is None
    assert process.poll() is not None


def test_an_error_is_raised_while_a_file_is_waited_for() -> None:
    def fail(_: None) -> None:
        raise LibraryError("gone")

    with pytest.raises(LibraryError, match="gone"), BatchWriter(most=2, waiting=lambda: None, notify=print) as writer:
        writer.add(lambda: None, fail)
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            writer.look()


def test_a_second_interrupt_waits_for_the_batch_in_progress_only() -> None:
    written: list[int] = []
    release, writing = threading.Event(), threading.Event()

    def slowly(number: int) -> None:
        writing.set()
        assert release.wait(30)
        written.append(number)

    def interrupt() -> None:
        assert writing.wait(30)
        threading.Timer(0.05, release.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), BatchWriter(most=3, waiting=interrupt, notify=print) as writer:
        for number in range(3):
            writer.add(lambda number=number: number, slowly)  # type: ignore[misc]
    assert written == [0]


def test_blocks_come_in_order_with_their_embeddings() -> None:
    encoder = ColourEncoder()
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    blocks = [list(range(start, start + 8)) for start in range(0, 40, 8)]
    with EmbeddingThreads(encoder) as embedding:
        found = list(embedding.ahead(blocks, lambda block: [pictures[number][None] for number in block]))
    assert [block for block, _ in found] == blocks
    embeddings = np.concatenate([views for _, all_views in found for views in all_views])
    np.testing.assert_array_equal(
        embeddings, np.concatenate([encoder.encode_pixels(pictures[block]) for block in blocks])
    )


@pytest.mark.parametrize(
    ("cores", "sizes"), [(1, (16, 2, 2)), (2, (16, 2, 2)), (4, (32, 2, 3)), (16, (128, 2, 3))], ids=str
)
def test_batches_follow_the_cores(cores: int, sizes: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.models.onnx.encoder.available_cores", lambda: cores)
    encoder = CompiledEncoder(data_dir() / "models" / "mini")
    assert encoder.images_per_run == 8  # of a core at a time, at best
    assert batch_sizes(encoder) == BatchSizes(*sizes)
    assert batch_sizes(ColourEncoder()) == BatchSizes(16, 1, 2)
