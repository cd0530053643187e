"""Long pictures: where their parts lie, and that these are embedded, kept and carried along with the whole."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.media.decoding import content_hash
from clipsearch.media.tiling import LONG, MAX_TILES, tiles_of
from tests.conftest import ROOT, ColourEncoder, save_photo

DATA = ROOT / "tests" / "data"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 100), ()),
        ((200, 100), ()),
        ((300, 100), (Box(0, 0, 100, 100), Box(100, 0, 100, 100), Box(200, 0, 100, 100))),
        ((100, 250), (Box(0, 0, 100, 100), Box(0, 75, 100, 100), Box(0, 150, 100, 100))),
        ((201, 100), (Box(0, 0, 100, 100), Box(50, 0, 100, 100), Box(101, 0, 100, 100))),
        ((1600, 100), tuple(Box(200 * index, 0, 200, 100) for index in range(8))),
        ((0, 0), ()),
    ],
)
def test_where_parts_lie(size: tuple[int, int], expected: tuple[Box, ...]) -> None:
    assert tiles_of(*size) == expected


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_parts_cover_a_long_picture(width: int, height: int) -> None:
    parts = tiles_of(width, height)
    short, long = sorted((width, height))
    assert bool(parts) == (long > LONG * short) and len(parts) <= MAX_TILES
    reached = 0
    for part in parts:
        start, length = (part.x, part.width) if width > height else (part.y, part.height)
        assert (part.height, part.y) == (height, 0) if width > height else (part.width, part.x) == (width, 0)
        assert start <= reached  # no gap
        assert length >= short
        reached = start + length
    assert reached == (long if parts else 0)


def save_panorama(path: Path, *colours: str) -> Path:
    """A picture of 32 pixels' height, the colours side by side as squares."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (32 * len(colours), 32))
    for index, colour in enumerate(colours):
        picture.paste(colour, (32 * index, 0, 32 * (index + 1), 32))
    picture.save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_panorama(tmp_path / "photos" / "wide.png", "green", "blue", "white", "red")
    save_photo(tmp_path / "photos" / "plain.png", "yellow")
    return tmp_path / "photos"


WHOLE = ("image", 0)


def segments_in(library: Path) -> list[tuple[str, str, int]]:
    """Content hash, kind and position of each embedding."""
    with sqlite3.connect(library / CATALOG_NAME) as connection:
        return sorted(connection.execute("SELECT content_hash, kind, position FROM embeddings"))


def vectors_in(library: Path) -> dict[tuple[str, int], bytes]:
    with sqlite3.connect(library / CATALOG_NAME) as connection:
        rows = connection.execute("SELECT content_hash, kind, position, vector FROM embeddings").fetchall()
    return {(digest, kind, position): vector for digest, kind, position, vector in rows}


def test_a_long_picture_is_embedded_in_parts(folder: Path, library: Library, encoder: ColourEncoder) -> None:
    report = library.index(folder)
    wide, plain = (content_hash((folder / name).read_bytes()) for name in ("wide.png", "plain.png"))
    assert segments_in(library.path) == sorted(
        [(plain, *WHOLE), (wide, *WHOLE), *((wide, "tile", position) for position in range(4))]
    )
    assert (report.embedded, encoder.embedded) == (2, 6)
    red = encoder.encode_texts(["red"])[0]
    vectors = vectors_in(library.path)
    scores = [
        float(np.frombuffer(vectors[wide, *segment], "<f2").astype(np.float32) @ red)
        for segment in (WHOLE, *(("tile", position) for position in range(4)))
    ]
    assert scores[4] > 0.999 and max(scores[:4]) < 0.99
    status = library.status()
    assert (status.files, status.spaces[0].embedded, status.spaces[0].missing) == (2, 2, 0)
    assert library.index(folder).unchanged == 2


def test_damage_to_a_part_is_mended_with_all_of_its_picture(folder: Path, library: Library) -> None:
    library.index(folder)
    before = vectors_in(library.path)
    with sqlite3.connect(library.path / CATALOG_NAME) as connection:
        connection.execute("UPDATE embeddings SET vector = x'00' WHERE kind = 'tile' AND position = 1")
    connection.close()
    assert [finding.code for finding in library.maintenance.check().findings] == ["embedding-length"]
    library.maintenance.check(repair=True)
    assert len(segments_in(library.path)) == 1
    library.index(folder)
    assert vectors_in(library.path) == before


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_parts_survive_export_and_import(
    form: str, folder: Path, library: Library, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    library.index(folder)
    exported = library.maintenance.export(tmp_path / "out", format=form)
    assert (exported.images, exported.embeddings) == (2, 6)
    other = open_library(tmp_path / "other")
    assert other.maintenance.import_from(tmp_path / "out").embeddings == 6
    assert vectors_in(other.path) == vectors_in(library.path)
    assert other.index(folder).unchanged == 2


def test_duplicates_are_of_whole_pictures(folder: Path, library: Library) -> None:
    shutil.copy(folder / "wide.png", folder / "copy.png")
    save_panorama(folder / "flat.png", "white", "white", "white", "white")
    library.index(folder)
    groups = library.duplicates.find()
    assert [sorted(file.path.name for file in group.files) for group in groups] == [["copy.png", "wide.png"]]


def test_a_result_says_which_part_is_the_nearest(folder: Path, library: Library) -> None:
    save_panorama(folder / "tall.png", "red", "white", "white")
    with Image.open(folder / "tall.png") as picture:
        picture.transpose(Image.Transpose.ROTATE_270).save(folder / "tall.png")
    library.index(folder)
    found = library.search("red", k=10)
    assert [result.path.name for result in found] == ["tall.png", "wide.png", "plain.png"]  # each of them once
    assert [result.part for result in found] == [Box(0, 0, 32, 32), Box(96, 0, 32, 32), None]
    assert found[0].score is not None and found[0].score > 0.999
    pages = [library.search("red", k=1, offset=page) for page in range(4)]
    assert [[(item.path, item.part) for item in page] for page in pages] == [
        *([(item.path, item.part)] for item in found),
        [],
    ]
    assert [result.part for result in library.search("red path:wide*")] == [Box(96, 0, 32, 32)]
    assert [result.part for result in library.search("path:wide*")] == [None]


def test_a_long_picture_is_not_like_its_own_parts(folder: Path, library: Library) -> None:
    shutil.copy(folder / "wide.png", folder / "copy.png")
    library.index(folder)
    assert [result.path.name for result in library.similar(folder / "wide.png")] == ["plain.png"]
    grouped = library.search("red", group="duplicates")
    assert [(result.path.name, len(result.copies)) for result in grouped] == [("copy.png", 1), ("plain.png", 0)]
    assert grouped[0].part == Box(96, 0, 32, 32)


def test_a_match_is_that_of_the_part(folder: Path, library: Library) -> None:
    save_photo(folder / "square.png", "red", size=(32, 32))
    library.index(folder)
    by_name = {result.path.name: result for result in library.search("red")}
    wide, square = by_name["wide.png"], by_name["square.png"]
    assert wide.probability is not None and square.probability is not None
    assert wide.probability == pytest.approx(square.probability, abs=0.05)
