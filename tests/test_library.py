from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.reports import IndexProgress
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.errors import (
    ConfigError,
    ImageReadError,
    IndexMismatchError,
    LibraryError,
    LibraryLockedError,
    QueryError,
)
from clipsearch.library import Library
from clipsearch.models.parity import Parity
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, Notes, nearly_full_disk, save_photo

Open = Callable[..., Library]


def found(library: Library, query: str = "red", k: int = 10) -> list[str]:
    return [result.path.name for result in library.search(query, k=k)]


# --- indexing ---------------------------------------------------------------------------------------------


def test_a_folder_is_indexed_and_searched(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    report = library.index(photos)
    assert (report.embedded, report.reused, report.unchanged, report.removed, report.failures) == (6, 0, 0, 0, [])
    for colour, name in [("red", "red.png"), ("blue", "blue.png"), ("white", "white.jpg"), ("black", "black.webp")]:
        results = library.search(colour, k=3)
        assert results[0].path.name == name
        assert [result.rank for result in results] == [1, 2, 3]
        assert results[0].score >= results[1].score >= results[2].score
        assert results[0].score == pytest.approx(1.0, abs=0.02)
    first = library.search("red")[0]
    assert (first.width, first.height, first.format) == (48, 32, "PNG")


def test_a_second_run_embeds_nothing(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    library.index(photos)
    report = library.index(photos)
    assert (report.embedded, report.reused, report.unchanged) == (0, 0, 6)
    assert encoder.embedded == 6


def test_unchanged_files_are_not_even_read(library: Library, photos: Path) -> None:
    library.index(photos)
    stat = (photos / "red.png").stat()
    (photos / "red.png").write_bytes(b"?" * stat.st_size)
    os.utime(photos / "red.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert library.index(photos).unchanged == 6


def test_copies_moves_and_restored_files_cost_no_inference(
    library: Library, photos: Path, encoder: ColourEncoder
) -> None:
    library.index(photos)
    shutil.copy(photos / "red.png", photos / "copy.png")
    (photos / "blue.png").rename(photos / "moved.png")
    report = library.index(photos)
    assert (report.embedded, report.reused, report.moved, report.removed) == (0, 2, 1, 0)
    (photos / "red.png").unlink()
    (photos / "copy.png").rename(photos / "aside")
    library.index(photos)
    assert "red.png" not in found(library)
    (photos / "aside").rename(photos / "red.png")  # same size and time as before it was deleted
    assert library.index(photos).reused == 1
    assert found(library)[0] == "red.png"
    assert encoder.embedded == 6


def test_a_restored_file_with_the_same_size_and_time_comes_back(library: Library, photos: Path) -> None:
    """Regression: in a peer such a file stayed deleted for ever."""
    library.index(photos)
    (photos / "red.png").rename(photos.parent / "red.png")
    assert library.index(photos).removed == 1
    (photos.parent / "red.png").rename(photos / "red.png")
    library.index(photos)
    assert found(library)[0] == "red.png"


def test_an_emptied_folder_removes_nothing(library: Library, photos: Path, notes: Notes) -> None:
    """Regression: in a peer an empty mount point deleted everything that used to be there."""
    library.index(photos)
    photos.rename(photos.parent / "away")
    photos.mkdir()
    assert library.index(photos).removed == 0
    assert any("nothing is removed" in note for note in notes)
    assert found(library)[0] == "red.png"


def test_an_edited_file_is_embedded_again(library: Library, photos: Path) -> None:
    library.index(photos)
    save_photo(photos / "red.png", "blue", size=(60, 40))
    report = library.index(photos)
    assert report.embedded == 1
    assert set(found(library, "blue", k=2)) == {"red.png", "blue.png"}


def test_identical_files_in_one_run_are_embedded_once(library: Library, tmp_path: Path, encoder: ColourEncoder) -> None:
    source = save_photo(tmp_path / "photos" / "0.png", "red")
    for number in range(1, 100):
        shutil.copy(source, tmp_path / "photos" / f"{number}.png")
    report = library.index(tmp_path / "photos")
    assert (report.embedded, report.reused, encoder.embedded) == (1, 99, 1)
    assert len(library.search("red", k=1000)) == 100


def test_a_bad_file_is_recorded_and_left_alone_until_it_changes(library: Library, photos: Path, notes: Notes) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    (photos / "zero.jpg").write_bytes(b"")
    for name in ("bad.jpg", "zero.jpg"):
        os.utime(photos / name, (1, 1))  # a file that has just changed may still be copied, and is read again
    report = library.index(photos)
    assert report.embedded == 6
    assert [(failure.path.name, failure.reason) for failure in report.failures] == [
        ("bad.jpg", "not a picture in a format that can be read"),
        ("zero.jpg", "the file is empty"),
    ]
    assert f"skipping {photos / 'zero.jpg'}: the file is empty" in notes
    assert [failure.path.name for failure in library.maintenance.failures()] == ["bad.jpg", "zero.jpg"]
    notes.clear()
    assert [failure.path.name for failure in library.index(photos).failures] == ["bad.jpg", "zero.jpg"]
    assert notes == []
    save_photo(photos / "bad.jpg", "red")
    assert library.index(photos).embedded == 1
    assert [failure.path.name for failure in library.maintenance.failures()] == ["zero.jpg"]


def test_a_folder_inside_a_root_and_a_root_around_it(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    library.index(photos / "grey")
    assert library.index(photos).unchanged == 2
    save_photo(photos / "grey" / "new.png", "black")
    assert library.index(photos / "grey").embedded == 1
    assert [root.path for root in library.status().roots] == [photos]
    assert library.status().files == 7
    assert encoder.embedded == 7


def test_folders_that_cannot_be_indexed_are_refused(library: Library, photos: Path, notes: Notes) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        library.index(photos / "nowhere")
    with pytest.raises(ConfigError, match="is not a folder"):
        library.index(photos / "red.png")
    with pytest.raises(ConfigError, match="no folder to index"):
        library.index()
    (photos / "empty").mkdir()
    assert library.index(photos / "empty").indexed == 0
    assert notes == [f"no pictures in {photos / 'empty'}"]


def test_progress_is_told(library: Library, photos: Path) -> None:
    steps: list[IndexProgress] = []
    library.index(photos, progress=steps.append)
    assert steps[-1].done == steps[-1].total == 6
    assert steps[-1].images_per_second > 0


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 exist on Linux")
def test_a_name_that_is_not_utf8(library: Library, photos: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    save_photo(photos / "red.png", "red").rename(photos / name)
    library.index(photos)
    assert found(library)[0] == name
    assert library.search("red")[0].path.exists()


# --- interruptions ----------------------------------------------------------------------------------------


def test_a_run_that_breaks_off_keeps_its_batches_and_goes_on(tmp_path: Path, open_library: Open) -> None:
    for number in range(100):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 2 * number, 255 - number))

    class BreakingEncoder(ColourEncoder):
        def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
            if self.embedded >= 64:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    with pytest.raises(KeyboardInterrupt):
        open_library(encoder=BreakingEncoder()).index(tmp_path / "photos")
    again = ColourEncoder()
    report = open_library(encoder=again).index(tmp_path / "photos")
    assert (report.unchanged, report.embedded, again.embedded) == (64, 36, 36)


def test_a_second_writer_is_told_who_writes(library: Library, photos: Path) -> None:
    with writer_lock(library.path), pytest.raises(LibraryLockedError, match=f"process {os.getpid()} on"):
        library.index(photos)
    assert library.index(photos).embedded == 6


def test_a_reader_sees_a_run_of_another_process(library: Library, photos: Path, open_library: Open) -> None:
    library.index(photos / "grey")
    reader = open_library(create=False)
    assert len(reader.search("red")) == 2
    library.index(photos)
    assert len(reader.search("red")) == 6


# --- the vector cache -------------------------------------------------------------------------------------


def test_a_damaged_vector_file_is_rebuilt_with_one_line(
    library: Library, photos: Path, notes: Notes, open_library: Open
) -> None:
    library.index(photos)
    expected = library.search("red")
    (cache,) = (library.path / "vectors").iterdir()
    good = cache.read_bytes()
    for damaged in (good[:100], good[:50] + b"\xff" + good[51:], b""):
        cache.write_bytes(damaged)
        notes.clear()
        assert open_library(create=False).search("red") == expected
        assert len(notes) == 1 and "rebuilding it from the catalog" in notes[0]
        assert cache.read_bytes() == good


def test_a_deleted_vector_file_is_made_again_quietly(
    library: Library, photos: Path, notes: Notes, open_library: Open
) -> None:
    library.index(photos)
    expected = library.search("red")
    shutil.rmtree(library.path / "vectors")
    assert open_library(create=False).search("red") == expected
    assert notes == []


def test_a_stale_vector_file_is_caught_up(library: Library, photos: Path, open_library: Open) -> None:
    library.index(photos)
    (cache,) = (library.path / "vectors").iterdir()
    old = cache.read_bytes()
    (photos / "red.png").unlink()
    save_photo(photos / "pink.png", "pink")
    library.index(photos)
    cache.write_bytes(old)
    fresh = open_library(create=False)
    assert "red.png" not in found(fresh) and "pink.png" in found(fresh)


# --- searching --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "k"), [("", 1), (" \n ", 1), ("red", 0), ("red", -3)])
def test_queries_without_sense_are_refused(library: Library, photos: Path, query: str, k: int) -> None:
    library.index(photos)
    with pytest.raises(QueryError):
        library.search(query, k=k)


def test_more_results_than_there_are(library: Library, photos: Path) -> None:
    library.index(photos)
    assert len(library.search("red", k=10_000)) == 6


def test_a_library_with_no_images_says_so(library: Library, photos: Path) -> None:
    with pytest.raises(QueryError, match="no pictures yet"):
        library.search("red")
    (photos / "empty").mkdir()
    library.index(photos / "empty")
    with pytest.raises(QueryError, match="no pictures yet"):
        library.search("red")


def test_similar_leaves_out_the_picture_and_its_copies(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    save_photo(photos / "crimson.png", "crimson")
    shutil.copy(photos / "red.png", photos / "red copy.png")
    library.index(photos)
    before = encoder.embedded
    results = library.similar(photos / "red.png", k=3)
    assert results[0].path.name == "crimson.png"
    assert len(results) == 3
    assert not {"red.png", "red copy.png"} & {result.path.name for result in results}
    assert encoder.embedded == before  # the library holds its embedding


def test_similar_takes_pictures_from_elsewhere(library: Library, photos: Path, tmp_path: Path) -> None:
    library.index(photos)
    outside = save_photo(tmp_path / "outside.jpg", "red", size=(90, 70))
    assert library.similar(outside, k=1)[0].path.name == "red.png"
    assert library.similar(str(outside), k=1)[0].path.name == "red.png"
    assert library.similar(Image.new("RGB", (20, 20), "blue"), k=1)[0].path.name == "blue.png"
    with pytest.raises(ImageReadError, match="no such file"):
        library.similar(tmp_path / "nowhere.jpg")


# --- opening ----------------------------------------------------------------------------------------------


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="clipsearch index FOLDER"):
        Library.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        Library.open(tmp_path / "file", create=True)


def test_another_model_is_refused(library: Library, photos: Path, open_library: Open) -> None:
    library.index(photos)
    with pytest.raises(IndexMismatchError, match="was made with the model hf-hub:tests/colours"):
        open_library(model="mini")
    changed = open_library(encoder=ColourEncoder(fingerprint="fedcba9876543210"))
    with pytest.raises(IndexMismatchError, match="have changed since"):
        changed.search("red")
    with pytest.raises(IndexMismatchError, match="have changed since"):
        changed.index(photos)


def test_rounded_weights_join_a_library_if_their_parity_was_shown(photos: Path, open_library: Open) -> None:
    open_library().index(photos)
    rounded = ColourEncoder()
    rounded.precision, rounded.parity = "int8", Parity(cosine=0.995, overlap=0.93)
    assert open_library(encoder=rounded).search("red")[0].path.name == "red.png"
    rounded.parity = Parity(cosine=0.995, overlap=0.85)
    with pytest.raises(IndexMismatchError, match=r"weights in int8, .* embeddings in fp32"):
        open_library(encoder=rounded).search("red")


def test_the_catalog_holds_precision_and_parity(photos: Path, open_library: Open, encoder: ColourEncoder) -> None:
    encoder.precision, encoder.parity = "int8", Parity(cosine=0.995, overlap=0.93)
    library = open_library()
    library.index(photos)
    model = LazyCatalog(library.path).active_model()
    assert model is not None and (model.precision, model.parity) == ("int8", encoder.parity)
    assert LazyCatalog(library.path).store.models.active() == model


def test_a_damaged_catalog_is_refused_in_one_line(library: Library, photos: Path, open_library: Open) -> None:
    library.index(photos)
    library.close()
    catalog = library.path / CATALOG_NAME
    catalog.write_bytes(b"\x00" * 4096 + catalog.read_bytes()[4096:])
    with pytest.raises(LibraryError, match="damaged"):
        open_library(create=False)


@pytest.mark.long
def test_a_full_disk_loses_nothing(library: Library, photos: Path, open_library: Open) -> None:
    library.index(photos / "grey")
    library.close()
    for number in range(400):
        save_photo(photos / f"{number}.png", (number % 256, number // 2, 99))
    with nearly_full_disk(library.path, pages=2), pytest.raises(LibraryError, match="is full"):
        open_library().index(photos)
    again = open_library()
    assert len(again.search("white", k=1000)) >= 2
    again.index(photos)
    assert again.status().files == 406


def test_a_read_only_library_is_still_searched(
    library: Library, photos: Path, open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(photos)
    library.close()
    for path in [library.path, *library.path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # the tests may run as root, whom permissions do not stop: what they tell is what is looked at
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    reader = open_library(create=False)
    assert reader.search("red")[0].path.name == "red.png"
    with pytest.raises(LibraryError, match="check the permissions"):
        reader.tags.set("holiday", photos / "red.png")


def test_status_counts_what_there_is(library: Library, photos: Path) -> None:
    assert library.status().model is None
    shutil.copy(photos / "red.png", photos / "copy.png")
    (photos / "bad.jpg").write_bytes(b"")
    library.index(photos)
    status = library.status()
    assert (status.model, status.dim) == ("hf-hub:tests/colours", 16)
    assert (status.files, status.images, status.failures) == (7, 6, 1)
    assert status.bytes_on_disk > (library.path / CATALOG_NAME).stat().st_size
    assert [(root.path, root.files, root.online) for root in status.roots] == [(photos, 7, True)]
