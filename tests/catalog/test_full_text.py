"""The full-text index has the words of each picture, in every database, whatever happens to its files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.fast_reads import FastReads
from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.segments import WHOLE_IMAGE

RECEIPT, TRIP = f"{1:032x}", f"{2:032x}"
LINES = [
    OcrLine(WHOLE_IMAGE, "IKEA Möbel", 0.98, "latin", (10, 20, 300, 40)),
    OcrLine(WHOLE_IMAGE, "TOTAL AMOUNT 9.90", 0.9, "latin", (10, 80, 300, 40)),
    OcrLine(WHOLE_IMAGE, "御合計金額", 0.9, "cjk", (10, 120, 300, 40)),
]


@pytest.fixture
def store(catalog_place: LibraryPlace) -> Iterator[Catalog]:
    """A receipt that was read, and a picture with metadata in a folder."""
    store = Catalog(catalog_place)
    model = store.models.activate(spec="colours", fingerprint="00ff", dim=2, precision="fp32")
    root = store.roots.add(Path("/home/me/Pictures"))
    about = ImageMetadata(title="Sunset", caption="A café at the harbor", camera="FUJIFILM X100V", keywords=("Greece",))
    images = [NewImage(RECEIPT, 40, 20, "JPEG"), NewImage(TRIP, 40, 20, "JPEG", about)]
    embeddings = [NewEmbedding(image.content_hash, np.array([0.6, 0.8], np.float32)) for image in images]
    files = [FileRecord("scan_0042.jpg", 1, 1, RECEIPT), FileRecord("Kreta 2019/IMG_2041.JPG", 2, 2, TRIP)]
    store.commit(Batch(root, images, embeddings, files), model.id)
    store.texts.write({RECEIPT: LINES, TRIP: []}, reader="test 1")
    yield store
    store.close()


def found(store: Catalog, term: str) -> list[int]:
    ids = store.full_text.ids(term, at_most=10)
    return sorted(item.embedding_id for item in store.full_text.documents(ids, model_id=1))


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("ikea", [1]),
        ("kea", [1]),  # a part of a word
        ("mobel", [1]),  # without the accent
        ("total amount", [1]),
        ("total  amount", []),
        ("amount 9.90", [1]),
        ("合計金額", [1]),
        ("合計", [1]),  # shorter than a trigram
        ("img_2041", [2]),
        ("2041.jpg", [2]),
        ("kreta", [2]),
        ("pictures", [1, 2]),  # the root
        ("cafe", [2]),
        ("x100v", [2]),
        ("greece", [2]),
        ("100%", []),
        ("_", [1, 2]),
        ('"', []),
        ("nothing of this", []),
    ],
)
def test_terms_are_found_in_every_kind_of_text(store: Catalog, term: str, expected: list[int]) -> None:
    assert found(store, term) == expected
    assert len(store.full_text.ids(term, at_most=1)) == min(len(expected), 1)


def test_the_lines_of_a_picture_come_back_as_they_were_read(store: Catalog) -> None:
    texts = store.full_text.originals([RECEIPT, TRIP, "f" * 32])
    assert list(texts[RECEIPT].lines) == LINES
    assert texts[TRIP].keywords == ("Greece",) and texts[TRIP].lines == ()
    assert texts[TRIP].camera == "FUJIFILM X100V"
    assert set(texts) == {RECEIPT, TRIP}


def test_a_moved_file_keeps_its_text_and_gets_its_new_names(store: Catalog) -> None:
    moved = Batch(1, files=[FileRecord("Bills/ikea-bill.jpg", 1, 1, RECEIPT)], removed=["scan_0042.jpg"])
    store.commit(moved, 1)
    assert found(store, "scan_0042") == []
    assert found(store, "bills") == found(store, "mobel") == [1]
    assert store.texts.counts("test 1") == (2, 2, 1)


def test_copies_add_their_names(store: Catalog) -> None:
    store.commit(Batch(1, files=[FileRecord("backup/copy.jpg", 1, 1, RECEIPT)]), 1)
    assert found(store, "copy.jpg") == found(store, "scan_0042") == [1]
    store.upkeep.forget([store.upkeep.rows_below(1, "scan_0042.jpg")])
    assert found(store, "scan_0042") == [] and found(store, "copy.jpg") == [1]


def test_a_moved_root_and_a_removed_one(store: Catalog) -> None:
    store.roots.move(1, Path("/media/usb/Archive"))
    assert found(store, "pictures") == [] and found(store, "archive") == [1, 2]
    store.roots.remove(1)
    assert found(store, "archive") == found(store, "ikea") == []
    assert store.upkeep.drop_unreferenced() == (2, 2)
    assert store.full_text.originals([RECEIPT]) == {}


def test_metadata_that_changes_replaces_the_words(store: Catalog) -> None:
    store.commit(Batch(None, [NewImage(TRIP, 40, 20, "JPEG", ImageMetadata(title="Dawn"))]), 1)
    assert found(store, "sunset") == found(store, "greece") == [] and found(store, "dawn") == [2]


def test_text_that_is_read_again_replaces_the_lines(store: Catalog) -> None:
    store.texts.write({RECEIPT: LINES[:1], "e" * 32: LINES}, reader="test 2")  # a content that was removed meanwhile
    assert found(store, "ikea") == [1] and found(store, "amount") == []
    assert store.texts.counts("test 2") == (2, 1, 1)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("total .*[0-9]+[.]90", True), ("^amount", False), ("IKEA m.bel$", True), ("合計", True)]
)
def test_regular_expressions_match_lines(store: Catalog, pattern: str, expected: bool) -> None:
    assert store.texts.matching(pattern) == ({RECEIPT} if expected else set())


def test_maintenance_leaves_the_index_whole(store: Catalog) -> None:
    store.upkeep.pack()
    store.upkeep.rebuild_indexes()
    damage = store.upkeep.damage()
    assert not (damage.pages or damage.indexes or damage.dangling)
    assert found(store, "ikea") == [1]


def test_plain_reads_find_the_same_without_sqlalchemy(tmp_path: Path) -> None:
    Catalog(tmp_path, create=True).close()
    store = Catalog(tmp_path)
    model = store.models.activate(spec="colours", fingerprint="00ff", dim=2, precision="fp32")
    root = store.roots.add(Path("/photos"))
    image = NewImage(RECEIPT, 40, 20, "JPEG")
    embedding = NewEmbedding(RECEIPT, np.array([0.6, 0.8], np.float32))
    store.commit(Batch(root, [image], [embedding], [FileRecord("scan.jpg", 1, 1, RECEIPT)]), model.id)
    store.texts.write({RECEIPT: LINES}, reader="test 1")
    quick = FastReads.open(tmp_path / CATALOG_NAME)
    assert quick is not None
    (row_id,) = quick.full_text.ids("ikea", at_most=5)
    assert quick.full_text.documents([row_id], model_id=1) == store.full_text.documents([row_id], model_id=1) != []
    assert quick.full_text.originals([RECEIPT]) == store.full_text.originals([RECEIPT])
    program = (
        "import sys; from pathlib import Path; from clipsearch.catalog.lazy_catalog import LazyCatalog; "
        "catalog = LazyCatalog(Path(sys.argv[1])); assert catalog.full_text.ids('ikea', at_most=5); "
        "assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    with sqlite3.connect(tmp_path / CATALOG_NAME) as connection:
        connection.execute("INSERT INTO text_index(text_index, rank) VALUES ('integrity-check', 1)")  # raises if wrong
    connection.close()
