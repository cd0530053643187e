"""Machines with a shared catalog in PostgreSQL and a Milvus server change its collections one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import clipsearch.vectors.milvus.engine as milvus_engine
from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.cli import cli
from clipsearch.config import DatabaseUrl
from clipsearch.errors import LibraryLockedError
from clipsearch.vectors.delta_index import DeltaIndex
from clipsearch.vectors.engine import choose_engine, current_index
from clipsearch.vectors.faiss.engine import FaissEngine
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.collections import ModelCollections
from clipsearch.vectors.milvus.connection import Fields, MilvusConnection
from clipsearch.vectors.milvus.engine import MilvusEngine
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.move import copy_index
from tests.conftest import Notes
from tests.postgres.server import PostgresServer
from tests.vectors.test_ivf_index import DIM, clustered

MACHINES = 2


class Machine:
    """A machine with a cache of its own."""

    def __init__(self, place: DatabaseUrl, uri: str) -> None:
        self.store = Catalog(place)
        self.engine = MilvusEngine.of_target(uri.removeprefix("milvus:"), self.store.name)
        choose_engine(self.store.directory, self.engine)
        self.model = self.store.models.activate(spec="s", fingerprint="f" * 16, dim=DIM, precision="fp32")
        self.root = self.store.roots.add(Path("/photos"))

    @property
    def collections(self) -> ModelCollections:
        return self.engine.collections(self.store.directory, self.model)

    def add(self, numbers: Iterable[int]) -> None:
        digests = {number: f"{number:032x}" for number in numbers}
        images = [NewImage(digest, 4, 4, "PNG") for digest in digests.values()]
        embeddings = [NewEmbedding(digest, clustered(1, seed=number)[0]) for number, digest in digests.items()]
        files = [FileRecord(f"{number}.png", 1, 1, digest) for number, digest in digests.items()]
        self.store.commit(Batch(self.root, images, embeddings, files), self.model.id)

    def index(self, *, locked: bool) -> VectorIndex:
        return current_index(self.store, self.model, notify=Notes(), locked=locked)[0]

    def live(self) -> list[int]:
        ids: list[int] = self.store.live_embedding_ids(self.model.id)[1].tolist()
        return ids

    def check_stored(self) -> None:
        """The collection equals the catalog."""
        saved = self.collections.current()
        assert saved is not None and saved.stamp.whole and saved.stamp.revision == self.store.revision()
        assert self.collections.connection.ids(saved.name).tolist() == self.live()


@pytest.fixture
def machines(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Machine]]:
    """Two machines with one catalog and one server (Milvus Lite's, over the network)."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(tmp_path / "server"))
    place = postgres_server.catalog()
    machines = []
    for number in range(MACHINES):
        monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path / f"machine {number}"))
        machines.append(Machine(place, f"milvus:http://127.0.0.1:{port}"))
    yield machines
    for machine in machines:
        machine.collections.connection.close()
        machine.store.close()
    server.stop(grace=0).wait()
    database.close()


@pytest.mark.long
def test_a_search_does_not_wait_for_a_machine_that_updates_the_collection(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = machines
    one.add(range(20))
    one.index(locked=True)
    one.add(range(20, 30))
    reached, go_on = threading.Event(), threading.Event()
    upsert = MilvusConnection.upsert
    writers: list[str] = []

    def waiting(self: MilvusConnection, collection: str, blocks: list[Block], fields: Fields) -> None:
        writers.append(threading.current_thread().name)
        reached.set()
        assert go_on.wait(60)
        upsert(self, collection, blocks, fields)

    monkeypatch.setattr(MilvusConnection, "upsert", waiting)
    with ThreadPoolExecutor(1, thread_name_prefix="one") as pool:
        catching_up = pool.submit(one.index, locked=False)
        try:
            assert reached.wait(60)
            found = other.index(locked=False)
            assert isinstance(found, DeltaIndex)
            assert found.ids().tolist() == other.live()
            newest = other.live()[-1]
            (vector,) = found.vectors(np.array([newest]))
            assert found.search(vector, 1).ids.tolist() == [newest]
        finally:
            go_on.set()
        assert isinstance(catching_up.result(), MilvusIndex)
    assert writers == ["one_0"]
    other.check_stored()
    assert isinstance(other.index(locked=False), MilvusIndex)


@pytest.mark.long
def test_a_writer_waits_for_the_other_and_repeats_no_work(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = machines
    one.add(range(20))
    one.index(locked=True)
    one.add(range(20, 30))
    written: list[int] = []
    upsert = MilvusConnection.upsert

    def counting(self: MilvusConnection, collection: str, blocks: list[Block], fields: Fields) -> None:
        written.extend(len(ids) for ids, _ in blocks)
        upsert(self, collection, blocks, fields)

    monkeypatch.setattr(MilvusConnection, "upsert", counting)
    with ThreadPoolExecutor(MACHINES) as pool:
        with one.store.vectors_lock():
            both = [pool.submit(machine.index, locked=True) for machine in machines]
            with pytest.raises(TimeoutError):
                both[1].result(timeout=0.5)
            assert written == []
        assert [index.result().ids().tolist() for index in both] == 2 * [other.live()]
    assert written == [10]
    other.check_stored()


@pytest.mark.long
def test_a_timeout_names_the_holder_of_the_lock(machines: list[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_engine, "_OTHERS_S", 0.1)
    one, other = machines
    one.add(range(5))
    with one.store.vectors_lock():
        with pytest.raises(LibraryLockedError, match=r"process \d+ on .* is writing to the library postgresql:///"):
            other.index(locked=True)
        with pytest.raises(LibraryLockedError):
            copy_index(other.store, f"milvus:{other.collections.connection.address}", notify=Notes())
    with one.store.indexer_lock():  # indexers do not block another machine's index-copy
        copy_index(other.store, f"milvus:{other.collections.connection.address}", notify=Notes())
    other.check_stored()


def test_index_copy_to_an_existing_collection(machines: list[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = machines
    one.add(range(5))
    one.index(locked=True)
    choose_engine(other.store.directory, FaissEngine())
    made = one.collections.names()
    monkeypatch.setattr(MilvusConnection, "upsert", None)
    monkeypatch.setattr(MilvusConnection, "insert", None)
    report = copy_index(other.store, f"milvus:{one.collections.connection.address}", notify=Notes())
    assert (report.vectors, other.collections.names()) == (5, made)
    assert isinstance(other.index(locked=False), MilvusIndex)


def test_concurrent_updates_end_with_the_catalogs_content(machines: list[Machine]) -> None:
    together = threading.Barrier(MACHINES)

    def work(number: int) -> None:
        for step in range(5):
            machines[number].add(range(100 * step + 10 * number, 100 * step + 10 * number + 5))
            together.wait(60)
            index = machines[number].index(locked=step % 2 == number)
            assert set(index.ids().tolist()) <= set(machines[number].live())
            assert len(index) >= 10 * step + 5

    with ThreadPoolExecutor(MACHINES) as pool:
        for done in [pool.submit(work, number) for number in range(MACHINES)]:
            done.result()
    for machine in machines:
        assert machine.index(locked=False).ids().tolist() == machine.live()
    machines[0].check_stored()
    assert len(machines[0].live()) == 50


def test_index_copy_of_an_empty_database(postgres_server: PostgresServer) -> None:
    place = postgres_server.empty_database()
    done = CliRunner().invoke(cli, ["--library", place.text, "index-copy", "--to", "faiss"], prog_name="clipsearch")
    assert (done.exit_code, done.stdout.splitlines()[0][:19]) == (0, "copied     0 embedd")
