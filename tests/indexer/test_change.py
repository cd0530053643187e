"""A library stays right while its folders change, move, vanish and come back."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.catalog import volumes
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.library import Library
from tests.conftest import ColourEncoder, Notes, save_photo


def indexed(library: Library) -> set[str]:
    """Every path in the catalog, as a search gives them."""
    return {result.path.name for result in library.search("red", k=1000)}


@pytest.fixture
def on_volume(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], None]:
    """Say that a folder is a mounted file system with an identity; the machine of the tests may have only one."""
    mounted: dict[Path, str] = {}

    def identity(folder: Path) -> str | None:
        folder.stat()
        return next((name for mount, name in mounted.items() if folder.is_relative_to(mount)), "uuid:system")

    is_mount = os.path.ismount
    monkeypatch.setattr(volumes, "_volume_id", identity)
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) in mounted or is_mount(path))

    def mount(folder: Path, name: str) -> None:
        mounted.pop(folder, None)
        if name:
            mounted[folder] = name

    return mount


# --- files that change, move and go -----------------------------------------------------------------------


def test_a_rename_that_changes_case_only(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    library.index(photos)
    (photos / "red.png").rename(photos / "aside")
    (photos / "aside").rename(photos / "Red.PNG")
    report = library.index(photos)
    assert (report.reused, report.moved, encoder.embedded) == (1, 1, 6)
    assert "Red.PNG" in indexed(library) and "red.png" not in indexed(library)


def test_a_moved_folder_costs_no_inference_and_is_no_loss(
    library: Library, photos: Path, encoder: ColourEncoder
) -> None:
    library.index(photos)
    (photos / "all").mkdir()
    for path in [path for path in photos.iterdir() if path.name != "all"]:
        path.rename(photos / "all" / path.name)
    report = library.index(photos)
    assert (report.reused, report.moved, report.removed, report.missing) == (6, 6, 0, 0)
    assert encoder.embedded == 6


def test_a_file_moved_between_roots_is_no_loss(library: Library, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_photo(other / "pink.png", "pink")
    library.index(photos, other)
    for path in photos.glob("*.png"):
        path.rename(other / path.name)
    report = library.index(photos, other)
    assert (report.embedded, report.removed, report.missing) == (0, 0, 0)
    assert report.moved == report.reused > 0


def test_verify_finds_a_change_under_the_same_size_and_time(
    library: Library, photos: Path, encoder: ColourEncoder
) -> None:
    save_photo(photos / "same.bmp", "blue")
    library.index(photos)
    before = (photos / "same.bmp").stat()
    save_photo(photos / "same.bmp", "red")
    os.utime(photos / "same.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (photos / "same.bmp").stat().st_size == before.st_size
    assert library.index(photos).unchanged == 7
    report = library.index(photos, verify=True)
    assert (report.embedded, report.reused, encoder.embedded) == (1, 6, 8)
    assert library.search("red", k=2)[1].path.name in ("red.png", "same.bmp")
    assert {result.path.name for result in library.search("red", k=2)} == {"red.png", "same.bmp"}


def test_a_file_that_was_still_copied_is_tried_again(library: Library, photos: Path) -> None:
    whole, path = next(photos.rglob("*.png")).read_bytes(), photos / "arriving.png"
    path.write_bytes(whole[:40].ljust(len(whole), b"\0"))  # its size is that of the whole from the start
    status = path.stat()
    assert len(library.index(photos).failures) == 1
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = library.index(photos)
    assert (report.failures, report.indexed) == ([], 1)


def test_what_failed_is_tried_again_when_asked(library: Library, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    library.index(photos)
    (failure,) = library.maintenance.failures()
    assert failure.failed_at is not None
    assert library.index(photos, retry_failed=True).failures[0].path.name == "bad.jpg"
    (again,) = library.maintenance.failures()
    assert again.failed_at is not None and again.failed_at > failure.failed_at


def test_a_dry_run_changes_nothing(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    assert len(library.preview_index(photos).to_read) == 6
    assert library.roots.all() == []
    library.index(photos)
    (photos / "red.png").unlink()
    new = save_photo(photos / "new.png", "pink")
    preview = library.preview_index(photos)
    assert (preview.to_read, preview.gone, preview.unchanged) == ([new], [photos / "red.png"], 5)
    assert (encoder.embedded, library.status().files) == (6, 6)


def test_more_than_half_of_a_root_goes_only_when_asked(library: Library, photos: Path, notes: Notes) -> None:
    library.index(photos)
    keep = photos / "red.png"
    for path in photos.rglob("*.*"):
        if path != keep:
            path.unlink()
    report = library.index(photos)
    assert (report.removed, report.missing) == (0, 5)
    assert any("5 of 6 pictures" in note and "--prune" in note for note in notes)
    assert len(indexed(library)) == 6
    report = library.index(photos, prune=True)
    assert (report.removed, report.missing) == (5, 0)
    assert indexed(library) == {"red.png"}


def test_half_of_a_root_may_go(library: Library, photos: Path) -> None:
    library.index(photos)
    for path in sorted(photos.rglob("*.*"))[:3]:
        path.unlink()
    assert library.index(photos).removed == 3


def test_without_a_folder_every_root_is_brought_up_to_date(library: Library, photos: Path, tmp_path: Path) -> None:
    save_photo(tmp_path / "other" / "pink.png", "pink")
    library.index(photos, tmp_path / "other")
    save_photo(tmp_path / "other" / "grey.png", "grey")
    report = library.index()
    assert (report.embedded, report.unchanged) == (1, 7)


def test_a_file_that_vanishes_between_listing_and_reading_is_no_failure(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer import run

    plan = run.plan_folder

    def then_delete(*arguments: object, **options: object) -> object:
        found = plan(*arguments, **options)  # type: ignore[arg-type]
        (photos / "red.png").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(run, "plan_folder", then_delete)
    report = library.index(photos)
    assert (report.embedded, report.failures) == (5, [])


# --- drives -----------------------------------------------------------------------------------------------


def test_an_unmounted_root_is_offline_and_still_found(library: Library, photos: Path, notes: Notes) -> None:
    library.index(photos)
    photos.rename(photos.parent / "away")
    report = library.index(photos)
    assert (report.offline, report.removed, report.missing) == ([photos], 0, 0)
    assert any("is offline" in note for note in notes)
    assert [root.online for root in library.roots.all()] == [False]
    results = library.search("red", k=10)
    assert len(results) == 6 and not any(result.online for result in results)
    assert all(result.thumbnail is not None and result.thumbnail.is_file() for result in results)
    photos.mkdir()  # the empty mount point
    assert library.index().offline == [photos]
    assert library.preview_index().offline == [photos]
    photos.rmdir()
    (photos.parent / "away").rename(photos)
    assert library.index(photos).unchanged == 6
    assert all(result.online for result in library.search("red", k=10))


def test_prune_does_not_empty_a_root_that_is_offline(library: Library, photos: Path) -> None:
    library.index(photos)
    photos.rename(photos.parent / "away")
    photos.mkdir()
    assert library.index(photos, prune=True).offline == [photos]
    assert library.status().files == 6


def test_another_drive_at_the_same_place_removes_nothing(
    library: Library, tmp_path: Path, on_volume: Callable[[Path, str], None], notes: Notes
) -> None:
    drive = tmp_path / "drive"
    for colour in ("red", "blue", "white"):
        save_photo(drive / f"{colour}.png", colour)
    on_volume(drive, "uuid:A")
    library.index(drive)
    on_volume(drive, "uuid:B")
    (drive / "red.png").unlink()
    assert library.index(drive).offline == [drive]
    assert any("another drive" in note and f"roots move {drive} {drive}" in note for note in notes)
    library.roots.move(drive, drive)
    assert library.index(drive).removed == 1


def test_a_drive_mounted_elsewhere_is_recognised(
    library: Library, tmp_path: Path, on_volume: Callable[[Path, str], None], encoder: ColourEncoder, notes: Notes
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for colour in ("red", "blue", "white"):
        save_photo(old / "photos" / "2021" / f"{colour}.png", colour)
    on_volume(old, "uuid:A")
    library.index(old / "photos")
    old.rename(new)
    on_volume(old, "")
    on_volume(new, "uuid:A")
    report = library.index(new / "photos" / "2021")
    assert (report.unchanged, report.embedded, encoder.embedded) == (3, 0, 3)
    assert [root.path for root in library.roots.all()] == [new / "photos"]
    assert f"{old / 'photos'} is at {new / 'photos'} now" in notes
    assert library.search("red", k=1)[0].path == new / "photos" / "2021" / "red.png"


@pytest.mark.long
def test_a_drive_inside_a_root_is_a_root_of_its_own(
    library: Library, tmp_path: Path, on_volume: Callable[[Path, str], None]
) -> None:
    home, stick = tmp_path / "home", tmp_path / "home" / "stick"
    save_photo(home / "red.png", "red")
    save_photo(stick / "blue.png", "blue")
    on_volume(stick, "uuid:stick")
    library.index(stick)
    assert library.index(home).embedded == 1
    assert [(root.path, root.files) for root in library.roots.all()] == [(home, 1), (stick, 1)]
    (stick / "blue.png").unlink()
    on_volume(stick, "")
    report = library.index(home)
    assert (report.offline, report.removed) == ([stick], 0)


@pytest.mark.long
def test_roots_are_moved_and_forgotten_by_hand(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    library.index(photos)
    moved = photos.parent / "moved"
    photos.rename(moved)
    assert library.roots.move(photos, moved).files == 6
    assert library.index(moved).unchanged == 6
    assert library.search("red", k=1)[0].path == moved / "red.png"
    assert library.roots.remove(moved) == 6
    assert library.roots.all() == [] and library.status().files == 0
    assert library.index(moved).reused == 6
    assert encoder.embedded == 6


def test_roots_that_are_none(library: Library, photos: Path, tmp_path: Path) -> None:
    library.index(photos)
    with pytest.raises(ConfigError, match="is not a root"):
        library.roots.remove(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        library.roots.move(photos, tmp_path / "nowhere")
    save_photo(tmp_path / "other" / "pink.png", "pink")
    library.index(tmp_path / "other")
    with pytest.raises(ConfigError, match="overlaps"):
        library.roots.move(photos, tmp_path / "other")


@pytest.mark.long
def test_a_drive_that_goes_away_in_mid_run_ends_it_with_one_line(
    tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    drive = tmp_path / "drive"
    for number in range(200):
        save_photo(drive / f"{number:03}.png", (number, 2 * number % 256, 255 - number))

    class Unplugging(ColourEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            if self.embedded == 32:
                drive.rename(tmp_path / "away")
            return super().encode_pixels(pixels)

    library = open_library(encoder=Unplugging())
    with pytest.raises(LibraryError, match="went offline during the run; progress is saved"):
        library.index(drive)
    assert library.maintenance.failures() == []
    committed = library.status().files
    assert 32 <= committed < 200
    (tmp_path / "away").rename(drive)
    report = open_library().index(drive)
    assert (report.unchanged, report.embedded) == (committed, 200 - committed)


@pytest.mark.long
def test_an_interrupted_run_says_where_it_goes_on(
    tmp_path: Path, open_library: Callable[..., Library], notes: Notes
) -> None:
    for number in range(100):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 2 * number, 255 - number))

    class Breaking(ColourEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            if self.embedded >= 64:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    with pytest.raises(KeyboardInterrupt):
        open_library(encoder=Breaking()).index(tmp_path / "photos")
    library = open_library()
    assert library.status().interrupted is not None
    library.index()
    assert any("was interrupted; the 64 files" in note and "the 36 that are left" in note for note in notes)
    assert library.status().interrupted is None
    notes.clear()
    library.index()
    assert notes == []


def test_links_to_the_root_itself_end(library: Library, photos: Path) -> None:
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    assert library.index(photos).embedded == 6


def test_a_tree_deleted_and_restored_from_a_backup(library: Library, photos: Path, encoder: ColourEncoder) -> None:
    backup = shutil.copytree(photos, photos.parent / "backup")
    library.index(photos)
    shutil.rmtree(photos / "grey")
    library.index(photos)
    shutil.copytree(backup / "grey", photos / "grey")
    report = library.index(photos)
    assert (report.embedded, report.reused, encoder.embedded) == (0, 2, 6)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_what_cannot_be_looked_at_is_recorded_until_it_can(library: Library, photos: Path, tmp_path: Path) -> None:
    elsewhere = save_photo(tmp_path / "elsewhere.png", "pink")
    (photos / "link.png").symlink_to(elsewhere)
    (photos / "broken.png").symlink_to(tmp_path / "nowhere.png")
    library.index(photos)
    assert [failure.path.name for failure in library.maintenance.failures()] == ["broken.png"]
    elsewhere.rename(tmp_path / "aside.png")  # as when the drive behind the link is unplugged: it is still found
    library.index(photos)
    assert [failure.path.name for failure in library.maintenance.failures()] == ["broken.png"]
    assert "link.png" in indexed(library)
    (tmp_path / "aside.png").rename(tmp_path / "nowhere.png")
    library.index(photos)
    assert library.maintenance.failures() == [] and "broken.png" in indexed(library)
    (photos / "broken.png").unlink()
    library.index(photos)
    assert "broken.png" not in indexed(library)
