"""Which files are one photograph."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.library import Library
from clipsearch.media.stacks import StackFile, stack_key, stacks_of
from tests.conftest import ColourEncoder

NOON, LATER = datetime(2020, 5, 1, 12), datetime(2021, 7, 8, 9)


def files(*names: str, **known: object) -> list[StackFile]:
    keys = [(name, stack_key(name)) for name in names]
    return [StackFile(Path("/p", name), key, 1000, 1, **known) for name, key in keys if key]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "stacks"),
    [
        (["DSC1.DNG", "DSC1.JPG"], [["DSC1.JPG", "DSC1.DNG"]]),
        (["DSC1.ARW", "dsc1.heic"], [["dsc1.heic", "DSC1.ARW"]]),
        (["DSC1.ARW", "DSC1.ARW.jpg"], [["DSC1.ARW.jpg", "DSC1.ARW"]]),
        (["IMG_1.HEIC", "IMG_1.MOV"], [["IMG_1.HEIC", "IMG_1.MOV"]]),
        (["IMG_1.JPG", "IMG_1.mov"], [["IMG_1.JPG", "IMG_1.mov"]]),
        (["IMG_1234.HEIC", "IMG_E1234.HEIC"], [["IMG_E1234.HEIC", "IMG_1234.HEIC"]]),
        (
            ["IMG_1234.DNG", "IMG_1234.HEIC", "IMG_1234.MOV", "IMG_E1234.JPG", "IMG_E1234.MOV"],
            [["IMG_E1234.JPG", "IMG_1234.HEIC", "IMG_1234.DNG", "IMG_1234.MOV", "IMG_E1234.MOV"]],
        ),
        (["a/DSC1.DNG", "b/DSC1.JPG"], []),
        (["DSC1.DNG", "DSC11.JPG"], []),
        (["cat.jpg", "cat.png"], []),
        (["cat.jpg", "cat.heic"], []),
        (["DSC1.DNG", "DSC1.MOV"], []),
        (["logo.png", "logo.mov"], []),
    ],
)
def test_stacks_by_name(names: list[str], stacks: list[list[str]]) -> None:
    found = [[file.path.relative_to("/p").as_posix() for file in stack] for stack in stacks_of(files(*names))]
    assert found == stacks


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"taken_at": NOON}, {"taken_at": LATER}),
        ({"camera": "Canon EOS R5"}, {"camera": "NIKON Z 6"}),
    ],
)
def test_what_is_known_of_both_must_agree(one: dict[str, object], other: dict[str, object]) -> None:
    assert not list(stacks_of([*files("DSC1.DNG", **one), *files("DSC1.JPG", **other)]))
    assert list(stacks_of([*files("DSC1.DNG", **one), *files("DSC1.JPG", **one)]))
    assert list(stacks_of([*files("DSC1.DNG", **one), *files("DSC1.JPG")]))


def test_pictures_of_one_name_and_time_are_one() -> None:
    assert list(stacks_of(files("IMG_1.HEIC", "IMG_1.JPG", taken_at=NOON)))


def test_a_long_film_is_a_film_of_its_own() -> None:
    film = StackFile(Path("/p/IMG_1.MOV"), "img_1", 500 * 2**20)
    assert not list(stacks_of([*files("IMG_1.JPG"), film]))


def scene(seed: int) -> Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((96, 72), Image.Resampling.BICUBIC)


def photos_in(place: Path) -> Path:
    """RAW and JPEG of one exposure, others of that name, and a Live Photo; RAW files that are TIFFs by content."""
    folder = place / "photos"
    (folder / "other").mkdir(parents=True)
    scene(1).save(folder / "DSC1.DNG", "TIFF")
    scene(1).save(folder / "DSC1.JPG", quality=90)
    scene(2).save(folder / "other" / "DSC1.JPG", quality=90)
    scene(3).save(folder / "DSC2.DNG", "TIFF")
    scene(4).save(folder / "DSC2.JPG", quality=90)  # another picture under the same name
    scene(5).save(folder / "IMG_5.JPG", quality=90)
    (folder / "IMG_5.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(100))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that change nothing, as `library` is."""
    return photos_in(tmp_path_factory.mktemp("stacks"))


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with Library.open(folder.with_name("library"), create=True, encoder=ColourEncoder()) as library:
        library.index(folder)
        yield library


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Library]:
    """A library of a test's own, of `photos_in` its folder."""
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(photos_in(tmp_path))
        yield library


@pytest.mark.parametrize("query", ["red", "folder:photos", "red folder:photos"])
@pytest.mark.parametrize("group", ["stacks", "copies", "duplicates"])
def test_a_stack_is_one_result_that_names_the_others(library: Library, folder: Path, query: str, group: str) -> None:
    results = library.search(query, k=20, group=group)
    shown = {result.path.relative_to(folder).as_posix(): result for result in results}
    assert set(shown) == {"DSC1.JPG", "other/DSC1.JPG", "DSC2.JPG", "DSC2.DNG", "IMG_5.JPG"}
    assert shown["DSC1.JPG"].stack == (folder / "DSC1.DNG",)
    assert shown["IMG_5.JPG"].stack == (folder / "IMG_5.MOV",)
    assert shown["DSC2.JPG"].stack == shown["other/DSC1.JPG"].stack == ()
    assert [result.rank for result in results] == [1, 2, 3, 4, 5]
    pages = [library.search(query, k=2, offset=offset, group=group) for offset in (0, 2, 4)]
    assert [result.path for page in pages for result in page] == [result.path for result in results]


def test_without_stacks_every_file_is_a_result(library: Library) -> None:
    assert len(library.search("red", k=20, group="none")) == 6


def test_a_filter_shows_the_file_of_a_stack_that_passes_it(library: Library, folder: Path) -> None:
    (result,) = [item for item in library.search("path:*.dng", k=20) if item.path.name == "DSC1.DNG"]
    assert result.stack == (folder / "DSC1.JPG",)


def test_what_is_similar_leaves_the_pictures_own_stack_out(library: Library, folder: Path) -> None:
    results = library.similar(folder / "DSC1.JPG", k=20)
    assert {result.path.name for result in results if result.path.parent == folder} == {
        "DSC2.JPG",
        "DSC2.DNG",
        "IMG_5.JPG",
    }


def test_a_pair_is_no_duplicate_and_its_copy_is_one(changing: Library, tmp_path: Path) -> None:
    library, folder = changing, tmp_path / "photos"
    assert library.duplicates.find() == []
    assert len(library.duplicates.find(stacks=False)) == 1
    copy = folder / "backup" / "DSC1.JPG"
    copy.parent.mkdir()
    copy.write_bytes((folder / "DSC1.JPG").read_bytes())
    library.index()
    (group,) = library.duplicates.find()
    assert [(file.path, file.stack) for file in group.files] == [
        (folder / "DSC1.JPG", (folder / "DSC1.DNG",)),
        (copy, ()),
    ]


def test_a_root_that_becomes_part_of_another_keeps_its_stacks(changing: Library, tmp_path: Path) -> None:
    changing.index(tmp_path)
    assert {result.path.name: result.stack for result in changing.search("red", k=20)}["DSC1.JPG"]
