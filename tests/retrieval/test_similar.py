"""Likeness to a file, to an earlier result, to several pictures, and to a part of one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.errors import ImageReadError, QueryError
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.media.cropping import cut, decode_crop
from clipsearch.media.decoding import content_hash
from clipsearch.models.encoder import l2_normalize
from tests.conftest import COLOURS, ColourEncoder, OpenCatalog, Run, save_photo


def names(results: list[Any]) -> list[str]:
    return [result.path.name for result in results]


def hash_of(path: Path) -> str:
    return content_hash(path.read_bytes())


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A picture that is red on the left and blue on the right, 400×200 pixels."""
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    picture.save(tmp_path / "halves.png")
    return tmp_path / "halves.png"


# --- by id ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["~#{}", "#{}"])
def test_an_id_means_the_picture_with_that_content(
    indexed: Library, photos: Path, encoder: ColourEncoder, form: str
) -> None:
    expected = indexed.similar(photos / "red.png")
    before = encoder.embedded
    digits = hash_of(photos / "red.png")
    assert indexed.similar(form.format(digits[:8])) == expected
    assert indexed.similar(form.format(digits.upper())) == expected
    assert encoder.embedded == before
    assert "red.png" not in names(expected)


def test_ids_that_mean_nothing_are_refused(indexed: Library, open_catalog: OpenCatalog) -> None:
    with pytest.raises(QueryError, match="no picture of the library has a content hash that begins with 00000000000"):
        indexed.similar("~#00000000000")
    for wrong in ("~#abc", "#xyzxyz"):
        with pytest.raises(QueryError, match="is not the id of a result, which has 6 to 32"):
            indexed.similar(wrong)
    store, model = open_catalog(indexed), indexed.active_model()
    assert model is not None
    hashes = [f"abcdef{number:026x}" for number in range(2)]
    embedding = ColourEncoder().encode_texts(["red"])[0]
    batch = Batch(
        store.roots.all()[0].id,
        [NewImage(digest, 6, 4, "PNG") for digest in hashes],
        [NewEmbedding(digest, embedding) for digest in hashes],
        [FileRecord(f"{digest}.png", 1, 2, digest) for digest in hashes],
    )
    store.commit(batch, model.id)
    with pytest.raises(QueryError, match="more than one picture of the library"):
        indexed.similar("~#abcdef")


def test_a_file_may_have_a_name_like_an_id(
    indexed: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "#abcdef.png", "red")
    monkeypatch.chdir(tmp_path)
    assert names(indexed.similar("./#abcdef.png", k=1)) == ["red.png"]
    assert names(indexed.similar(Path("#abcdef.png"), k=1)) == ["red.png"]


# --- by several -------------------------------------------------------------------------------------------


def test_several_pictures_are_compared_by_the_mean_of_their_embeddings(
    indexed: Library, photos: Path, encoder: ColourEncoder
) -> None:
    files = sorted(photos.rglob("*.*"))
    embeddings = l2_normalize(encoder.encode_images([Image.open(path).convert("RGB") for path in files]))
    given = [photos / "red.png", photos / "blue.png"]
    rows = [files.index(path) for path in given]
    scores = embeddings @ l2_normalize(embeddings[rows].mean(axis=0)[None])[0]
    order = [files[row].name for row in np.argsort(-scores) if row not in rows]
    results = indexed.similar([str(given[0]), f"~#{hash_of(given[1])[:10]}"])
    assert names(results) == order
    best = max(score for row, score in enumerate(scores.tolist()) if row not in rows)
    assert results[0].score == pytest.approx(best, abs=2e-3)
    assert indexed.similar(given[:1]) == indexed.similar(given[0])


def test_no_copy_of_any_of_them_is_a_result(indexed: Library, photos: Path) -> None:
    shutil.copy(photos / "blue.png", photos / "blue again.png")
    indexed.index()
    found = names(indexed.similar([photos / "red.png", photos / "blue.png"], k=100))
    assert sorted(found) == sorted(
        f"{path.name}" for path in photos.rglob("*.*") if path.name[:3] not in ("red", "blu")
    )


def test_nothing_and_unreadable_files_are_refused(indexed: Library, photos: Path) -> None:
    with pytest.raises(QueryError, match="a picture to compare with is required"):
        indexed.similar([])
    with pytest.raises(ImageReadError, match="no such file"):
        indexed.similar([photos / "red.png", photos / "nowhere.png"])


# --- by a part --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "best"),
    [
        ("0,0,200,200", "red.png"),
        ("200,0,200,200", "blue.png"),
        ("0%,0%,50%,100%", "red.png"),
        ("50%,25%,50%,75%", "blue.png"),
        ("399,199,1,1", "blue.png"),
        ("0,0,0.5,0.5", "red.png"),
    ],
)
def test_a_part_is_compared_by_itself(indexed: Library, halves: Path, box: str, best: str) -> None:
    results = indexed.similar(halves, box=Box.parse(box), k=1)
    assert names(results) == [best]
    assert results[0].score == pytest.approx(1, abs=0.02)
    with Image.open(halves) as picture:
        assert names(indexed.similar(picture.convert("RGB"), box=Box.parse(box), k=1)) == [best]


