from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import clipsearch.store.migrations as migrations_package
from clipsearch.errors import LibraryError, SchemaVersionError
from clipsearch.store.database import SCHEMA_HEAD, SCHEMA_REVISIONS
from clipsearch.store.image_store import CATALOG_NAME, Batch, ImageStore
from clipsearch.store.records import FailureRecord, FileRecord, ModelRecord, NewImage
from clipsearch.store.tables import Base

DIM = 4


def new_image(digest: str, vector: list[float] | None = None) -> NewImage:
    return NewImage(digest, 640, 480, "JPEG", np.array(vector or [1, 0, 0, 0], np.float32))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path, create=True)


@pytest.fixture
def model(store: ImageStore) -> ModelRecord:
    return store.activate_model(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32")


def add_file(store: ImageStore, model: ModelRecord, root: int, name: str, digest: str) -> None:
    store.commit(Batch(root, images=[new_image(digest)], files=[FileRecord(name, 1, 2, digest)]), model.id)


def test_a_missing_catalog_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no library in"):
        ImageStore(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_migrations_make_exactly_the_tables_of_the_models(store: ImageStore) -> None:
    engine = create_engine(f"sqlite:///{store.path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_known_schema_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations_package.__path__[0])))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == SCHEMA_HEAD
    assert {script.revision for script in scripts.walk_revisions()} == SCHEMA_REVISIONS


def test_a_catalog_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    ImageStore(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / CATALOG_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaVersionError, match="newer clipsearch"):
        ImageStore(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOG_NAME).write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(LibraryError, match="is damaged"):
        ImageStore(tmp_path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / CATALOG_NAME) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    connection.close()
    with pytest.raises(LibraryError, match="another program"):
        ImageStore(tmp_path, create=True)


@pytest.mark.parametrize(
    "name", ["plain.jpg", "ünï/😀.jpg", "caf\udce9.jpg", "a\nb.jpg", "%_'\".jpg", "\udcff\udc80/x.png"]
)
def test_every_name_comes_back_as_it_was(store: ImageStore, model: ModelRecord, name: str) -> None:
    root = store.add_root(Path("/photos"), None)
    add_file(store, model, root, name, "aa")
    assert [item.relative_path for item in store.files_in(root)] == [name]
    _, ids = store.live_embedding_ids(model.id)
    assert store.files_of(ids.tolist())[1][0].path == Path("/photos") / name


def test_case_matters_in_paths_also_for_folders(store: ImageStore, model: ModelRecord) -> None:
    """Regression: a peer's LIKE without case marked `cats/` as deleted when `Cats/` was indexed."""
    root = store.add_root(Path("/photos"), None)
    add_file(store, model, root, "Cats/a.jpg", "aa")
    add_file(store, model, root, "cats/a.jpg", "bb")
    assert [item.relative_path for item in store.files_in(root, "cats")] == ["cats/a.jpg"]
    store.commit(Batch(root, removed=["Cats/a.jpg"]), model.id)
    assert [item.relative_path for item in store.files_in(root)] == ["cats/a.jpg"]


def test_a_commit_is_whole_or_not_at_all(store: ImageStore, model: ModelRecord) -> None:
    root = store.add_root(Path("/photos"), None)
    orphan = FileRecord("b.jpg", 1, 2, "no such content")
    with pytest.raises(LibraryError, match="FOREIGN KEY"):
        store.commit(Batch(root, images=[new_image("aa")], files=[FileRecord("a.jpg", 1, 2, "aa"), orphan]), model.id)
    assert store.counts().files == 0
    assert store.revision() == 0
    assert store.embedding_of("aa", model.id) is None


def test_embeddings_are_kept_once_per_content_and_live_only_while_a_file_holds_it(
    store: ImageStore, model: ModelRecord
) -> None:
    root = store.add_root(Path("/photos"), None)
    add_file(store, model, root, "a.jpg", "aa")
    add_file(store, model, root, "copy.jpg", "aa")
    assert store.live_embedding_ids(model.id)[1].tolist() == [1]
    store.commit(Batch(root, removed=["a.jpg", "copy.jpg"]), model.id)
    assert store.live_embedding_ids(model.id)[1].tolist() == []
    assert store.embedding_of("aa", model.id) is not None  # so that a restored file costs no inference
    assert store.revision() == 3


def test_embeddings_come_back_in_float16(store: ImageStore, model: ModelRecord) -> None:
    root = store.add_root(Path("/photos"), None)
    vectors = np.random.default_rng(0).normal(size=(1200, DIM)).astype(np.float32)
    images = [new_image(f"{row:032x}", vector.tolist()) for row, vector in enumerate(vectors)]
    store.commit(Batch(root, images=images), model.id)
    blocks = list(store.embeddings(np.arange(1, 1201), dim=DIM))
    assert np.concatenate([ids for ids, _ in blocks]).tolist() == list(range(1, 1201))
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors.astype(np.float16))


def test_a_failure_replaces_the_file_and_a_readable_file_the_failure(store: ImageStore, model: ModelRecord) -> None:
    root = store.add_root(Path("/photos"), None)
    add_file(store, model, root, "a.jpg", "aa")
    store.commit(Batch(root, failures=[FailureRecord("a.jpg", 9, 9, "damaged")]), model.id)
    assert store.failures() == [(Path("/photos/a.jpg"), "damaged")]
    assert store.counts().files == 0
    add_file(store, model, root, "a.jpg", "aa")
    assert store.failures() == []


def test_a_root_swallows_the_roots_inside_it(store: ImageStore, model: ModelRecord) -> None:
    inner = store.add_root(Path("/photos/2021/crete"), None)
    add_file(store, model, inner, "a.jpg", "aa")
    outer = store.add_root(Path("/photos"), None)
    assert [(root.path, root.files) for root in store.roots()] == [(Path("/photos"), 1)]
    assert [item.relative_path for item in store.files_in(outer)] == ["2021/crete/a.jpg"]


def test_several_models_live_side_by_side(store: ImageStore, model: ModelRecord) -> None:
    root = store.add_root(Path("/photos"), None)
    add_file(store, model, root, "a.jpg", "aa")
    other = store.activate_model(spec="other", fingerprint="ee", dim=DIM, precision="int8")
    assert store.unembedded_files(root, other.id) == {"a.jpg"}
    assert store.unembedded_files(root, model.id) == set()
    assert store.active_model() == other
    assert store.activate_model(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32").id == model.id


def test_readers_and_a_writer_work_at_once(store: ImageStore, model: ModelRecord) -> None:
    root = store.add_root(Path("/photos"), None)
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
    for number in range(50):
        add_file(store, model, root, f"{number}.jpg", f"{number:032x}")
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
