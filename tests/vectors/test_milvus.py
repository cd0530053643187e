"""A library's vectors on Milvus Lite stay in sync with the catalog."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pymilvus
import pytest
from hypothesis import HealthCheck, given, settings

import clipsearch.vectors.milvus.index as milvus
import clipsearch.vectors.milvus.refresh as milvus_refresh
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.delta_index import DeltaIndex
from clipsearch.vectors.engine import (
    choose_engine,
    current_index,
    engine_named,
    library_engine,
)
from clipsearch.vectors.faiss.engine import FaissEngine
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.collections import ModelCollections, SavedCollection
from clipsearch.vectors.milvus.connection import Fields, MilvusConnection
from clipsearch.vectors.milvus.engine import LOCAL_NAME, MilvusEngine
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.tuning import TARGET_RECALL
from tests.vectors.test_ivf_index import DIM, STEPS, THRESHOLD, FilledCatalog, queries

ENGINE = MilvusEngine(LOCAL_NAME, "5pace")


class MilvusCatalog(FilledCatalog):
    """A catalog whose vectors are on Milvus."""

    def __init__(self, directory: Path, engine: MilvusEngine = ENGINE) -> None:
        super().__init__(directory)
        self.engine = engine
        choose_engine(directory, engine)

    @property
    def connection(self) -> MilvusConnection:
        # held as a library's index holds it: Milvus Lite would stop and start its server for every question
        self._held = self.engine.connect(self.store.directory)
        return self._held

    @property
    def collections(self) -> ModelCollections:
        assert self.connection
        return self.engine.collections(self.store.directory, self.model)

    @property
    def saved(self) -> SavedCollection:
        found = self.collections.current()
        assert found is not None
        return found

    def lose(self) -> None:
        self.collections.drop()

    def index(self, *, locked: bool) -> VectorIndex:
        index, revision = current_index(
            self.store, self.model, notify=self.notes, locked=locked, approximate_from=THRESHOLD
        )
        assert revision == self.store.revision()
        return index

    def check_stored(self) -> None:
        """The collection and its manifest equal the catalog."""
        _, live = self.store.live_embedding_ids(self.model.id)
        assert self.connection.ids(self.saved.name).tolist() == live.tolist()
        assert self.saved.stamp.whole and self.saved.stamp.revision == self.store.revision()
        kept = self.collections.saved_rows(self.saved)
        assert kept is not None and kept.ids.tolist() == live.tolist()
        assert kept.digests.tolist() == self.collections.listed_rows(self.saved.name).digests.tolist()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[MilvusCatalog]:
    catalog = MilvusCatalog(tmp_path)
    yield catalog
    catalog.store.close()
    if catalog.engine.is_local:
        catalog.connection.close()


def test_a_writer_chooses_the_kind_of_index_by_the_number_of_vectors(catalog: MilvusCatalog) -> None:
    catalog.index(locked=True)
    assert catalog.saved.stamp.lists == 0
    catalog.add(list(range(THRESHOLD - 1)))
    first = catalog.index(locked=True)
    assert isinstance(first, MilvusIndex)
    catalog.check(first)
    assert (catalog.saved.stamp.lists, catalog.notes) == (0, [])
    catalog.add([1000])
    catalog.check(catalog.index(locked=True))
    assert catalog.saved.stamp.lists > 0
    assert len(catalog.notes) == 1 and "on Milvus; searches continue" in catalog.notes[0]
    catalog.check_stored()
    catalog.remove(list(range(15)))
    catalog.check(catalog.index(locked=True))
    assert catalog.saved.stamp.lists > 0  # not far below
    catalog.remove(list(range(15, 30)))
    catalog.check(catalog.index(locked=True))
    assert catalog.saved.stamp.lists == 0
    catalog.check_stored()
    assert len(catalog.collections.names()) == 1
    assert (
        library_engine(catalog.store.directory).saved(catalog.store.directory, catalog.model, catalog.store.revision())
        is None
    )
    assert not list(catalog.store.directory.glob("vectors/*.faiss"))


def test_a_current_collection_is_not_changed(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(20)))
    catalog.index(locked=True)
    before = catalog.saved
    catalog.check(catalog.index(locked=False))
    assert catalog.saved == before


def test_a_search_never_trains(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(2 * THRESHOLD)))
    catalog.check(catalog.index(locked=False))
    assert (catalog.saved.stamp.lists, catalog.notes) == (0, [])
    catalog.check(catalog.index(locked=True))
    assert catalog.saved.stamp.lists > 0  # of the same revision


@pytest.mark.long
def test_the_number_of_lists_to_probe_is_tuned(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_refresh, "LISTS_OF_FILE", 40)
    catalog.add(list(range(450)))
    index = catalog.index(locked=True)
    stamp = catalog.saved.stamp
    assert [probing.k for probing in stamp.probing] == [20]
    assert 1 < stamp.probing[0].lists <= stamp.lists == 40
    assert stamp.probing[0].recall >= TARGET_RECALL
    assert stamp.tuned == 450
    exact = FlatIndex(DIM)
    exact.add(index.ids(), index.vectors(index.ids()))
    found = sum(len(np.intersect1d(index.search(query, 10).ids, exact.search(query, 10).ids)) for query in queries(20))
    assert found >= 0.95 * 200


@pytest.mark.parametrize("locked", [False, True])
def test_a_stale_collection_gets_the_difference(
    catalog: MilvusCatalog, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.add(list(range(30)))
    catalog.index(locked=True)
    name = catalog.saved.name
    catalog.add(list(range(500, 505)))
    catalog.remove(list(range(10)))
    written: list[int] = []
    upsert = MilvusConnection.upsert

    def counting(self: MilvusConnection, collection: str, blocks: list[Block], fields: Fields) -> None:
        written.extend(len(ids) for ids, _ in blocks)
        upsert(self, collection, blocks, fields)

    monkeypatch.setattr(MilvusConnection, "upsert", counting)
    catalog.check(catalog.index(locked=locked))
    assert (catalog.saved.name, sum(written)) == (name, 5)
    catalog.check_stored()


def test_a_search_beside_a_writer_is_correct_without_writing(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(30)))
    with writer_lock(catalog.store.directory):
        index = catalog.index(locked=False)
        assert isinstance(index, FlatIndex)  # there is nothing to build on
        catalog.check(index)
        assert catalog.collections.names() == []
        catalog.index(locked=True)
        stamp = catalog.saved.stamp
        catalog.add([700, 701])
        catalog.remove([3, 4])
        index = catalog.index(locked=False)
        assert isinstance(index, DeltaIndex)
        catalog.check(index)
        assert catalog.saved.stamp == stamp
        catalog.index(locked=True)  # the writer brings up to date what the search has opened
        catalog.check(index)


@pytest.mark.long
@pytest.mark.parametrize("broken", ["delete", "upsert", "flush"])
def test_an_interrupted_change_is_repaired(
    catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(milvus_refresh, "_FLUSH_FROM", 0)
    catalog.add(list(range(30)))
    catalog.index(locked=True)
    catalog.add(list(range(100, 110)))
    catalog.remove(list(range(5)))
    with monkeypatch.context() as patch:

        def breaking(*arguments: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(MilvusConnection, broken, breaking)
        with pytest.raises(KeyboardInterrupt):
            catalog.index(locked=True)
    assert not catalog.saved.stamp.whole
    catalog.remove([100, 101])  # Milvus may already have these, unlike the manifest
    with writer_lock(catalog.store.directory):
        catalog.check(catalog.index(locked=False))
    catalog.check(catalog.index(locked=True))
    catalog.check_stored()


@pytest.mark.long
def test_an_incomplete_collection_is_not_used(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.add(list(range(30)))
    with monkeypatch.context() as patch:

        def breaking(*arguments: object, **options: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(MilvusConnection, "index", breaking)
        with pytest.raises(KeyboardInterrupt):
            catalog.index(locked=True)
    assert len(catalog.collections.names()) == 1
    assert catalog.collections.current() is None
    catalog.check(catalog.index(locked=True))
    catalog.check_stored()
    assert len(catalog.collections.names()) == 1


def test_a_collection_without_its_manifest_is_listed(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(30)))
    catalog.index(locked=True)
    for path in catalog.store.directory.glob("vectors/*.npy"):
        path.write_bytes(b"hello")
    catalog.check(catalog.index(locked=False))
    catalog.add([99])
    catalog.check(catalog.index(locked=False))
    catalog.check_stored()


def test_another_models_collection_is_not_changed(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(20)))
    catalog.index(locked=True)
    other = catalog.store.models.add(spec="s", fingerprint="e" * 16, dim=DIM, precision="fp32")
    assert len(current_index(catalog.store, other, notify=catalog.notes, locked=True)[0]) == 0
    catalog.check(catalog.index(locked=True))
    assert len(catalog.connection.collections("clipsearch_")) == 2
    library_engine(catalog.store.directory).delete(catalog.store.directory, other)
    assert len(catalog.connection.collections("clipsearch_")) == 1
    catalog.check_stored()


@pytest.mark.long
def test_two_libraries_share_a_server(tmp_path: Path) -> None:
    """The server is Milvus Lite's, reached over the network."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(tmp_path / "server"))
    try:
        catalogs = []
        for number in (1, 2):
            (tmp_path / f"{number}").mkdir()
            engine = engine_named(f"milvus:http://127.0.0.1:{port}")
            assert isinstance(engine, MilvusEngine) and not engine.is_local
            catalogs.append(MilvusCatalog(tmp_path / f"{number}", engine))
            catalogs[-1].add(list(range(10 * number)))
            catalogs[-1].check(catalogs[-1].index(locked=True))
        for catalog in catalogs:
            catalog.check_stored()
            catalog.add([77])
            catalog.check(catalog.index(locked=False))
            catalog.check_stored()
        name = catalogs[0].saved.name
        assert catalogs[0].connection is catalogs[1].connection
        server.stop(grace=0).wait()
        with pytest.raises(LibraryError, match=rf"Milvus at http://127\.0\.0\.1:{port} cannot be written to"):
            catalogs[0].connection.delete(name, np.array([1]))
    finally:
        server.stop(grace=0)
        database.close()
        for catalog in catalogs:
            catalog.store.close()


