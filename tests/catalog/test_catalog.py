from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import (
    METADATA_VERSION,
    FailureRecord,
    FileRecord,
    ModelRecord,
    NewEmbedding,
    NewImage,
)
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.errors import LibraryError, SchemaVersionError
from clipsearch.media.metadata.values import ImageMetadata
from tests.conftest import ROOT

DATA = ROOT / "tests" / "data"
DIM = 4


def new_image(digest: str) -> NewImage:
    return NewImage(digest, 640, 480, "JPEG")


def new_embedding(digest: str, vector: list[float] | None = None) -> NewEmbedding:
    return NewEmbedding(digest, np.array(vector or [1, 0, 0, 0], np.float32))


@pytest.fixture
def store(catalog_place: LibraryPlace) -> Iterator[Catalog]:
    """An empty catalog, in SQLite and in PostgreSQL."""
    store = Catalog(catalog_place)
    yield store
    store.close()


@pytest.fixture
def model(store: Catalog) -> ModelRecord:
    return store.models.activate(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32")


def add_file(store: Catalog, model: ModelRecord, root: int, name: str, digest: str) -> None:
    batch = Batch(root, [new_image(digest)], [new_embedding(digest)], [FileRecord(name, 1, 2, digest)])
    store.commit(batch, model.id)


def test_a_reader_does_not_create_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no library in"):
        Catalog(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Catalog(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / CATALOG_NAME) as connection:
        connection.execute("UPDATE catalog_state SET schema_version = 9999")
    connection.close()
    with pytest.raises(SchemaVersionError, match="newer clipsearch"):
        Catalog(tmp_path)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOG_NAME).write_bytes(b"not a database, but long enough" * 100)
    with pytest.raises(LibraryError, match="is damaged"):
        Catalog(tmp_path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / CATALOG_NAME) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    connection.close()
    with pytest.raises(LibraryError, match="another program"):
        Catalog(tmp_path, create=True)


@pytest.mark.parametrize(
    "name", ["plain.jpg", "ünï/😀.jpg", "caf\udce9.jpg", "a\nb.jpg", "%_'\".jpg", "\udcff\udc80/x.png"]
)
def test_names_are_stored_losslessly(store: Catalog, model: ModelRecord, name: str) -> None:
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, name, "aa")
    assert [item.relative_path for item in store.files_in(root)] == [name]
    _, ids = store.live_embedding_ids(model.id)
    assert store.files_of(ids.tolist())[1][0].path == Path("/photos") / name


def test_paths_and_folders_are_case_sensitive(store: Catalog, model: ModelRecord) -> None:
    """Regression: a peer's LIKE without case marked `cats/` as deleted when `Cats/` was indexed."""
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, "Cats/a.jpg", "aa")
    add_file(store, model, root, "cats/a.jpg", "bb")
    assert [item.relative_path for item in store.files_in(root, "cats")] == ["cats/a.jpg"]
    store.commit(Batch(root, removed=["Cats/a.jpg"]), model.id)
    assert [item.relative_path for item in store.files_in(root)] == ["cats/a.jpg"]


