"""Every kind of damage is really done to a library, then found, then mended."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.errors import LibraryLockedError
from clipsearch.library import Library
from clipsearch.maintenance.check import CheckReport, check_library, previews
from clipsearch.maintenance.check.embeddings import unit_vectors
from clipsearch.media.decoding import content_hash, load_image
from clipsearch.media.thumbnails import thumbnail_path
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.faiss.files import IndexStamp
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.saved import open_index
from tests.conftest import OpenCatalog, mostly_long, save_photo


def digest_of(path: Path) -> str:
    return content_hash(path.read_bytes())


@pytest.fixture
def sound(indexed: Library) -> Library:
    """A library of six photos with nothing wrong, previews included."""
    return indexed


@contextmanager
def tampering(library: Library) -> Iterator[sqlite3.Connection]:
    """The catalog, without any of clipsearch's care."""
    with closing(sqlite3.connect(library.path / CATALOG_NAME)) as connection, connection:
        yield connection


def cache_of(library: Library) -> Path:
    (cache,) = (library.path / "vectors").glob("*.faiss")
    return cache


def codes(report: CheckReport) -> dict[str, int]:
    return {finding.code: finding.count for finding in report.findings}


def mended(report: CheckReport) -> set[str]:
    return {finding.code for finding in report.repaired}


def test_a_sound_library_is_sound(sound: Library) -> None:
    report = sound.maintenance.check()
    assert (report.findings, report.repaired, report.is_sound) == ([], [], True)
    assert (report.files, report.images, report.embeddings, report.previews) == (6, 6, 6, 6)
    assert sound.maintenance.check(repair=True) == report


def test_a_new_library_is_sound(library: Library) -> None:
    assert library.maintenance.check().findings == []
    assert library.maintenance.check(repair=True).findings == []


def test_checking_changes_nothing_and_needs_no_lock(sound: Library) -> None:
    cache_of(sound).write_bytes(b"junk")
    before = {path: path.read_bytes() for path in sound.path.rglob("*") if path.is_file()}
    assert "cache-damaged" in codes(sound.maintenance.check(full=True))
    assert {path: path.read_bytes() for path in sound.path.rglob("*") if path.is_file()} == before
    with writer_lock(sound.path):
        assert not sound.maintenance.check().is_sound
        with pytest.raises(LibraryLockedError):
            sound.maintenance.check(repair=True)


# --- the catalog ------------------------------------------------------------------------------------------


def root_page(library: Library, name: str) -> tuple[int, int]:
    with tampering(library) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [name]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return page, size


def overwrite_page(library: Library, name: str) -> None:
    """Write zeros over the first page of a table or index."""
    page, size = root_page(library, name)
    library.close()
    with (library.path / CATALOG_NAME).open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


def test_an_index_that_lacks_rows_is_made_again(sound: Library) -> None:
    with tampering(sound) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'ix_files_content_hash'").fetchone()
        # an index over no row at all, presented as one over all of them
        connection.execute("DROP INDEX ix_files_content_hash")
        connection.execute(f"{sql} WHERE 0")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ix_files_content_hash'", [sql])
    sound.close()
    report = sound.maintenance.check()
    assert set(codes(report)) >= {"catalog-indexes"}
    assert all(finding.repairable for finding in report.findings if finding.is_damage)
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and "catalog-indexes" in mended(report)
    assert sound.maintenance.check().findings == []


def test_a_damaged_page_of_a_table_is_named_and_cannot_be_mended(sound: Library) -> None:
    overwrite_page(sound, "embeddings")
    for repair in (False, True):
        report = sound.maintenance.check(repair=repair)
        assert not report.is_sound
        (finding,) = [finding for finding in report.findings if finding.code == "catalog-pages"]
        assert not finding.repairable
        assert "restore" in finding.remedy and "backup" in finding.remedy
        assert "\n" not in str(finding.example) and "embeddings" in str(finding.example)


def test_a_damaged_page_of_an_index_is_mended_or_told(sound: Library) -> None:
    overwrite_page(sound, "ix_files_content_hash")
    report = sound.maintenance.check(repair=True)
    # not every SQLite can rebuild an index without its root page; then a notice says so
    assert report.is_sound or ("catalog-indexes" in codes(report) and "restore" in report.findings[0].remedy)


