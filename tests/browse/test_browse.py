from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.catalog.facets import MAX_VALUES, FacetValue
from clipsearch.errors import ConfigError, LibraryLockedError, QueryError
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, save_photo
from tests.retrieval.test_duplicates import scene

MAKE, MODEL, TAKEN, GPS = 0x010F, 0x0110, 0x9003, 0x8825


def save_with_exif(
    path: Path, colour: str, *, taken: str, camera: str = "Fuji", size: tuple[int, int] = (48, 32), place: bool = False
) -> Path:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = camera, "X"
    exif.get_ifd(0x8769)[TAKEN] = taken
    if place:
        exif[GPS] = {1: "N", 2: (35.0, 18.0, 0.0), 3: "E", 4: (25.0, 6.0, 0.0)}
    save_photo(path, colour, size=size)
    with Image.open(path) as opened:
        opened.save(path, exif=exif)
    return path


def travels_of(folder: Path) -> Library:
    """A library of four pictures in two folders and above them, made in a folder beside the library."""
    save_with_exif(folder / "crete" / "one.jpg", "red", taken="2021:06:01 10:00:00", place=True)
    save_with_exif(folder / "crete" / "two.jpg", "blue", taken="2021:06:20 10:00:00", size=(32, 48))
    save_with_exif(folder / "oslo" / "three.JPG", "green", taken="2022:01:02 10:00:00", camera="Canon")
    save_photo(folder / "four.png", "white", size=(40, 40))
    library = Library.open(folder.with_name("library"), create=True, encoder=ColourEncoder())
    library.index(folder)
    return library


@pytest.fixture
def travels(tmp_path: Path) -> Iterator[Library]:
    """For tests that change it."""
    with travels_of(tmp_path / "travels") as library:
        yield library


@pytest.fixture(scope="module")
def unchanged_travels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """One for all tests that change nothing."""
    with travels_of(tmp_path_factory.mktemp("unchanged") / "travels") as library:
        yield library


def test_facets_count_files(unchanged_travels: Library) -> None:
    (root,) = unchanged_travels.roots.all()
    facets = unchanged_travels.browse.facets()
    assert facets.total == 4
    assert facets.months == (FacetValue("2021-06", 2), FacetValue("2022-01", 1))
    assert facets.undated == 1
    assert facets.cameras == (FacetValue("Fuji X", 2), FacetValue("Canon X", 1))
    assert facets.folders == (FacetValue("crete", 2), FacetValue("oslo", 1))
    assert facets.extensions == (FacetValue("jpg", 3), FacetValue("png", 1))
    assert facets.orientations == (FacetValue("landscape", 2), FacetValue("portrait", 1), FacetValue("square", 1))
    assert facets.roots == (FacetValue(str(root.path), 4),)
    assert facets.located == 1


@pytest.mark.parametrize(
    "line", ["camera:fuji", "folder:crete", "orientation:portrait", "after:2022", "ext:png", "near:35.3,25.1,20km"]
)
def test_facets_of_a_filter_agree_with_a_search(unchanged_travels: Library, line: str) -> None:
    assert unchanged_travels.browse.facets(line).total == len(unchanged_travels.search(line, k=10)) > 0
    assert unchanged_travels.browse.facets(f"a dog {line}") == unchanged_travels.browse.facets(line), (
        "words play no part"
    )


def test_every_value_of_a_facet_filters_as_many_files_as_it_says(unchanged_travels: Library) -> None:
    facets = unchanged_travels.browse.facets()
    for field, values in (
        ("camera", facets.cameras),
        ("folder", facets.folders),
        ("ext", facets.extensions),
        ("orientation", facets.orientations),
        ("date", facets.months),
        ("root", facets.roots),
    ):
        for value in values:
            assert len(unchanged_travels.search(f'{field}:"{value.value}"', k=10)) == value.count, (field, value)


def test_facets_of_a_wrong_line(unchanged_travels: Library) -> None:
    with pytest.raises(QueryError):
        unchanged_travels.browse.facets("colour:red")