def test_a_part_of_a_picture_in_the_library_leaves_the_picture_out(
    indexed: Library, halves: Path, photos: Path
) -> None:
    copied = shutil.copy(halves, photos / "halves.png")
    indexed.index()
    box = Box(0, 0, 50, 100, "%")
    by_file, by_id = indexed.similar(copied, box=box), indexed.similar(f"~#{hash_of(halves)[:8]}", box=box)
    assert by_file == by_id
    assert by_file[0].path.name == "red.png" and "halves.png" not in names(by_file)


def test_a_part_of_an_earlier_result_needs_its_file(indexed: Library, photos: Path, tmp_path: Path) -> None:
    digits, box = f"~#{hash_of(photos / 'red.png')[:8]}", Box(0, 0, 10, 10)
    shutil.copy(photos / "blue.png", photos / "red.png")
    with pytest.raises(ImageReadError, match=r"red\.png: it has changed since it was indexed"):
        indexed.similar(digits, box=box)
    photos.rename(tmp_path / "away")
    with pytest.raises(ImageReadError, match=r"red\.png: its drive is not connected"):
        indexed.similar(digits, box=box)
    assert "red.png" not in names(indexed.similar(digits))  # the whole picture needs none


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("1,2,3", "is not a box; write x,y,width,height"),
        ("a,b,c,d", "is not a box"),
        ("10%,10,20,20", "or all in percent"),
        ("-1,0,10,10", "is not a box"),
        ("0,0,0,10", "is empty"),
        ("0%,0%,10%,0%", "is empty"),
        ("300,0,101,10", "reaches outside of the picture, which has 400×200 pixels"),
        ("0,0,400,201", "reaches outside"),
        ("60%,0%,50%,10%", "reaches outside"),
    ],
)
def test_boxes_that_are_none_are_refused(indexed: Library, halves: Path, box: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        indexed.similar(halves, box=Box.parse(box))


def test_a_box_is_of_one_picture(indexed: Library, halves: Path) -> None:
    with pytest.raises(QueryError, match="--box needs exactly one picture"):
        indexed.similar([halves, halves], box=Box(0, 0, 10, 10))
    with pytest.raises(QueryError, match="begins outside"):
        Box(-1, 0, 10, 10)


def test_thirds_add_up_to_the_whole() -> None:
    whole = Image.new("RGB", (1000, 10))
    assert cut(whole, Box.parse("33.333%,0%,66.667%,100%")).size == (667, 10)
    assert cut(whole, Box(0, 0, 100, 100, "%")).size == (1000, 10)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_box_counts_pixels_as_the_picture_is_looked_at(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (640, 320), "white")
    upright.paste("green", (480, 0, 640, 80))  # the upper right corner
    turns = {1: 0, 3: 180, 6: 90, 8: 270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.rotate(turns[orientation], expand=True)
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    part = decode_crop((tmp_path / "turned.jpg").read_bytes(), Box(490, 10, 140, 60), path=None, min_side=8)
    assert np.asarray(part).reshape(-1, 3).mean(axis=0) == pytest.approx((0, 128, 0), abs=8)


def test_a_small_part_of_a_large_photo_is_decoded_finely(tmp_path: Path) -> None:
    """At the scale that is enough for the whole photo, the part would have a few pixels only."""
    Image.effect_noise((3200, 2400), 60).convert("RGB").save(tmp_path / "large.jpg")
    content = (tmp_path / "large.jpg").read_bytes()
    assert decode_crop(content, Box(100, 100, 300, 300), path=None, min_side=64).size == (75, 75)
    assert decode_crop(content, Box(100, 100, 100, 100), path=None, min_side=64).size == (100, 100)
    assert min(decode_crop(content, Box(0, 0, 100, 100, "%"), path=None, min_side=64).size) < 400


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_looks_among_what_passes_filters(run: Run, indexed: Library, photos: Path) -> None:
    every = indexed.similar(photos / "red.png", k=100)
    expected = [result for result in every if "b" in result.path.name]
    assert 0 < len(expected) < len(every)
    given = ["similar", photos / "red.png", "-k", 100, "--paths", "--where"]
    found = run(*given, "path:*b*")
    assert found.stdout.splitlines() == [str(result.path) for result in expected]
    refused = run(*given, "dogs date:2021")
    assert refused.exit_code == 1 and "`where` accepts filters only; remove dogs" in refused.stderr


def test_the_command_takes_files_ids_and_boxes(run: Run, photos: Path, halves: Path) -> None:
    done = run("similar", halves, "--box", "0,0,200,200", "--paths", "-k", 1)
    assert (done.exit_code, done.stdout.strip()) == (0, str(photos / "red.png")), done.stderr
    both = run("similar", photos / "red.png", f"~#{hash_of(photos / 'blue.png')[:8]}", "--paths", "-k", 100)
    assert len(both.stdout.splitlines()) == len(COLOURS) - 2
    for wrong in ("0,0,1000,1000", "x", "5,5,0,0"):
        done = run("similar", halves, "--box", wrong)
        assert done.exit_code == 1 and done.stderr.startswith("clipsearch: ") and len(done.stderr.splitlines()) == 1
    assert run("similar").exit_code == 2