def test_a_catalog_cut_short_is_told_not_raised(sound: Library) -> None:
    with tampering(sound) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sound.close()
    catalog = sound.path / CATALOG_NAME
    catalog.write_bytes(catalog.read_bytes()[: 3 * catalog.stat().st_size // 4])
    report = sound.maintenance.check(repair=True)
    assert not report.is_sound and "catalog-pages" in codes(report)


def test_rows_that_name_nothing_are_deleted_and_come_back(sound: Library, photos: Path) -> None:
    digest = digest_of(photos / "red.png")
    with tampering(sound) as connection:
        connection.execute("DELETE FROM contents WHERE content_hash = ?", [digest])
        connection.execute("INSERT INTO content_keywords VALUES (?, 0, 'cat')", ["f" * 32])
    report = sound.maintenance.check()
    assert codes(report)["catalog-dangling"] == 4  # a file, an embedding, its words, a keyword
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and "catalog-dangling" in mended(report)
    assert sound.status().files == 5
    assert sound.index(photos).embedded == 1
    assert sound.maintenance.check().is_sound


def test_a_lost_model_is_not_taken_for_something_to_clean_up(sound: Library) -> None:
    with tampering(sound) as connection:
        connection.execute("DELETE FROM models")
    report = sound.maintenance.check(repair=True)
    assert not report.is_sound and "catalog-dangling-lost" in codes(report)
    with tampering(sound) as connection:
        assert connection.execute("SELECT count(*) FROM embeddings").fetchone() == (6,)


# --- embeddings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "code"),
    mostly_long(
        [
            (b"", "embedding-length"),
            (bytes(31), "embedding-length"),
            (bytes(34), "embedding-length"),
            (bytes(32), "embedding-value"),
            (np.full(16, np.nan, "<f2").tobytes(), "embedding-value"),
            (np.full(16, np.inf, "<f2").tobytes(), "embedding-value"),
            (np.full(16, 0.251, "<f2").tobytes(), "embedding-value"),
            (np.full(16, 60_000, "<f2").tobytes(), "embedding-value"),
        ],
        everyday=2,
    ),
)
def test_a_malformed_embedding_is_deleted_and_made_again(
    sound: Library, photos: Path, vector: bytes, code: str
) -> None:
    expected = sound.search("red", k=6)
    with tampering(sound) as connection:
        connection.execute("UPDATE embeddings SET vector = ? WHERE id = 3", [vector])
    report = sound.maintenance.check()
    assert codes(report)[code] == 1 and not report.is_sound
    (finding,) = [finding for finding in report.findings if finding.code == code]
    assert Path(str(finding.example)).parent.is_relative_to(photos)
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and code in mended(report)
    assert codes(report) == {"unembedded": 1}
    assert sound.index(photos).embedded == 1
    assert sound.maintenance.check().findings == []
    assert [(found.path, found.score) for found in sound.search("red", k=6)] == [
        (found.path, found.score) for found in expected
    ]


def test_vectors_rounded_to_half_precision_pass() -> None:
    vectors = np.random.default_rng(0).normal(size=(5000, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit_vectors(vectors.astype(np.float16)).all()
    assert not unit_vectors((vectors * 1.01).astype(np.float16)).any()


def test_damage_outside_the_sample_is_mended_once_the_sample_holds_some(
    sound: Library, open_catalog: OpenCatalog
) -> None:
    with tampering(sound) as connection:
        connection.execute("UPDATE embeddings SET vector = ?", [bytes(32)])
    assert codes(check_library(open_catalog(sound), sample=2, notify=print))["embedding-value"] == 2
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and codes(report)["unembedded"] == 6


def test_what_no_file_holds_is_told_and_kept(sound: Library, photos: Path) -> None:
    (photos / "red.png").unlink()
    sound.index(photos)
    report = sound.maintenance.check(repair=True)
    assert (codes(report), report.is_sound) == ({"unheld": 1}, True)
    assert report.embeddings == 6


# --- vector caches ----------------------------------------------------------------------------------------


def flipped(content: bytes) -> bytes:
    return content[:80] + bytes([content[80] ^ 1]) + content[81:]


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-5], lambda content: b""])
def test_a_damaged_cache_is_made_again(sound: Library, damage: Callable[[bytes], bytes]) -> None:
    good = cache_of(sound).read_bytes()
    cache_of(sound).write_bytes(damage(good))
    assert codes(sound.maintenance.check()) == {"cache-damaged": 1}
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and mended(report) == {"cache-damaged"}
    assert cache_of(sound).read_bytes() == good


@pytest.mark.parametrize("fault", ["other ids", "other vectors", "other model"])
def test_a_cache_with_a_good_checksum_and_wrong_content_is_made_again(sound: Library, fault: str) -> None:
    """Such a one comes of a catalog that was restored from a backup, and a search would believe it."""
    good = cache_of(sound).read_bytes()
    index, stamp = open_index(cache_of(sound))
    ids = index.ids()
    vectors = index.vectors(ids)
    other = FlatIndex(stamp.dim)
    other.add(ids + (fault == "other ids"), vectors[::-1] if fault == "other vectors" else vectors)
    model = "another@model" if fault == "other model" else stamp.model
    other.save(cache_of(sound), IndexStamp(model, stamp.dim, stamp.revision, stamp.count))
    assert codes(sound.maintenance.check()) == {"cache-damaged": 1}
    assert sound.maintenance.check(repair=True).is_sound
    assert cache_of(sound).read_bytes() == good


def test_a_cache_that_is_behind_or_missing_is_in_order(sound: Library, photos: Path) -> None:
    old = cache_of(sound).read_bytes()
    save_photo(photos / "pink.png", "pink")
    sound.index(photos)
    cache_of(sound).write_bytes(old)
    assert sound.maintenance.check().is_sound
    cache_of(sound).unlink()
    assert sound.maintenance.check().is_sound


