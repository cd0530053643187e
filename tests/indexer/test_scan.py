from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.catalog.volumes import place_of
from clipsearch.media.formats import PICTURE
from indexer.scan import scan


def names(root: Path, prefix: str = "") -> list[str]:
    problems: list[tuple[Path, str]] = []
    files = scan(root, prefix=prefix, on_error=lambda *error: problems.append(error))
    found = [file.relative_path for file in files if file.kind == PICTURE]
    assert problems == []
    return found


def touch(root: Path, *relative: str) -> None:
    for name in relative:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_pictures_are_found_by_name_in_a_stable_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.jpeg", "notes.txt", "deep/er/c.HEIC", "deep/d.tif", "noending", "B.png")
    assert names(tmp_path) == ["B.png", "a.jpeg", "b.JPG", "deep/d.tif", "deep/er/c.HEIC"]
    assert names(tmp_path, "deep") == ["deep/d.tif", "deep/er/c.HEIC"]


def test_hidden_and_junk_directories_are_left_alone(tmp_path: Path) -> None:
    touch(tmp_path, ".git/a.png", "@eaDir/b.jpg", "node_modules/c.png", "ok/.hidden.jpg", "ok/._d.jpg", "ok/d.jpg")
    assert names(tmp_path) == ["ok/d.jpg"]


def test_a_library_inside_the_folder_is_left_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", f"library/{CATALOG_NAME}", "library/thumbnails/b.jpg")
    assert names(tmp_path) == ["a.jpg"]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))
    (file,) = scan(tmp_path, on_error=pytest.fail)
    assert (file.size, file.mtime_ns, file.path) == (1, (tmp_path / "a.jpg").stat().st_mtime_ns, tmp_path / "a.jpg")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_but_loops_end_and_nothing_is_found_twice(tmp_path: Path) -> None:
    touch(tmp_path, "z/a.jpg")
    touch(tmp_path.parent / f"{tmp_path.name}-elsewhere", "b.jpg")
    (tmp_path / "a-link-to-z").symlink_to(tmp_path / "z")
    (tmp_path / "z" / "loop").symlink_to(tmp_path)
    (tmp_path / "out").symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "z" / "a.jpg")
    assert names(tmp_path) == ["c.jpg", "z/a.jpg", "out/b.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file kinds")
def test_what_cannot_be_looked_at_is_told_and_the_walk_goes_on(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    problems: list[tuple[Path, str]] = []
    found = [file.relative_path for file in scan(tmp_path, on_error=lambda *error: problems.append(error))]
    assert found == ["a.jpg"]
    assert problems == [(tmp_path / "broken.jpg", "no such file or directory")]


def test_a_volume_has_the_same_identity_for_all_of_its_folders(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert place_of(tmp_path).volume_id == place_of(tmp_path / "inner").volume_id
