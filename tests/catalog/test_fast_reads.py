"""The reads without SQLAlchemy equal `Catalog`'s, or leave the catalog to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.fast_reads import FastReads
from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.errors import LibraryError, SchemaVersionError
from clipsearch.library import Library
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.segments import Segment, SegmentKind
from tests.conftest import ROOT, save_photo

DATA = ROOT / "tests" / "data"
ODD = os.fsdecode(b"caf\xe9/\xff \n\xf0\x9f\x98\x80 %_'.jpg")


@pytest.fixture
def store(tmp_path: Path) -> Catalog:
    """Contents with and without a date, with copies, odd names and parts, in two roots."""
    store = Catalog(tmp_path, create=True)
    model = store.models.activate(spec="colours", fingerprint="00ff", dim=4, precision="fp32")
    first = store.roots.add(Path("/photos"), volume_id="uuid:1", volume_path="photos")
    second = store.roots.add(Path(os.fsdecode(b"/media/us\xe9b")))
    dates = {1: datetime(2021, 2, 3, 4, 5, 6, 789), 2: datetime(1999, 12, 31), 3: None}
    images = [
        NewImage(f"{key:032x}", 40 * key, 20, "JPEG", ImageMetadata(taken_at=date)) for key, date in dates.items()
    ]
    vector = np.array([0.6, 0.8, 0, 0], np.float32)
    embeddings = [NewEmbedding(image.content_hash, vector) for image in images]
    embeddings += [NewEmbedding(images[2].content_hash, vector, Segment(SegmentKind.TILE, n)) for n in (0, 1)]
    files = [FileRecord(f"{key}.jpg", key, key, f"{key:032x}") for key in dates]
    store.commit(Batch(first, images, embeddings, [*files, FileRecord(ODD, 9, 9, f"{1:032x}")]), model.id)
    store.commit(Batch(second, files=[FileRecord("copy.jpg", 3, 3, f"{3:032x}")]), model.id)
    return store


def test_fast_reads_equal_the_catalogs(store: Catalog) -> None:
    quick = FastReads.open(store.directory / CATALOG_NAME)
    assert quick is not None
    model = store.models.active()
    assert quick.active_model() == model and model is not None
    assert quick.revision() == store.revision() == 2
    ids = store.live_embedding_ids(model.id)[1]
    for wanted in (ids.tolist(), [5, 1], [4, 999], []):
        assert quick.files_of(wanted) == store.files_of(wanted)
    assert (
        quick.parent_ids(ids.tolist())
        == store.parent_ids(ids.tolist())
        == {
            4: (3, Segment(SegmentKind.TILE, 0)),
            5: (3, Segment(SegmentKind.TILE, 1)),
        }
    )
    assert quick.files_of(ids) == store.files_of(ids.tolist())  # NumPy's integers, too
    assert [len(files) for files in quick.files_of(ids).values()].count(2) == 4
    assert quick.root_places() == store.roots.places()
    quick.close()


def test_a_library_without_a_model_has_none(tmp_path: Path) -> None:
    store = Catalog(tmp_path, create=True)
    quick = FastReads.open(store.directory / CATALOG_NAME)
    assert quick is not None and quick.active_model() is None and quick.root_places() == []


def test_a_change_is_seen_at_once(store: Catalog) -> None:
    catalog = LazyCatalog(store.directory)
    before = catalog.revision()
    model = store.models.active()
    assert model is not None
    store.commit(Batch(1, removed=["1.jpg"]), model.id)
    assert catalog.revision() == before + 1
    assert [file.path.name for file in catalog.files_of([1])[1]] == [Path(ODD).name]


def test_other_files_are_left_to_the_catalog(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_NAME
    assert FastReads.open(path) is None
    path.write_bytes(b"no database at all" * 100)
    assert FastReads.open(path) is None
    with pytest.raises(LibraryError, match="is damaged"):
        LazyCatalog(tmp_path)
    shutil.copy(DATA / "catalog-0001.sqlite3", path)
    assert FastReads.open(path) is None
    with pytest.raises(SchemaVersionError):
        LazyCatalog(tmp_path)


def test_errors_are_translated(store: Catalog) -> None:
    quick = FastReads.open(store.directory / CATALOG_NAME)
    with sqlite3.connect(store.directory / CATALOG_NAME) as connection:
        connection.execute("DROP TABLE files")
    connection.close()
    assert quick is not None
    with pytest.raises(LibraryError, match="no such table: files"):
        quick.files_of([1])


def test_a_search_in_a_new_process_loads_no_sqlalchemy(tmp_path: Path) -> None:
    save_photo(tmp_path / "photos" / "red.png", "red")
    with Library.open(tmp_path / "library", create=True, model="mini") as library:
        library.index(tmp_path / "photos")
    program = (
        "import sys; from clipsearch.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        "assert 'sqlalchemy' not in sys.modules"
    )
    command = [sys.executable, "-c", program, "--library", str(tmp_path / "library"), "search", "red"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "red.png" in done.stdout, done.stderr
