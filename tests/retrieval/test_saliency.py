"""Where a match is: heat lies on what is looked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipsearch.demo import find_photographs
from clipsearch.errors import ImageReadError, QueryError
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.media.decoding import load_image
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.models.encoder import Encoder
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.saliency import PICTURE_SIDE, Explanation, explain_picture
from tests.conftest import ColourEncoder, Run, save_photo


def beside(left: Image.Image, right: Image.Image, *, size: tuple[int, int] = (400, 400)) -> Image.Image:
    width, height = size
    picture = Image.new("RGB", size)
    picture.paste(left.resize((width // 2, height)), (0, 0))
    picture.paste(right.resize((width - width // 2, height)), (width // 2, 0))
    return picture


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    picture = beside(Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue"), size=(300, 200))
    picture.save(tmp_path / "halves.png")
    return tmp_path / "halves.png"


def share_on_the_left(found: Explanation) -> float:
    middle = found.heat.shape[1] // 2
    return float(found.heat[:, :middle].sum() / found.heat.sum())


def check_form(found: Explanation) -> None:
    assert found.heat.shape == (found.picture.height, found.picture.width) == found.overlay().size[::-1]
    assert found.heat.dtype == np.float32
    assert (found.heat.min(), found.heat.max()) == (0, 1)


def test_heat_lies_on_the_half_with_the_colour(indexed: Library, halves: Path) -> None:
    red, blue = indexed.explain(halves, "red"), indexed.explain(str(halves), "blue ext:png")
    check_form(red)
    assert red.picture.size == (300, 200)
    assert share_on_the_left(red) > 0.9 and share_on_the_left(blue) < 0.1
    assert -1 <= red.score <= 1 and not red.from_preview


def test_likeness_is_explained_by_what_is_alike(indexed: Library, halves: Path, photos: Path) -> None:
    assert share_on_the_left(indexed.explain(halves, like=photos / "red.png")) > 0.9
    assert share_on_the_left(indexed.explain(halves, like=halves, box=Box(50, 0, 50, 100, "%"))) < 0.1


def test_what_takes_part_is_a_hundred_pictures_at_most(indexed: Library, halves: Path, encoder: ColourEncoder) -> None:
    before = encoder.embedded
    indexed.explain(halves, "red")
    assert 60 <= encoder.embedded - before <= 100


def test_nothing_in_a_plain_picture_speaks_for_a_query(encoder: ColourEncoder) -> None:
    found = explain_picture(encoder, Image.new("RGB", (64, 48), "red"), encoder.encode_texts(["red"])[0])
    assert found.heat.shape == (48, 64) and not found.heat.any()
    assert found.overlay().size == (64, 48)


@pytest.mark.long
def test_the_picture_is_not_larger_than_a_screen_needs(indexed: Library, tmp_path: Path) -> None:
    save_photo(tmp_path / "large.png", "red", size=(2400, 1200))
    found = indexed.explain(tmp_path / "large.png", "red")
    assert found.picture.size == (PICTURE_SIDE, PICTURE_SIDE // 2)


@pytest.mark.parametrize(
    ("resize_mode", "expected"),
    [("squash", "all"), ("longest", "all"), ("shortest", "middle")],
)
def test_heat_is_where_the_model_looks(encoder: ColourEncoder, resize_mode: Any, expected: str) -> None:
    """A red thing at the left of a wide picture: a model that crops does not see it."""
    encoder.transform = ImageTransform(ImageSpec(size=(8, 8), resize_mode=resize_mode))
    picture = Image.new("RGB", (320, 160), "blue")
    picture.paste("red", (0, 0, 80, 160))
    picture.paste("red", (100, 0, 140, 160))
    heat = explain_picture(encoder, picture, encoder.encode_texts(["red"])[0]).heat
    outside = heat[:, :80].sum() + heat[:, 240:].sum()
    assert (outside > 0) == (expected == "all")
    assert heat[:, 100:140].mean() > 2 * heat[:, 200:240].mean()


def test_the_overlay_is_lighter_the_hotter_it_is() -> None:
    """In grey, too: the colours are in an order of lightness."""
    heat = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (8, 1))
    for ground in ("black", "gray", "white"):
        overlay = Explanation(Image.new("RGB", (256, 8), ground), heat, 0.3).overlay()
        grey = np.asarray(overlay.convert("L"), np.int16)[0]
        assert grey[-1] > grey[0] + 90
        if ground == "black":
            assert (np.diff(grey) >= -1).all()


def test_filters_alone_are_not_explained(indexed: Library, halves: Path) -> None:
    with pytest.raises(QueryError, match="filters alone match all of a picture or nothing"):
        indexed.explain(halves, "ext:png")


def test_a_preview_stands_in_for_a_file_that_is_not_there(indexed: Library, photos: Path, tmp_path: Path) -> None:
    first = indexed.search("red", k=1)[0]
    assert not indexed.explain(first, "green").from_preview
    photos.rename(tmp_path / "away")
    for picture in (first, indexed.search("red", k=1)[0], f"~#{first.content_hash[:8]}"):
        assert indexed.explain(picture, "green").from_preview
    shutil.rmtree(indexed.path / "thumbnails")
    with pytest.raises(ImageReadError, match=r"red\.png"):
        indexed.explain(first, "red")


# --- with the bundled model and photographs ---------------------------------------------------------------


@pytest.fixture(scope="module")
def mini() -> Encoder:
    return load_encoder("mini")


@pytest.mark.parametrize(("query", "side"), [("a cat", "left"), ("a cup of coffee", "right")])
def test_the_model_says_where_the_cat_is_and_where_the_coffee(mini: Encoder, query: str, side: str) -> None:
    photographs = {path.name: load_image(path).image for path in find_photographs()}
    picture = beside(photographs["chelsea.png"], photographs["coffee.png"], size=(640, 480))
    found = explain_picture(mini, picture, mini.encode_texts([query])[0])
    share = share_on_the_left(found)
    assert (share if side == "left" else 1 - share) > 0.75
    highest = int(found.heat.argmax()) % found.heat.shape[1]
    assert (highest < 320) == (side == "left")


# --- the command ------------------------------------------------------------------------------------------


def test_a_picture_is_written_for_each_result(run: Run, tmp_path: Path) -> None:
    to = tmp_path / "new" / "why"
    done = run("search", "red", "-k", 2, "--paths", "--explain", to)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 and "explained 2 results in" in done.stderr
    written = sorted(path.name for path in to.iterdir())
    assert len(written) == 2 and written[0] == "001-red.jpg" and written[1].startswith("002-")
    with Image.open(to / "001-red.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (48, 32))
    before = (to / "001-red.jpg").read_bytes()
    (to / "001-red.jpg").write_bytes(b"mine")
    assert run("similar", tmp_path / "photos" / "blue.png", "-k", 1, "--explain", to).exit_code == 0
    assert run("search", "red", "-k", 1, "--explain", to).exit_code == 0
    assert (to / "001-red.jpg").read_bytes() == b"mine" and (to / "001-red-2.jpg").read_bytes() == before
    assert len(list(to.iterdir())) == 4


def test_what_cannot_be_explained_is_told(run: Run, tmp_path: Path, photos: Path, indexed: Library) -> None:
    done = run("search", "ext:png", "--explain", tmp_path / "why")
    assert (done.exit_code, done.stdout) == (1, "") and "filters alone" in done.stderr
    (tmp_path / "file").touch()
    done = run("search", "red", "--explain", tmp_path / "file")
    assert (done.exit_code, done.stdout) == (1, "") and "is not a folder" in done.stderr
    shutil.rmtree(indexed.path / "thumbnails")
    (photos / "red.png").unlink()
    done = run("search", "red", "-k", 2, "--explain", tmp_path / "why")
    assert done.exit_code == 1 and "red.png: no such file" in done.stderr
    assert "1 result could not be explained" in done.stderr
    assert [path.name[:3] for path in (tmp_path / "why").iterdir()] == ["002"]
