"""What a compaction drops and keeps, and that killing it anywhere costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.errors import LibraryLockedError
from clipsearch.library import Library
from clipsearch.maintenance.check import check_library
from clipsearch.maintenance.compact import compact_library
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.thumbnails import write_thumbnail
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.engine import current_index

DIM = 256

COMPACT = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from clipsearch.maintenance.compact import compact_library
from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog

store, kill_at = Catalog(Path(sys.argv[1])), sys.argv[2]
seen = []

def reached(point):
    if point == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

@event.listens_for(Engine, "before_cursor_execute")
def statement(connection, cursor, sql, *rest):
    if sql.startswith(("DELETE", "UPDATE")):
        seen.append(sql)
        reached(f"statement {len(seen)}")

@event.listens_for(Engine, "commit")
def commit(connection):
    reached("commit")

print("started", flush=True)
compact_library(store, notify=print, reached=reached)
print("ended", flush=True)
"""

POINTS = [*(f"statement {number}" for number in range(1, 5)), "commit", "dropped", "previews", "packed", "cached"]


def digest(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"


def make_library(path: Path, *, images: int) -> None:
    """A library whose every second image was deleted; with keywords, and previews of some."""
    path.mkdir()
    store = Catalog(path, create=True)
    model = store.models.activate(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32")
    root = store.roots.add(path.parent / "photos")
    vectors = np.random.default_rng(0).normal(size=(images, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    metadata = ImageMetadata(
        caption="a caption of some length, so that there is something to gain", keywords=("x", "y")
    )
    store.commit(
        Batch(
            root,
            [NewImage(digest(number), 640, 480, "JPEG", metadata) for number in range(images)],
            [NewEmbedding(digest(number), vectors[number]) for number in range(images)],
            [FileRecord(f"{number}.jpg", 1, 2, digest(number)) for number in range(images)],
        ),
        model.id,
    )
    for number in range(20):
        write_thumbnail(path, digest(number), Image.new("RGB", (40, 30), (number, 0, 0)))
    store.commit(Batch(root, removed=[f"{number}.jpg" for number in range(1, images, 2)]), model.id)
    current_index(store, model, notify=print)
    store.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compaction") / "library"
    make_library(path, images=1000)
    return path


@pytest.fixture
def library(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "library")


def contents(library: Path) -> dict[str, object]:
    """All that a compaction must keep, and other data."""
    store = Catalog(library)
    model = store.models.active()
    assert model is not None
    _, ids = store.live_embedding_ids(model.id)
    vectors = {
        int(row): vector.tobytes()
        for block, rows in store.embeddings(ids, dim=DIM)
        for row, vector in zip(block, rows, strict=True)
    }
    index, _ = current_index(store, model, notify=print)
    found = index.search(np.full(DIM, DIM**-0.5, np.float32), 50)
    result = {
        "vectors": vectors,
        "files": {row: files[0].path for row, files in store.files_of(ids.tolist()).items()},
        "cached": index.ids().tolist(),
        "found": found.ids.tolist(),
        "unheld": store.upkeep.count_unreferenced(),
        "previews": sorted(path.stem for path in library.glob("thumbnails/*/*.jpg")),
    }
    store.close()
    return result


def test_what_no_file_holds_goes_and_the_rest_stays(library: Path) -> None:
    before = contents(library)
    store = Catalog(library)
    steps: list[str] = []
    report = compact_library(store, notify=print, reached=steps.append)
    assert steps == ["dropped", "previews", "packed", "cached"]
    assert (report.images, report.embeddings, report.previews) == (500, 500, 10)
    assert report.bytes_after < 0.7 * report.bytes_before
    after = contents(library)
    assert after["unheld"] == (0, 0)
    assert after["previews"] == sorted(digest(number) for number in range(0, 20, 2))
    for kept in ("vectors", "files", "cached", "found"):
        assert after[kept] == before[kept]
    assert check_library(store, sample=None, notify=print).is_sound
    again = compact_library(store, notify=print)
    assert (again.images, again.embeddings, again.previews) == (0, 0, 0)


def test_ids_are_not_used_again_after_a_compaction(library: Path) -> None:
    """Otherwise a stale cache would show one picture for another."""
    store = Catalog(library)
    model = store.models.active()
    assert model is not None
    store.commit(Batch(1, removed=[f"{number}.jpg" for number in range(0, 1000, 2)]), model.id)
    compact_library(store, notify=print)
    image, vector = NewImage("f" * 32, 1, 1, "PNG"), np.eye(1, DIM, dtype=np.float32)[0]
    store.commit(Batch(1, [image], [NewEmbedding("f" * 32, vector)]), model.id)
    found = store.embedding_of("f" * 32, model.id)
    assert found is not None and found[0] == 1001


def test_an_empty_library_is_compacted(tmp_path: Path) -> None:
    report = compact_library(Catalog(tmp_path, create=True), notify=print)
    assert (report.images, report.embeddings, report.previews) == (0, 0, 0)


def test_a_second_writer_waits_for_nobody(library: Path) -> None:
    with writer_lock(library), pytest.raises(LibraryLockedError):
        compact_library(Catalog(library), notify=print)


def test_leftovers_of_killed_processes_go_too(library: Path) -> None:
    left = library / "vectors" / ".tiny.faiss.1.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    compact_library(Catalog(library), notify=print)
    assert not left.exists()


@pytest.mark.long
def test_a_reader_goes_on_while_its_library_is_compacted(library: Path) -> None:
    reader = Catalog(library)
    model = reader.models.active()
    assert model is not None
    index, _ = current_index(reader, model, notify=print)
    query = np.full(DIM, DIM**-0.5, np.float32)
    before = index.search(query, 10)
    with reader.exchange.snapshot() as snapshot:
        assert snapshot.count(model) == (500, 500)
        compact_library(Catalog(library), notify=print)
        assert sum(len(block) for block in snapshot.images(model)) == 500
    np.testing.assert_array_equal(index.search(query, 10).ids, before.ids)
    np.testing.assert_array_equal(current_index(reader, model, notify=print)[0].search(query, 10).ids, before.ids)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("point", POINTS)
def test_a_compaction_killed_at_a_known_point_is_done_again(library: Path, point: str) -> None:
    before = contents(library)
    command = [sys.executable, "-c", COMPACT, str(library), point]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-9, "started\n"), done.stderr
    assert_whole(library, before)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_compaction_killed_at_any_moment_is_done_again(tmp_path: Path) -> None:
    make_library(tmp_path / "large", images=6000)
    shutil.copytree(tmp_path / "large", tmp_path / "quiet")
    with started_compaction(tmp_path / "quiet") as process:
        began = time.monotonic()
        process.wait()
        lasted = time.monotonic() - began
    before = contents(tmp_path / "large")
    random = np.random.default_rng(3)
    killed = 0
    for number in range(5):
        library = shutil.copytree(tmp_path / "large", tmp_path / f"disturbed-{number}")
        with started_compaction(library) as process:
            time.sleep(random.uniform(0.0, lasted))
            process.kill()
            killed += process.wait() != 0
        assert_whole(library, before)
        shutil.rmtree(library)
    assert killed >= 2


def started_compaction(library: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", COMPACT, str(library), "never"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def assert_whole(library: Path, before: dict[str, object]) -> None:
    """A library opens, is sound, has the same content, and is compacted by another try."""
    with Library.open(library) as opened:
        assert opened.maintenance.check(full=True).is_sound
    during = contents(library)
    for kept in ("vectors", "files", "cached", "found"):
        assert during[kept] == before[kept]
    with Library.open(library) as opened:
        opened.maintenance.compact()
        report = opened.maintenance.check(full=True)
    assert report.is_sound and "unheld" not in {finding.code for finding in report.findings}
    after = contents(library)
    for kept in ("vectors", "files", "cached", "found"):
        assert after[kept] == before[kept]
    assert after["previews"] == sorted(digest(number) for number in range(0, 20, 2))