def test_a_commit_is_atomic(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    orphan = FileRecord("b.jpg", 1, 2, "no such content")
    with pytest.raises(LibraryError, match=r"(?i)foreign key"):
        files = [FileRecord("a.jpg", 1, 2, "aa"), orphan]
        store.commit(Batch(root, [new_image("aa")], [new_embedding("aa")], files), model.id)
    assert store.counts().files == 0
    assert store.revision() == 0
    assert store.embedding_of("aa", model.id) is None


def test_embeddings_are_stored_once_per_content_and_live_only_with_a_file(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, "a.jpg", "aa")
    add_file(store, model, root, "copy.jpg", "aa")
    assert store.live_embedding_ids(model.id)[1].tolist() == [1]
    store.commit(Batch(root, removed=["a.jpg", "copy.jpg"]), model.id)
    assert store.live_embedding_ids(model.id)[1].tolist() == []
    assert store.embedding_of("aa", model.id) is not None  # so that a restored file costs no inference
    assert store.revision() == 3


def test_embeddings_come_back_in_float16(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    vectors = np.random.default_rng(0).normal(size=(1200, DIM)).astype(np.float32)
    digests = [f"{row:032x}" for row in range(len(vectors))]
    embeddings = [new_embedding(digest, vector.tolist()) for digest, vector in zip(digests, vectors, strict=True)]
    store.commit(Batch(root, [new_image(digest) for digest in digests], embeddings), model.id)
    blocks = list(store.embeddings(np.arange(1, 1201), dim=DIM))
    assert np.concatenate([ids for ids, _ in blocks]).tolist() == list(range(1, 1201))
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors.astype(np.float16))


def test_a_failure_replaces_the_file_and_a_readable_file_the_failure(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, "a.jpg", "aa")
    store.commit(Batch(root, failures=[FailureRecord("a.jpg", 9, 9, "damaged")]), model.id)
    (failure,) = store.failures()
    assert (failure.path, failure.reason) == (Path("/photos/a.jpg"), "damaged")
    assert failure.failed_at is not None
    assert abs(datetime.now(UTC) - failure.failed_at) < timedelta(minutes=1)
    assert store.counts().files == 0
    add_file(store, model, root, "a.jpg", "aa")
    assert store.failures() == []


def test_roots_inside_a_new_root_are_merged(store: Catalog, model: ModelRecord) -> None:
    inner = store.roots.add(Path("/photos/2021/crete"))
    add_file(store, model, inner, "a.jpg", "aa")
    outer = store.roots.add(Path("/photos"))
    assert [(root.path, root.files) for root in store.roots.all()] == [(Path("/photos"), 1)]
    assert [item.relative_path for item in store.files_in(outer)] == ["2021/crete/a.jpg"]


def test_several_models_live_side_by_side(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, "a.jpg", "aa")
    other = store.models.activate(spec="other", fingerprint="ee", dim=DIM, precision="int8")
    assert store.incomplete_files(root, other.id) == {"a.jpg"}
    assert store.incomplete_files(root, model.id) == set()
    assert store.models.active() == other
    assert store.models.activate(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32").id == model.id


def test_readers_and_a_writer_work_at_once(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    errors: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                revision, ids = store.live_embedding_ids(model.id)
                assert len(ids) == revision  # each commit below adds one: no torn state
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(20):
        add_file(store, model, root, f"{number}.jpg", f"{number:032x}")
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []


def test_metadata_and_keywords_are_replaced_when_read_again(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    first = ImageMetadata(taken_at=datetime(2021, 6, 1, 12, 30), camera="X", iso=200, keywords=("sea", "sun"))
    store.commit(Batch(root, [NewImage("aa", 6, 4, "JPEG", first)], [new_embedding("aa")]), model.id)
    store.commit(Batch(root, [NewImage("aa", 6, 4, "JPEG", replace(first, iso=None, keywords=("sand",)))]), model.id)
    add_file(store, model, root, "a.jpg", "bb")
    store.commit(Batch(root, files=[FileRecord("a.jpg", 1, 2, "aa")]), model.id)
    picture = store.overview.picture("aa")
    assert picture is not None and picture.metadata == replace(first, iso=None, keywords=("sand",))
    assert store.wanted_from("aa", model.id) is None


def test_contents_with_outdated_metadata_are_read_again_but_not_embedded(
    store: Catalog, model: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = store.roots.add(Path("/photos"))
    add_file(store, model, root, "b.jpg", "bb")
    assert store.wanted_from("bb", model.id) is None
    with monkeypatch.context() as before:
        before.setattr("clipsearch.catalog.batch.METADATA_VERSION", METADATA_VERSION - 1)
        add_file(store, model, root, "a.jpg", "aa")
    assert store.wanted_from("aa", model.id) == 0
    assert store.incomplete_files(root, model.id) == {"a.jpg"}
    assert store.embedding_of("aa", model.id) is not None


def test_missing_files_are_moved_if_their_content_exists(store: Catalog, model: ModelRecord) -> None:
    root, other = store.roots.add(Path("/photos")), store.roots.add(Path("/usb"))
    for where, name, digest in [
        (root, "a.jpg", "aa"),
        (root, "a again.jpg", "aa"),
        (root, "b.jpg", "bb"),
        (other, "b.jpg", "bb"),
        (root, "c.jpg", "cc"),
        (root, "c again.jpg", "cc"),
    ]:
        add_file(store, model, where, name, digest)
    store.commit(Batch(root, failures=[FailureRecord("bad.jpg", 1, 2, "damaged")]), model.id)
    gone = {"a.jpg", "b.jpg", "c.jpg", "c again.jpg", "bad.jpg"}
    assert store.partition_missing(root, gone) == ({"a.jpg", "b.jpg"}, {"c.jpg", "c again.jpg"})


def test_a_root_on_another_volume_is_not_merged(store: Catalog, model: ModelRecord) -> None:
    inner = store.roots.add(Path("/photos/usb"), volume_id="uuid:1", volume_path="")
    add_file(store, model, inner, "a.jpg", "aa")
    store.roots.add(Path("/photos"), volume_id="uuid:2", volume_path="photos")
    assert [(root.path, root.files) for root in store.roots.all()] == [(Path("/photos"), 0), (Path("/photos/usb"), 1)]


def test_a_job_is_interrupted_until_it_is_finished(store: Catalog, model: ModelRecord) -> None:
    root = store.roots.add(Path("/photos"))
    assert store.jobs.interrupted("index") is None
    job_id = store.jobs.begin("index")
    batch = Batch(root, [new_image("aa")], [new_embedding("aa")], [FileRecord("a.jpg", 1, 2, "aa")], job_id=job_id)
    store.commit(batch, model.id)
    interrupted = store.jobs.interrupted("index")
    assert interrupted is not None and interrupted.done == 1
    assert abs(datetime.now(UTC) - interrupted.started_at) < timedelta(minutes=1)
    assert store.jobs.interrupted("migrate") is None
    store.jobs.finish(store.jobs.begin("index"))
    assert store.jobs.interrupted("index") is None


def test_a_catalog_from_before_version_1_is_refused(tmp_path: Path) -> None:
    """The file was written by the first version of this program; see `tests/data`."""
    shutil.copy(DATA / "catalog-0001.sqlite3", tmp_path / CATALOG_NAME)
    for create in (False, True):
        with pytest.raises(SchemaVersionError, match="index again into a new library"):
            Catalog(tmp_path, create=create)
    with closing(sqlite3.connect(tmp_path / CATALOG_NAME)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
