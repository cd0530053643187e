"""Forgetting files and folders: which, whether they are there or not, and that they come back."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from clipsearch.catalog.catalog import Catalog
from clipsearch.errors import ConfigError, LibraryLockedError
from clipsearch.library import Library
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, save_photo


def known(library: Library) -> set[str]:
    with closing(Catalog(library.path)) as store:
        (root,) = store.roots.all()
        return {file.relative_path for file in store.files_in(root.id)}


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (["red.png"], {"green.png", "blue.png", "yellow.png", "grey/white.jpg", "grey/black.webp"}),
        (["grey"], {"red.png", "green.png", "blue.png", "yellow.png"}),
        (["grey", "red.png", "grey/white.jpg"], {"green.png", "blue.png", "yellow.png"}),
        (["."], set()),
        ([".."], set()),
    ],
)
def test_files_and_folders_are_forgotten_and_come_back(
    indexed: Library, photos: Path, encoder: ColourEncoder, named: list[str], left: set[str]
) -> None:
    assert indexed.maintenance.forget(*(photos / name for name in named)) == 6 - len(left)
    assert known(indexed) == left
    assert len(list(photos.rglob("*.*"))) == 6  # on disk nothing is touched
    if left:
        assert {found.path.relative_to(photos).as_posix() for found in indexed.search("red", k=10)} == left
    before = encoder.embedded
    assert indexed.index(photos).reused == 6 - len(left)
    assert encoder.embedded == before and len(known(indexed)) == 6


def test_files_that_are_gone_offline_or_unreadable_are_forgotten(indexed: Library, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    indexed.index(photos)
    photos.rename(photos.parent / "away")
    assert indexed.maintenance.forget(photos / "red.png", str(photos / "bad.jpg")) == 2
    assert "red.png" not in known(indexed) and indexed.maintenance.failures() == []


def test_a_path_that_matches_nothing_forgets_nothing(indexed: Library, photos: Path) -> None:
    for wrong in (photos / "red", photos / "red.png" / "x", photos / "GREY", photos / "gre"):
        with pytest.raises(ConfigError, match=str(wrong)):
            indexed.maintenance.forget(photos / "red.png", wrong)
    assert len(known(indexed)) == 6


def test_a_relative_path_and_one_through_a_link(
    indexed: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos / "grey")
    assert indexed.maintenance.forget("../red.png", "white.jpg") == 2
    (tmp_path / "link").symlink_to(photos)
    assert indexed.maintenance.forget(tmp_path / "link" / "blue.png") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 exist on Linux")
def test_a_name_whose_encoded_form_looks_like_a_folder(indexed: Library, photos: Path) -> None:
    """Regression: as it is stored, `a\\xe9.png` begins like a file in a folder `a`."""
    save_photo(photos / "a" / "x.png", "pink")
    save_photo(photos / "y.png", "navy").rename(photos / os.fsdecode(b"a\xe9.png"))
    indexed.index(photos)
    assert indexed.maintenance.forget(photos / "a") == 1
    assert os.fsdecode(b"a\xe9.png") in known(indexed)


def test_removing_needs_the_lock(indexed: Library, photos: Path) -> None:
    with writer_lock(indexed.path), pytest.raises(LibraryLockedError):
        indexed.maintenance.forget(photos)
