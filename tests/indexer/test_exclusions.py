"""What is left out of a folder: patterns, other programs' private folders, and how pictures come and go by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.catalog.exclusion_patterns import anchored, exclusion_pattern
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from indexer.exclusions import Exclusions
from indexer.scan import scan
from tests.conftest import ColourEncoder

PICTURE = ["a.jpg"]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def library(tmp_path: Path, encoder: ColourEncoder, notices: list[str]) -> Iterator[Library]:
    with Library.open(tmp_path / "library", create=True, encoder=encoder, notify=notices.append) as library:
        yield library


def paint(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (number * 17 % 255, 40, len(str(path)) % 255)).save(path, "JPEG")


def names_in(library: Library, folder: Path) -> set[str]:
    results = library.search("red", k=100)
    return {result.path.relative_to(folder).as_posix() for result in results}


def found(folder: Path, patterns: Sequence[str] = (), *, defaults: bool = True, prefix: str = "") -> list[str]:
    rules = Exclusions(patterns, defaults=defaults, root_name=folder.name)
    return [file.relative_path for file in scan(folder, prefix=prefix, exclusions=rules, on_error=pytest.fail)]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ([], ["a.jpg", "b.png", "work/drafts/c.jpg", "work/drafts/final/d.jpg", "work/e.jpg"]),
        (["drafts/"], ["a.jpg", "b.png", "work/e.jpg"]),
        (["/drafts/"], ["a.jpg", "b.png", "work/drafts/c.jpg", "work/drafts/final/d.jpg", "work/e.jpg"]),
        (["*.png", "work/*.jpg"], ["a.jpg", "work/drafts/c.jpg", "work/drafts/final/d.jpg"]),
        (["work/drafts/*", "!work/drafts/final/"], ["a.jpg", "b.png", "work/drafts/final/d.jpg", "work/e.jpg"]),
        (["drafts/", "!drafts/"], ["a.jpg", "b.png", "work/drafts/c.jpg", "work/drafts/final/d.jpg", "work/e.jpg"]),
        (["*", "!*/", "!*.png"], ["b.png"]),
    ],
)
def test_patterns_are_those_of_gitignore(tmp_path: Path, patterns: list[str], left: list[str]) -> None:
    paint(tmp_path, "a.jpg", "b.png", "work/drafts/c.jpg", "work/drafts/final/d.jpg", "work/e.jpg")
    assert sorted(found(tmp_path, patterns)) == left


@pytest.mark.parametrize(
    "private",
    [
        "@Recycle/x.jpg",
        "#recycle/x.jpg",
        "$Recycle.Bin/S-1-5/x.jpg",
        ".Trash-1000/files/x.jpg",
        "@Recently-Snapshot/2024/x.jpg",
        "@GMT-2021.01.01-00.00.00/x.jpg",
        "~snapshot/daily/x.jpg",
        "System Volume Information/x.jpg",
        "sub/@eaDir/IMG.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "sub/.@__thumb/x.jpg",
        "Catalog Previews.lrdata/0/x.jpg",
        "Lightroom Library.lrlibrary/7f/proxies/x.jpg",
        "shoot/CaptureOne/Cache/Proxies/x.jpg",
        "Mine.cocatalog/Cache/x.jpg",
        "My Photos.photoslibrary/resources/derivatives/masters/0/x.jpeg",
        "MY PHOTOS.PHOTOSLIBRARY/private/x.jpg",
        "Old.aplibrary/Previews/x.jpg",
        "iPhoto Library/Thumbnails/2009/x.jpg",
        "Generated Images.bundle/x.jpg",
        "Takeout/Google Photos/Trash/x.jpg",
        "phone/Android/data/com.example/cache/x.jpg",
    ],
)
def test_private_folders_of_other_programs_are_left_out(tmp_path: Path, private: str) -> None:
    paint(tmp_path, "a.jpg", private)
    assert found(tmp_path) == PICTURE
    assert found(tmp_path, prefix=private.rpartition("/")[0]) == []
    if not any(part.startswith(".") for part in private.split("/")):
        assert len(found(tmp_path, defaults=False)) == 2


@pytest.mark.parametrize(
    "original",
    [
        "My Photos.photoslibrary/originals/0/x.jpeg",
        "Old.photoslibrary/Masters/2015/x.jpg",
        "Old.aplibrary/Masters/2009/x.jpg",
        "Mine.cocatalog/Originals/2020/x.jpg",
        "Lightroom Library.lrlibrary/7f/originals/2020/x.jpg",
        "Recycle/x.jpg",
        "Trash/x.jpg",
        "data/x.jpg",
        "Android/media/com.whatsapp/WhatsApp/Media/WhatsApp Images/x.jpg",
        "snapshots/x.jpg",
    ],
)
def test_originals_are_found(tmp_path: Path, original: str) -> None:
    paint(tmp_path, original)
    assert found(tmp_path) == [original]


def test_a_programs_library_that_is_the_indexed_folder_gives_its_originals(tmp_path: Path) -> None:
    package = tmp_path / "Mine.photoslibrary"
    paint(package, "originals/0/x.jpeg", "resources/derivatives/x.jpeg", "private/x.jpeg")
    assert found(package) == ["originals/0/x.jpeg"]


@pytest.mark.parametrize("pattern", ["!@eaDir/", "!sub/@eaDir", "!**/@eaDir/"])
def test_a_negated_pattern_brings_a_private_folder_back(tmp_path: Path, pattern: str) -> None:
    paint(tmp_path, "sub/@eaDir/x.jpg", "@Recycle/y.jpg")
    assert found(tmp_path, [pattern]) == ["sub/@eaDir/x.jpg"]


def test_a_pattern_that_names_nothing_hidden_leaves_it_hidden(tmp_path: Path) -> None:
    paint(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "@eaDir/c.jpg")
    assert found(tmp_path, ["*", "!*/", "!*.jpg"]) == PICTURE
    assert sorted(found(tmp_path, ["!.cache/"])) == [".cache/b.jpg", "a.jpg"]


def test_a_folder_with_nomedia_is_left_out_with_all_below(tmp_path: Path) -> None:
    paint(tmp_path, "a.jpg", "private/b.jpg", "private/deep/c.jpg")
    (tmp_path / "private" / ".nomedia").touch()
    assert found(tmp_path) == PICTURE
    assert found(tmp_path, prefix="private/deep") == []
    assert found(tmp_path / "private") == ["b.jpg", "deep/c.jpg"]  # named by a person
    assert len(found(tmp_path, ["!private/"])) == 3


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_patterns_match_whatever_unicode_form_a_name_has(tmp_path: Path, form: str) -> None:
    paint(tmp_path, "a.jpg", unicodedata.normalize("NFD", "Übung/b.jpg"), unicodedata.normalize("NFC", "Größe/c.jpg"))
    patterns = [exclusion_pattern(unicodedata.normalize(form, text)) for text in ("Übung/", "Gr*e/")]
    assert found(tmp_path, patterns) == PICTURE


@pytest.mark.parametrize(
    ("pattern", "prefix", "matches", "others"),
    [
        ("drafts/", "work", ["work/drafts/", "work/a/drafts/"], ["drafts/", "else/drafts/"]),
        ("/a/*.png", "work", ["work/a/x.png"], ["a/x.png", "work/b/a/x.png"]),
        ("x.jpg", "odd [1] #!*", ["odd [1] #!*/x.jpg"], ["odd 1 #!z/x.jpg"]),
    ],
)
def test_patterns_of_an_inner_folder_hold_in_the_outer_one(
    pattern: str, prefix: str, matches: list[str], others: list[str]
) -> None:
    rules = Exclusions([anchored(pattern, prefix)])
    for path in matches + others:
        assert rules.excludes(path.rstrip("/"), is_folder=path.endswith("/")) == (path in matches), path


@pytest.mark.parametrize("text", ["", "  ", "/", "!", "a\nb"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="pattern"):
        exclusion_pattern(text)


def test_a_path_and_a_name_with_a_hash_are_taken_as_they_were_meant(tmp_path: Path) -> None:
    assert exclusion_pattern(f"{tmp_path}/a [1]/", tmp_path) == r"/a \[1\]/"
    paint(tmp_path, "a.jpg", "#old/b.jpg")
    assert found(tmp_path, [exclusion_pattern("#old")]) == PICTURE


def test_what_is_excluded_later_leaves_and_comes_back_without_inference(
    library: Library, encoder: ColourEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    paint(folder, "a.jpg", *(f"drafts/{number}.jpg" for number in range(9)))
    library.index(folder)
    embedded = encoder.embedded

    report = library.index(folder, exclude=["drafts/"])  # nine of ten: not taken for a folder that vanished
    assert (report.excluded, report.removed, report.missing) == (9, 0, 0)
    assert names_in(library, folder) == {"a.jpg"}
    assert [root.exclusions for root in library.roots.all()] == [("drafts/",)]
    assert library.index().excluded == 0

    library.roots.stop_excluding(["drafts/"], folder)
    assert library.index().reused == 9
    assert encoder.embedded == embedded
    with pytest.raises(ConfigError, match="drafts/ is not excluded"):
        library.roots.stop_excluding(["drafts/"], folder)


def test_patterns_of_the_library_hold_in_every_folder(library: Library, tmp_path: Path) -> None:
    for name in ("one", "two"):
        paint(tmp_path / name, "a.jpg", "shots/b.jpg")
    library.roots.exclude(["shots/"])
    library.index(tmp_path / "one", tmp_path / "two")
    assert library.status().files == 2
    library.roots.exclude(["!shots/"], tmp_path / "two")  # a folder's own pattern decides
    library.index()
    assert [root.files for root in library.roots.all()] == [1, 2]
    library.index(exclude=["a.jpg"])
    assert library.roots.exclusions() == ("shots/", "a.jpg")


def test_a_folder_inside_another_brings_its_patterns_along(library: Library, tmp_path: Path) -> None:
    paint(tmp_path / "all", "work/drafts/a.jpg", "work/b.jpg", "drafts/c.jpg")
    library.index(tmp_path / "all" / "work", exclude=["drafts/"])
    library.index(tmp_path / "all")
    assert names_in(library, tmp_path / "all") == {"work/b.jpg", "drafts/c.jpg"}
    library.index(tmp_path / "all" / "work", exclude=["/b.jpg"])
    assert names_in(library, tmp_path / "all") == {"drafts/c.jpg"}


def test_a_dry_run_says_what_would_leave_and_remembers_nothing(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    paint(folder, "a.jpg", "b/c.jpg")
    library.index(folder)
    preview = library.preview_index(folder, exclude=["b/"])
    assert (preview.excluded, preview.gone) == ([folder / "b" / "c.jpg"], [])
    assert library.index(folder).excluded == 0


def test_an_excluded_folder_that_is_named_is_reported(library: Library, notices: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    paint(folder, "a.jpg", "b/c.jpg")
    library.index(folder, exclude=["b/"])
    library.index(folder / "b")
    assert any("b is excluded" in notice for notice in notices)


def test_the_private_folders_can_be_switched_on(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    paint(folder, "a.jpg", "@eaDir/b.jpg")
    library.index(folder)
    library.roots.use_default_exclusions(False, folder)
    assert library.index().indexed == 1
    library.roots.use_default_exclusions(True)
    assert library.index().excluded == 1


def test_exclusions_are_exported_and_imported(library: Library, encoder: ColourEncoder, tmp_path: Path) -> None:
    paint(tmp_path / "photos", "a.jpg")
    library.index(tmp_path / "photos", exclude=["drafts/", "!drafts/x/"])
    library.roots.exclude(["*.tmp.png"])
    library.maintenance.export(tmp_path / "export")
    with Library.open(tmp_path / "other", create=True, encoder=encoder) as other:
        other.maintenance.import_from(tmp_path / "export")
        assert other.roots.exclusions() == ("*.tmp.png",)
        assert other.roots.all()[0].exclusions == ("drafts/", "!drafts/x/")