def test_rare_values_are_left_out(tmp_path: Path, library: Library) -> None:
    for number in range(MAX_VALUES + 3):
        save_photo(tmp_path / "many" / f"{number:03}" / "photo.png", (number % 256, number // 256, 9), size=(8, 8))
    save_photo(tmp_path / "many" / "202" / "second.png", "red", size=(8, 8))
    library.index(tmp_path / "many")
    folders = library.browse.facets().folders
    assert len(folders) == MAX_VALUES
    assert folders[0] == FacetValue("202", 2)
    assert [folder.value for folder in folders[1:3]] == ["000", "001"]


def test_an_empty_library_has_no_facets(library: Library) -> None:
    assert library.browse.facets().total == 0
    assert library.browse.facets().months == ()


def test_a_picture_with_its_files_and_metadata(travels: Library, tmp_path: Path) -> None:
    path = tmp_path / "travels" / "crete" / "one.jpg"
    (tmp_path / "travels" / "copy.jpg").write_bytes(path.read_bytes())
    travels.index()
    digest = content_hash(path.read_bytes())
    details = travels.browse.picture(digest)
    assert [file.path for file in details.files] == [tmp_path / "travels" / "copy.jpg", path]
    assert all(file.online and file.size == path.stat().st_size for file in details.files)
    assert abs(details.files[1].modified_at.timestamp() - path.stat().st_mtime) < 1e-3
    assert (details.width, details.height, details.format) == (48, 32, "JPEG")
    assert details.metadata.taken_at == datetime(2021, 6, 1, 10)
    assert details.metadata.latitude == pytest.approx(35.3)
    assert details.thumbnail is not None and details.thumbnail.exists()
    assert travels.browse.thumbnail_of(digest) == details.thumbnail
    assert travels.browse.picture(digest).original == tmp_path / "travels" / "copy.jpg"


def test_a_picture_whose_drive_is_away_has_no_original(travels: Library, tmp_path: Path) -> None:
    digest = content_hash((tmp_path / "travels" / "four.png").read_bytes())
    (tmp_path / "travels").rename(tmp_path / "away")
    assert travels.browse.picture(digest).original is None
    assert not travels.browse.picture(digest).files[0].online


@pytest.mark.parametrize("digest", ["0" * 32, "", "%", "abcdef"])
def test_an_unknown_picture_is_refused(unchanged_travels: Library, digest: str) -> None:
    with pytest.raises(QueryError, match="has no picture"):
        unchanged_travels.browse.picture(digest)


def test_near_versions_are_those_that_duplicates_finds(tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        scene(number).save(folder / f"{number}.png")
    scene(3).save(folder / "saved again.jpg", quality=90)
    library.index(folder)
    (group,) = library.duplicates.find()
    assert {file.path.name for file in group.files} == {"3.png", "saved again.jpg"}
    assert library.duplicates.versions_of(content_hash((folder / "3.png").read_bytes())) == [folder / "saved again.jpg"]
    assert library.duplicates.versions_of(content_hash((folder / "4.png").read_bytes())[:8]) == []


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's trash is while the test runs."""
    monkeypatch.setenv("HOME", str(tmp_path))  # whose file system has the trash
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    import send2trash.plat_other as plat

    monkeypatch.setattr(plat, "HOMETRASH", str(tmp_path / "data" / "Trash"))
    monkeypatch.setattr(plat, "HOMETRASH_B", os.fsencode(tmp_path / "data" / "Trash"))
    return tmp_path / "data" / "Trash"


@pytest.mark.long
def test_trashed_files_leave_the_library_and_can_be_taken_back(travels: Library, tmp_path: Path, trash: Path) -> None:
    path = tmp_path / "travels" / "crete" / "two.jpg"
    content = path.read_bytes()
    assert travels.maintenance.trash(path) == 1
    assert not path.exists()
    assert travels.browse.facets().total == 3
    (thrown,) = (trash / "files").iterdir()
    assert thrown.read_bytes() == content
    thrown.rename(path)
    assert travels.index().embedded == 0, "its embedding is still there"
    assert travels.browse.facets().total == 4


def test_a_trashed_picture_takes_its_own_sidecars_along(travels: Library, tmp_path: Path, trash: Path) -> None:
    folder = tmp_path / "travels" / "crete"
    for name in ("two.jpg.xmp", "two.xmp", "two.jpg.json", "two.cr2"):
        (folder / name).write_bytes(b"x")
    travels.maintenance.trash(folder / "two.jpg")
    assert {path.name for path in (trash / "files").iterdir()} == {"two.jpg", "two.jpg.xmp", "two.jpg.json"}
    assert (folder / "two.xmp").exists(), "the RAW file has it as well"


def test_nothing_is_trashed_if_one_file_is_unknown(travels: Library, tmp_path: Path, trash: Path) -> None:
    known = tmp_path / "travels" / "four.png"
    stranger = save_photo(tmp_path / "stranger.png", "red")
    for wrong in (stranger, tmp_path / "travels" / "crete", tmp_path / "missing.png"):
        with pytest.raises(ConfigError):
            travels.maintenance.trash(known, wrong)
        assert known.exists()
    assert stranger.exists() and not trash.exists()


def test_trash_needs_the_writers_lock(
    travels: Library, tmp_path: Path, trash: Path, open_library: Callable[..., Library]
) -> None:
    with writer_lock(travels.path), pytest.raises(LibraryLockedError):
        travels.maintenance.trash(tmp_path / "travels" / "four.png")
    assert (tmp_path / "travels" / "four.png").exists()