@pytest.mark.long
def test_a_file_opened_by_another_process_is_replaced_by_an_index_in_memory(catalog: MilvusCatalog) -> None:
    catalog.add(list(range(20)))
    catalog.index(locked=True)
    address = catalog.engine.address(catalog.store.directory)
    catalog.connection.close()
    program = (
        "import sys\nfrom clipsearch.vectors.milvus.connection import connect\n"
        f"connection = connect({address!r}, local=True)\nprint('open', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        index = catalog.index(locked=False)
        assert isinstance(index, FlatIndex)
        catalog.check(index)
        assert len(catalog.notes) == 1 and "another process has it open" in catalog.notes[0]
        other.communicate()
    catalog.check(catalog.index(locked=False))
    assert isinstance(catalog.index(locked=False), MilvusIndex)


def test_an_unreachable_server_is_reported(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    import clipsearch.vectors.milvus.connection as milvus_connection

    monkeypatch.setattr(milvus_connection, "_CONNECT_S", 0.3)
    catalog.add([1])
    choose_engine(catalog.store.directory, MilvusEngine("http://127.0.0.1:9", "away"))
    with pytest.raises(LibraryError, match=r"Milvus at http://127\.0\.0\.1:9 cannot be reached"):
        catalog.index(locked=False)


def test_a_search_brings_no_vectors_back(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: Milvus Lite returned them, and the response became too large."""
    catalog.add(list(range(20)))
    index = catalog.index(locked=True)
    assert isinstance(index, MilvusIndex)
    given: list[Any] = []
    search = pymilvus.MilvusClient.search

    def observed(*words: Any, **options: Any) -> Any:
        given.append(search(*words, **options))
        return given[-1]

    monkeypatch.setattr(pymilvus.MilvusClient, "search", observed)
    assert len(index.nearest(queries(8), 5)[1].ids) == 5
    assert {name for hits in given[0] for hit in hits for name in hit["entity"]} <= {"id"}


def test_a_timeout_is_one_line(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    import clipsearch.vectors.milvus.connection as milvus_connection

    catalog.add(list(range(20)))
    index = catalog.index(locked=True)
    assert isinstance(index, MilvusIndex)
    monkeypatch.setattr(milvus_connection, "_TIMEOUT_S", -1.0)  # over before it begins, however fast the machine is
    with pytest.raises(LibraryError, match="cannot search: Deadline Exceeded"):
        index.nearest(queries(8), 5)


def test_a_missing_pymilvus_names_the_extra(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.add([1])
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(ConfigError, match=r"pip install 'clipsearch\[scale\]'"):
        catalog.index(locked=False)


def test_more_results_than_one_request_returns(catalog: MilvusCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "MAX_RESULTS", 16)
    monkeypatch.setattr(milvus, "_IDS_AT_ONCE", 10)
    monkeypatch.setattr(milvus, "_MAX_FETCHED", 4)
    catalog.add(list(range(60)))
    index = catalog.index(locked=False)
    exact = FlatIndex(DIM)
    exact.add(index.ids(), index.vectors(index.ids()))
    within = index.ids()[::2]
    for query in queries(4):
        for k in (3, 20, 80):
            assert index.search(query, k).ids.tolist() == exact.search(query, k).ids.tolist()
            found = index.search(query, k, within=within)
            assert found.ids.tolist() == exact.search(query, k, within=within).ids.tolist()


@pytest.mark.long
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_any_sequence_of_changes_keeps_collection_and_catalog_equal(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    catalog = MilvusCatalog(tmp_path_factory.mktemp("catalog"))
    catalog.live_through(steps)
    catalog.check_stored()
    catalog.store.close()
    catalog.connection.close()


# --- the setting --------------------------------------------------------------------------------


def test_the_engine_is_a_setting_of_the_library(tmp_path: Path) -> None:
    assert library_engine(tmp_path) == FaissEngine()
    choose_engine(tmp_path, ENGINE)
    assert library_engine(tmp_path) == ENGINE
    assert ENGINE.address(tmp_path) == str(tmp_path / "vectors" / "milvus.db")
    choose_engine(tmp_path, FaissEngine())
    assert library_engine(tmp_path) == FaissEngine()
    assert list((tmp_path / "vectors").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"engine": "milvus", "uri": "x"}', '{"engine": "lance"}'])
def test_a_damaged_setting_names_the_repair_command(tmp_path: Path, content: str) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "engine.json").write_text(content)
    with pytest.raises(LibraryError, match="clipsearch index-copy"):
        library_engine(tmp_path)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("lance", "unknown vector engine 'lance'"),
        ("milvus:https://me:secret@host", "CLIPSEARCH_MILVUS_TOKEN"),
        ("milvus:http://", "names no host"),
        ("milvus:ftp://host", "must begin with http://"),
        ("milvus:/tmp/vectors", r"must end in \.db"),
    ],
)
def test_an_unknown_engine_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        engine_named(target)


def test_the_machines_of_a_shared_library_have_one_space() -> None:
    first, again, other = (MilvusEngine.of_target("http://host", name) for name in ("//host/a", "//host/a", "//host/b"))
    assert first == again != other
    assert MilvusEngine.of_target("", None) != MilvusEngine.of_target("", None)
