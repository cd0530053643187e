from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_path, write_thumbnail

HASH = "abcdef0123456789abcdef0123456789"


def written(library: Path, image: Image.Image) -> Image.Image:
    write_thumbnail(library, HASH, image)
    with Image.open(thumbnail_path(library, HASH)) as opened:
        opened.load()
        return opened


def test_a_preview_is_named_by_its_content(tmp_path: Path) -> None:
    assert thumbnail_path(tmp_path, HASH) == tmp_path / "thumbnails" / "ab" / f"{HASH}.jpg"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 3000), (384, 288)),
        ((3000, 4000), (288, 384)),
        ((384, 384), (384, 384)),
        ((100, 50), (100, 50)),  # never enlarged
        ((1, 1), (1, 1)),
        ((20_000, 3), (384, 1)),
        ((3, 20_000), (1, 384)),
    ],
)
def test_the_long_side_is_bounded(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    preview = written(tmp_path, Image.new("RGB", size, "teal"))
    assert (preview.size, preview.format, preview.mode) == (expected, "JPEG", "RGB")
    assert max(preview.size) <= THUMBNAIL_SIDE
    assert preview.getpixel((0, 0)) == pytest.approx((0, 128, 128), abs=4)


def test_an_existing_preview_is_left_alone(tmp_path: Path) -> None:
    write_thumbnail(tmp_path, HASH, Image.new("RGB", (40, 30), "red"))
    path = thumbnail_path(tmp_path, HASH)
    os.utime(path, ns=(1, 1))
    write_thumbnail(tmp_path, HASH, Image.new("RGB", (40, 30), "blue"))
    assert path.stat().st_mtime_ns == 1


def test_only_the_colours_go_into_a_preview(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 30), "red")
    image.info |= {"comment": b"c" * 70_000, "exif": b"Exif\0\0II", "icc_profile": b"one" * 100}
    preview = written(tmp_path, image)
    assert preview.info.keys().isdisjoint({"comment", "exif", "icc_profile"})
    assert image.info["comment"]  # the picture itself is not changed


def test_a_preview_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file where the folder should be", encoding="utf-8")
    write_thumbnail(tmp_path, HASH, Image.new("RGB", (40, 30)))
    (tmp_path / "thumbnails").unlink()
    thumbnail_path(tmp_path, HASH).mkdir(parents=True)  # nor can it be replaced
    write_thumbnail(tmp_path, HASH, Image.new("RGB", (40, 30)))
    assert [path.name for path in (tmp_path / "thumbnails" / "ab").iterdir()] == [f"{HASH}.jpg"]


def test_copies_may_be_written_at_once(tmp_path: Path) -> None:
    image = Image.effect_noise((800, 600), 40).convert("RGB")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: write_thumbnail(tmp_path, HASH, image), range(16)))
    assert [path.name for path in (tmp_path / "thumbnails" / "ab").iterdir()] == [f"{HASH}.jpg"]
    assert written(tmp_path, image).size == (384, 288)
