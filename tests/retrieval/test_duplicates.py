"""Duplicates found among photographs and generated pictures, and among which none are to be found."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from clipsearch.cli.commands.duplicates import duplicates, format_groups, group_to_json
from clipsearch.library import Library
from clipsearch.library_parts.duplicates import Duplicates
from clipsearch.media.perceptual_hash import fingerprint, stack_fingerprints
from clipsearch.retrieval.duplicates import (
    DuplicateFile,
    DuplicateGroup,
    LibraryContent,
    LibraryFile,
    find_duplicates,
)
from clipsearch.retrieval.duplicates.alignment import align
from clipsearch.retrieval.duplicates.candidates import coarse_candidates, embedding_candidates
from clipsearch.retrieval.duplicates.clustering import StarClustering
from clipsearch.retrieval.duplicates.ranking import rank_files
from clipsearch.retrieval.duplicates.values import KINDS
from tests.photo_variants import VARIANTS, cropped, resaved, scaled

DIM = 32


def scene(seed: int) -> Image.Image:
    """A generated photo: a sky, a ground, and things on it, no two alike."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (320, 240), tuple(random.integers(60, 255, 3).tolist()))
    draw = ImageDraw.Draw(image)
    horizon = int(random.integers(80, 180))
    draw.rectangle((0, horizon, 320, 240), fill=tuple(random.integers(0, 200, 3).tolist()))
    for _ in range(int(random.integers(12, 30))):
        x, y, width, height = random.integers((-20, -20, 8, 8), (310, 230, 90, 90)).tolist()
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=tuple(random.integers(0, 255, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(1.0))


def embedding(of: int, *, noise: float = 0.02, seed: int = 0) -> NDArray[np.float16]:
    """What a model makes of photo number `of`, or of a variant of it."""
    vector = np.random.default_rng(of).normal(size=DIM) / DIM**0.5
    vector += np.random.default_rng((of, seed)).normal(size=DIM) / DIM**0.5 * noise**0.5
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def content(name: str, image: Image.Image, *, size: int = 1000, copies: int = 1, **known: object) -> LibraryContent:
    files = tuple(LibraryFile(Path(f"{'copy' * number}{name}"), size) for number in range(copies))
    form = str(known.pop("format", "JPEG"))
    return LibraryContent(name, *image.size, form, files, fingerprint(image), **known)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    found = [getattr(data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket")]
    return [Image.fromarray(pixels).resize((480, 480 * pixels.shape[0] // pixels.shape[1])) for pixels in found]


# --- real photographs and generated ones -------------------------------------------------------------------


@pytest.mark.parametrize("family", VARIANTS)
def test_every_variant_of_a_photograph_is_found(photographs: list[Image.Image], family: str) -> None:
    names = [f"{number}" for number in range(len(photographs))]
    for name, variant in VARIANTS[family].items():
        changed = [variant(photo, Random(5)) for photo in photographs]
        contents = [content(own, photo) for own, photo in zip(names, photographs, strict=True)]
        contents += [content(f"{own} {name}", photo) for own, photo in zip(names, changed, strict=True)]
        vectors = np.stack([embedding(number, seed=seed) for seed in (0, 1) for number in range(len(names))])
        groups = find_duplicates(contents, vectors)
        expected = "same" if family in ("resized", "re-encoded") else "near"
        assert [group.kind for group in groups] == [expected] * len(photographs), name
        for group in groups:
            assert len({file.content_hash.split()[0] for file in group.files}) == 1


@pytest.mark.long
def test_precision_and_recall_on_generated_photos() -> None:
    """With embeddings that would join every two pictures: the fingerprints alone hold them apart."""
    contents, source = [], {}
    for number in range(20):
        photo = scene(number)
        random = Random(number)
        made = [("photo", photo)] + [
            (name, variant(photo, random)) for kinds in VARIANTS.values() for name, variant in list(kinds.items())[:2]
        ]
        for name, image in made:
            contents.append(content(f"{number} {name}", image))
            source[f"{number} {name}"] = number
    vectors = np.stack([embedding(0, seed=row) for row in range(len(contents))])
    right = wrong = 0
    for group in find_duplicates(contents, vectors):
        for one, other in combinations(group.files, 2):
            same = source[one.content_hash] == source[other.content_hash]
            right, wrong = right + same, wrong + (not same)
    per_photo = len(contents) // 20
    assert right >= 0.9 * 20 * per_photo * (per_photo - 1) / 2
    assert wrong <= 0.01 * right


def test_an_embedding_that_disagrees_keeps_lookalikes_apart(photographs: list[Image.Image]) -> None:
    photo = photographs[0]
    contents = [content("a", photo), content("b", scaled(photo, 0.5))]
    opposite = np.stack([embedding(1), -embedding(1)])
    assert find_duplicates(contents, opposite) == []


@pytest.mark.parametrize(
    ("durations", "found"),
    [((None, None), 1), ((60_000, 60_900), 1), ((2_000, 2_400), 1), ((3_700, 1_700), 0), ((None, 60_000), 0)],
)
def test_videos_that_begin_alike_are_duplicates_only_if_they_are_as_long(
    photographs: list[Image.Image], durations: tuple[int | None, int | None], found: int
) -> None:
    shown = (photographs[0], resaved(photographs[0], "JPEG", quality=60))
    contents = [
        content(name, image, duration_ms=duration) for name, image, duration in zip("ab", shown, durations, strict=True)
    ]
    assert len(find_duplicates(contents, np.stack([embedding(1), embedding(1, seed=1)]))) == found


def test_pages_of_text_are_not_one_page() -> None:
    """Pages look alike to a model and at 8×8 pixels; a reader tells them apart."""
    contents = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        page = Image.new("RGB", (420, 594), "white")
        draw = ImageDraw.Draw(page)
        for line in range(40, 560, 12):
            x = 40
            while x < 370 and random.random() > 0.04:
                width = int(random.integers(6, 40))
                draw.rectangle((x, line, x + width, line + 5), fill="black")
                x += width + 5
        contents.append(content(str(seed), page))
    vectors = np.stack([embedding(0, seed=row) for row in range(len(contents))])
    assert find_duplicates(contents, vectors) == []


def receipt(goods: int) -> Image.Image:
    """One of a shop: the same head and foot, and as many goods between them."""
    random = np.random.default_rng(goods)
    foot = 130 + 24 * goods
    page = Image.new("RGB", (420, foot + 80), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((120, 30, 300, 90), fill=(60, 60, 60))
    for line in range(130, foot, 24):
        draw.rectangle((30, line, 30 + int(random.integers(120, 160)), line + 8), fill=(120, 120, 120))
        draw.rectangle((390 - int(random.integers(40, 60)), line, 390, line + 8), fill=(120, 120, 120))
    draw.rectangle((60, foot + 20, 360, foot + 40), fill=(60, 60, 60))
    return page


def test_receipts_of_one_shop_are_not_one_receipt() -> None:
    receipts = [receipt(goods) for goods in (16, 19, 23)]
    contents = [content(f"{number}", page) for number, page in enumerate(receipts)]
    vectors = [embedding(0, seed=row) for row in range(len(contents))]
    assert find_duplicates(contents, np.stack(vectors)) == []
    again = [
        scaled(receipts[2], 0.5),
        resaved(receipts[2], "JPEG", quality=30),
        receipts[2].transpose(Image.Transpose.ROTATE_90),
    ]
    contents += [content(f"again {number}", page) for number, page in enumerate(again)]
    (group,) = find_duplicates(contents, np.stack([*vectors, *(embedding(0, seed=20 + row) for row in range(3))]))
    assert {file.content_hash for file in group.files} == {"2", "again 0", "again 1", "again 2"}


def test_plain_pictures_are_only_matched_byte_for_byte() -> None:
    contents = [content(name, Image.new("RGB", (60, 40), name), copies=2) for name in ("black", "white")]
    groups = find_duplicates(contents, np.stack([embedding(0), embedding(0)]))
    assert [group.kind for group in groups] == ["identical", "identical"]


# --- kinds and groups --------------------------------------------------------------------------------------


def test_kinds_select_groups() -> None:
    photo = scene(1)
    contents = [
        content("a", photo, copies=2),
        content("b", resaved(photo, "PNG")),
        content("c", cropped(photo, 0.9, 0.9, Random(1))),
        content("alone", scene(2), copies=3),
        content("unique", scene(3)),
    ]
    vectors = np.stack([embedding(of, seed=row) for row, of in enumerate((1, 1, 1, 2, 3))])
    everything = find_duplicates(contents, vectors)
    assert [(group.kind, len(group.files)) for group in everything] == [("identical", 3), ("near", 4)]
    strict = find_duplicates(contents, vectors, kinds=("identical", "same"))
    assert [(group.kind, len(group.files)) for group in strict] == [("identical", 3), ("same", 3)]
    identical = find_duplicates(contents, vectors, kinds=("identical",))
    assert [(group.kind, len(group.files)) for group in identical] == [("identical", 2), ("identical", 3)]
    assert find_duplicates(contents, vectors, kinds=("near",)) == everything[1:]
    assert find_duplicates(contents, vectors, kinds=()) == []


def test_without_a_fingerprint_only_copies_are_found() -> None:
    files = (LibraryFile(Path("a"), 1), LibraryFile(Path("b"), 1))
    contents = [LibraryContent("x", 4, 4, "PNG", files), LibraryContent("y", 4, 4, "PNG", (LibraryFile(Path("c"), 1),))]
    (group,) = find_duplicates(contents, np.stack([embedding(0), embedding(0)]))
    assert [file.path.name for file in group.files] == ["a", "b"]


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures_have_no_duplicates(count: int) -> None:
    contents = [content(str(number), scene(number)) for number in range(count)]
    assert find_duplicates(contents, np.zeros((count, DIM), np.float16)) == []


def test_a_missing_embedding_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 contents, but 0 embeddings"):
        find_duplicates([content("a", scene(1))], np.zeros((0, DIM), np.float16))


def test_a_chain_is_not_one_group() -> None:
    """A burst: each shot matches the next one only."""
    chain = np.array([(number, number + 1) for number in range(6)])
    stars = StarClustering(chain, match=lambda pairs: np.zeros(len(pairs), np.bool_))
    for middle, members in stars.groups():
        assert all(abs(middle - member) == 1 for member in members)


@settings(deadline=None, max_examples=60)
@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda pair: pair[0] < pair[1]), max_size=30))
def test_every_member_matches_its_middle_and_is_in_one_group(edges: set[tuple[int, int]]) -> None:
    pairs = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
    stars = StarClustering(
        pairs, match=lambda asked: np.array([tuple(pair) in edges for pair in asked.tolist()], np.bool_)
    )
    groups = stars.groups()
    seen = [item for middle, members in groups for item in (middle, *members)]
    assert len(seen) == len(set(seen))
    for middle, members in groups:
        assert members
        assert all((min(middle, item), max(middle, item)) in edges for item in members)
    left = {item for pair in edges for item in pair} - set(seen)
    assert not any(first in left and second in left for first, second in edges)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.floats(0.0, 0.9))
def test_candidates_are_the_near_pairs(count: int, least: float) -> None:
    vectors = np.stack([embedding(number % 7, noise=0.3, seed=number) for number in range(count)])
    cosines = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    found = {tuple(pair) for pair in embedding_candidates(vectors, least=least).tolist()}
    for first, second in combinations(range(count), 2):
        if (first, second) in found:
            assert cosines[first, second] >= least - 1e-4
        elif count <= 17:  # all neighbours are looked at
            assert cosines[first, second] < least + 1e-4


def test_turned_pictures_are_candidates_whatever_the_embedding_says(photographs: list[Image.Image]) -> None:
    usual = (
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_180,
        Image.Transpose.ROTATE_270,
        Image.Transpose.FLIP_LEFT_RIGHT,
    )
    for turn in usual:
        pictures = [photographs[0], photographs[0].transpose(turn), photographs[1]]
        rows = stack_fingerprints([fingerprint(picture) for picture in pictures])
        assert [0, 1] in coarse_candidates(rows, least=0.95).tolist(), turn


def test_alignment_finds_the_crop(photographs: list[Image.Image]) -> None:
    photo = photographs[0]
    left = photo.crop((0, 0, round(photo.width * 0.9), round(photo.height * 0.9)))
    first, second = (stack_fingerprints([fingerprint(image)]) for image in (photo, left))
    fits = align(first, second)
    assert fits.turn[0] == 0
    assert fits.detail[0] > 0.85
    assert fits.overlap[0] == pytest.approx(0.81, abs=0.04)
    assert fits.shift[0] == pytest.approx(0.1, abs=0.02)
    itself = align(first, first)
    assert (itself.detail[0], itself.shift[0]) == (pytest.approx(1, abs=1e-3), pytest.approx(0, abs=1e-3))


# --- the best of a group -----------------------------------------------------------------------------------


def held(path: str, **known: object) -> LibraryContent:
    values: dict[str, object] = {"width": 100, "height": 80, "format": "JPEG", "size": 5000, "taken_at": None, **known}
    file = LibraryFile(Path(path), values.pop("size"))  # type: ignore[arg-type]
    return LibraryContent(path, files=(file,), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("best", "other", "reason"),
    [
        (held("long/name", width=200), held("a", size=99999), "most pixels (200×80)"),
        (held("long/name", format="CR2"), held("a", format="PNG"), "a RAW file"),
        (held("long/name", format="PNG"), held("a", size=99999), "saved without loss (PNG)"),
        (held("long/name", camera="Canon"), held("a", size=99999, format="PNG"), "camera metadata (Canon)"),
        (
            held("long/name", taken_at=datetime(2020, 5, 1, 10)),
            held("a", size=99999, format="PNG"),
            "taken first (2020-05-01 10:00:00)",
        ),
        (held("long/name", size=8000), held("a"), "least compressed (1.00 bytes per pixel)"),
        (
            held("long/name", taken_at=datetime(2020, 5, 1, 10)),
            held("a", taken_at=datetime(2021, 1, 1)),
            "taken first (2020-05-01 10:00:00)",
        ),
        (held("a"), held("bb"), "shortest path"),
        (held("a"), held("b"), "first by name"),
    ],
)
def test_the_best_and_why(best: LibraryContent, other: LibraryContent, reason: str) -> None:
    for contents in ([best, other], [other, best]):
        files, why = rank_files(contents)
        assert (str(files[0].path), why) == (str(best.files[0].path), reason)


def test_a_lossless_copy_made_later_or_turned_is_not_the_best() -> None:
    def content(name: str, form: str, mtime_ns: int) -> LibraryContent:
        return LibraryContent(name, 100, 80, form, (LibraryFile(Path(name), 9000 if form == "PNG" else 900, mtime_ns),))

    jpeg, later, earlier = content("j", "JPEG", 5), content("l", "PNG", 6), content("e", "PNG", 4)
    assert rank_files([later, jpeg])[0][0].path == Path("j")
    assert rank_files([jpeg, earlier])[0][0].path == Path("e")
    files, why = rank_files([earlier, jpeg], {"e": 4, "j": 0})
    assert (files[0].path, why) == (Path("j"), "not turned or mirrored")


def test_the_best_of_exact_copies_is_the_one_with_the_shortest_path() -> None:
    files = (LibraryFile(Path("deep/down/a.jpg"), 9), LibraryFile(Path("a.jpg"), 9))
    ranked, why = rank_files([LibraryContent("x", 3, 3, "JPEG", files)])
    assert (ranked[0].path, why) == (Path("a.jpg"), "shortest path among exact copies")


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path: Path) -> DuplicateGroup:
    files = (
        DuplicateFile(tmp_path / "a.jpg", 2048, 400, 300, "JPEG", "aa"),
        DuplicateFile(tmp_path / "small\n.jpg", 512, 40, 30, "JPEG", "bb"),
    )
    for file in files:
        file.path.write_bytes(b"x" * file.size)
    return DuplicateGroup("same", files, "most pixels (400×300)")


def test_groups_for_people(group: DuplicateGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert format_groups([group]).splitlines() == [
        "1  same  * most pixels (400×300)",
        "  * 400×300  2.0 KiB  a.jpg",
        "      40×30    512 B  small\\n.jpg",
        "",
        "1 group; 512 B in files not marked *; nothing was deleted",
    ]
    assert format_groups([]) == "no duplicates"


def test_groups_as_json(group: DuplicateGroup) -> None:
    found = json.loads(json.dumps(group_to_json(7, group)))
    assert (found["group"], found["kind"], found["reason"]) == (7, "same", "most pixels (400×300)")
    assert found["best"]["path"] == str(group.best.path)
    assert [file["content_hash"] for file in found["others"]] == ["bb"]


def test_the_command_passes_on_what_is_asked_and_deletes_nothing(
    group: DuplicateGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def answer(_: Duplicates, **options: object) -> list[DuplicateGroup]:
        asked.append(options)
        return [group]

    monkeypatch.setattr(Duplicates, "find", answer)
    Library.open(tmp_path / "library", create=True).close()
    base = ["--library", str(tmp_path / "library")]
    done = CliRunner().invoke(duplicates, [*base, "-0"])
    assert done.stdout_bytes == bytes(group.others[0].path) + b"\0"
    done = CliRunner().invoke(duplicates, [*base, "--kind", "same", "--json", str(tmp_path)])
    assert json.loads(done.stdout)[0]["best"]["size"] == 2048
    assert asked == [
        {"kinds": KINDS, "within": None, "stacks": True},
        {"kinds": ("same",), "within": tmp_path, "stacks": True},
    ]
    assert all(file.path.exists() for file in group.files)
    assert CliRunner().invoke(duplicates, [*base, "-0", "--json"]).exit_code == 2