def test_a_cache_of_no_model_is_deleted(sound: Library) -> None:
    shutil.copy(cache_of(sound), sound.path / "vectors" / "gone-00000000.faiss")
    assert codes(sound.maintenance.check()) == {"cache-stray": 1}
    assert mended(sound.maintenance.check(repair=True)) == {"cache-stray"}
    assert cache_of(sound).exists()


# --- temporary files --------------------------------------------------------------------------------------


def dead_process_id() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="there, only the age counts")
def test_temporary_files_of_killed_processes_are_deleted(sound: Library) -> None:
    dead, alive = dead_process_id(), os.getpid()
    shard = next((sound.path / "thumbnails").iterdir())
    left = [sound.path / "vectors" / f".x.faiss.{dead}.tmp", shard / f"{'a' * 32}.{dead}-140.tmp"]
    at_work = [sound.path / "vectors" / f".x.faiss.{alive}.tmp", shard / f"{'a' * 32}.{alive}-140.tmp"]
    foreign = shard / "notes.tmp"
    for path in (*left, *at_work, foreign):
        path.write_bytes(b"half")
    assert codes(sound.maintenance.check()) == {"temporary": 2}
    assert mended(sound.maintenance.check(repair=True)) == {"temporary"}
    assert [path.exists() for path in left] == [False, False]
    assert all(path.exists() for path in (*at_work, foreign))


def test_a_temporary_file_of_yesterday_is_nobodys(sound: Library) -> None:
    path = sound.path / "vectors" / f".x.faiss.{os.getpid()}.tmp"
    path.write_bytes(b"half")
    os.utime(path, (0, 0))
    assert mended(sound.maintenance.check(repair=True)) == {"temporary"}


# --- previews ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_damaged_preview_is_made_again(sound: Library, photos: Path, content: bytes | None) -> None:
    preview = thumbnail_path(sound.path, digest_of(photos / "red.png"))
    good = preview.read_bytes()
    preview.write_bytes(good[: len(good) // 2] if content is None else content)
    report = sound.maintenance.check()
    assert codes(report) == {"preview-damaged": 1} and not report.is_sound
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and mended(report) == {"preview-damaged"}
    assert load_image(preview).image.size == (48, 32)


def test_missing_previews_are_made_again_from_files_that_are_as_they_were(sound: Library, photos: Path) -> None:
    shutil.copy(photos / "blue.png", photos / "blue copy.png")
    sound.index(photos)
    shutil.rmtree(sound.path / "thumbnails")
    digests = {path.name: digest_of(path) for path in photos.rglob("*.*")}
    (photos / "red.png").unlink()  # gone since it was indexed
    save_photo(photos / "green.png", "pink")  # edited since
    (photos / "blue copy.png").unlink()  # the other copy serves
    report = sound.maintenance.check()
    assert codes(report) == {"preview-missing": 6} and report.is_sound
    report = sound.maintenance.check(repair=True)
    assert codes(report) == {"preview-missing": 2}
    made = {name for name, digest in digests.items() if thumbnail_path(sound.path, digest).exists()}
    assert made == set(digests) - {"red.png", "green.png"}


def test_a_damaged_preview_of_a_lost_file_is_deleted(sound: Library, photos: Path) -> None:
    preview = thumbnail_path(sound.path, digest_of(photos / "red.png"))
    preview.write_bytes(b"")
    (photos / "red.png").unlink()
    report = sound.maintenance.check(repair=True)
    assert report.is_sound and codes(report) == {"preview-missing": 1}
    assert not preview.exists()


@pytest.mark.parametrize("at_once", [10_000, 5])
def test_previews_of_nothing_are_deleted_and_other_files_left(
    sound: Library, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "_FEW", at_once)
    shard = next((sound.path / "thumbnails").iterdir())
    stray = shard / f"{shard.name}{'0' * 30}.jpg"
    stray.write_bytes(b"")
    (shard / "Thumbs.db").write_bytes(b"")
    assert codes(sound.maintenance.check()) == {"preview-stray": 1}
    assert mended(sound.maintenance.check(repair=True)) == {"preview-stray"}
    assert not stray.exists() and (shard / "Thumbs.db").exists()


def test_everything_at_once(sound: Library, photos: Path) -> None:
    with tampering(sound) as connection:
        connection.execute("UPDATE embeddings SET vector = x'00' WHERE id = 1")
        connection.execute("DELETE FROM contents WHERE content_hash = ?", [digest_of(photos / "blue.png")])
    cache_of(sound).write_bytes(b"")
    for preview in (sound.path / "thumbnails").glob("*/*.jpg"):
        preview.write_bytes(b"")
    assert sound.maintenance.check(repair=True).is_sound
    sound.index(photos)
    assert sound.maintenance.check(full=True, repair=True).findings == []
    assert len(sound.search("red", k=10)) == 6
