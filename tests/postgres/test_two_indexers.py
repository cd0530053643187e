"""Concurrent indexers of one catalog in PostgreSQL embed every image once, even if one is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.leases import LeasedFile
from clipsearch.catalog.records import FailureRecord, FileRecord, NewEmbedding, NewImage
from clipsearch.config import DatabaseUrl
from clipsearch.errors import LibraryError, LibraryLockedError
from clipsearch.library import Library
from tests.conftest import ColourEncoder, save_photo
from tests.postgres.server import PostgresServer

PHOTOS = 160

INDEXER = """
import json, sys, time

import indexer.leasing
from clipsearch.library import Library
from indexer.embedding import SMALL_BATCH
from tests.conftest import ColourEncoder

indexer.leasing.LEASE_S = float(sys.argv[4])

class Waiting(ColourEncoder):
    def encode_pixels(self, pixels):
        print("embedding", flush=True)
        if sys.argv[3] == "for ever" and self.embedded >= 2 * SMALL_BATCH:
            time.sleep(3600)
        time.sleep(0.05)
        return super().encode_pixels(pixels)

encoder = Waiting()
with Library.open(sys.argv[1], create=True, encoder=encoder) as library:
    report = library.index(sys.argv[2])
print(json.dumps([report.embedded, encoder.embedded, len(report.failures)]))
"""


def start(place: DatabaseUrl, photos: Path, wait: str = "", *, lease_s: float = 60) -> subprocess.Popen[str]:
    """Start an indexer; ``for ever`` makes it hang in the third batch."""
    command = [sys.executable, "-c", INDEXER, place.text, str(photos), wait, str(lease_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def result(process: subprocess.Popen[str]) -> tuple[int, int, int]:
    """Numbers of committed, embedded and failed images."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    committed, embedded, failures = json.loads(output.splitlines()[-1])
    return committed, embedded, failures


@pytest.fixture
def place(postgres_server: PostgresServer) -> DatabaseUrl:
    return postgres_server.catalog()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(PHOTOS):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 1, 2))
    return tmp_path / "photos"


@pytest.fixture
def store(place: DatabaseUrl) -> Iterator[Catalog]:
    store = Catalog(place)
    yield store
    store.close()


def embeddings(store: Catalog) -> int:
    """Number of embeddings; every file has one."""
    assert store.counts().files == store.counts().images == PHOTOS
    (space,) = store.models.spaces()
    assert (space.embedded, space.missing) == (PHOTOS, 0)
    return store.upkeep.count_embeddings()


def rows(server: PostgresServer, place: DatabaseUrl, table: str) -> int:
    """Number of rows of a table."""
    ((count,),) = server.execute(f"SELECT count(*) FROM {table}", str(place).rpartition("/")[2])
    return int(count)


@pytest.mark.long
def test_two_at_once_share_the_work(place: DatabaseUrl, folder: Path, store: Catalog) -> None:
    both = [result(process) for process in [start(place, folder), start(place, folder)]]
    assert embeddings(store) == PHOTOS
    assert sum(embedded for embedded, _, _ in both) == sum(asked for _, asked, _ in both) == PHOTOS
    assert all(failures == 0 for _, _, failures in both)
    assert store.jobs.interrupted("index") is None


@pytest.mark.long
def test_another_indexer_finishes_the_work_of_a_killed_one(
    postgres_server: PostgresServer, place: DatabaseUrl, folder: Path, store: Catalog
) -> None:
    killed = start(place, folder, "for ever", lease_s=3)
    assert killed.stdout is not None
    for _ in range(3):  # the third batch is begun once the first one is committed
        killed.stdout.readline()
    other = start(place, folder, lease_s=3)
    while rows(postgres_server, place, "jobs") < 2:
        assert other.poll() is None
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    assert 0 < result(other)[0] < PHOTOS
    assert embeddings(store) == PHOTOS
    interrupted = store.jobs.interrupted("index")
    assert interrupted is not None and 0 < interrupted.done < PHOTOS
    with Library.open(place, encoder=ColourEncoder()) as library:
        report = library.index(folder)
    assert (report.embedded, report.unchanged) == (0, PHOTOS)
    assert store.jobs.interrupted("index") is None


def test_exclusive_writers_wait_for_indexers(place: DatabaseUrl, store: Catalog) -> None:
    who = r"process \d+ on .* is writing to the library postgresql:///"
    with store.indexer_lock(), store.indexer_lock(), pytest.raises(LibraryLockedError, match=who):
        store.writer_lock().__enter__()
    with store.writer_lock(), pytest.raises(LibraryLockedError):
        store.indexer_lock().__enter__()
    with store.writer_lock(wait_s=5):
        pass


# --- leases -----------------------------------------------------------------------------------------


def found(*names: str) -> list[LeasedFile]:
    return [LeasedFile(name, 1, 2) for name in names]


def test_a_file_is_leased_once_until_its_job_expires(store: Catalog) -> None:
    root = store.roots.add(Path("/photos"))
    first, second = (store.jobs.begin("index", lease_s=60) for _ in range(2))
    assert store.leases.claim(first, root, found("a", "b"), model_id=None).granted == {"a", "b"}
    assert store.leases.claim(second, root, found("b", "c"), model_id=None).granted == {"c"}
    assert store.jobs.extend(first, -1)
    assert store.leases.claim(second, root, found("a", "b"), model_id=None).granted == {"a", "b"}
    third = store.jobs.begin("index", lease_s=60)  # deletes expired jobs
    assert not store.jobs.extend(first, 60)
    with pytest.raises(LibraryError, match="lease expired"):
        store.leases.claim(first, root, found("d"), model_id=None)
    store.leases.release(second)
    assert store.leases.claim(third, root, found("a", "b", "c"), model_id=None).granted == {"a", "b", "c"}


def test_committed_files_are_done_and_a_commit_ends_their_leases(
    postgres_server: PostgresServer, place: DatabaseUrl, store: Catalog
) -> None:
    model = store.models.activate(spec="colours", fingerprint="ff", dim=4, precision="fp32")
    root = store.roots.add(Path("/photos"))
    first, second = (store.jobs.begin("index", lease_s=60) for _ in range(2))
    assert store.leases.claim(first, root, found("good", "bad", "left"), model_id=model.id).granted
    vector = ColourEncoder(dim=4).encode_texts(["red"])[0]
    files, failures = [FileRecord("good", 1, 2, "aa")], [FailureRecord("bad", 1, 2, "damaged")]
    image, embedding = NewImage("aa", 6, 4, "JPEG"), NewEmbedding("aa", vector)
    store.commit(Batch(root, [image], [embedding], files, failures, job_id=first, leased=True), model.id)
    claim = store.leases.claim(second, root, found("good", "bad", "left"), model_id=model.id)
    assert (claim.granted, claim.done) == (frozenset(), {"good", "bad"})
    changed = [LeasedFile("good", 1, 3)]
    assert store.leases.claim(second, root, changed, model_id=model.id).granted == {"good"}
    assert store.leases.claim(second, root, found("bad"), model_id=None).granted == {"bad"}
    store.jobs.finish(first)
    assert store.leases.claim(second, root, found("left"), model_id=model.id).granted == {"left"}
    store.jobs.finish(second)
    assert rows(postgres_server, place, "leases") == 0
