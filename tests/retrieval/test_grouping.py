"""Grouped results: the same as grouping everything by hand, whatever page is asked for."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, NewEmbedding, NewImage
from clipsearch.library import Library
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.perceptual_hash import fingerprint, stack_fingerprints
from clipsearch.retrieval import grouping
from clipsearch.retrieval.duplicates.verification import LEAST_SIMILARITY, NONE, PairVerifier
from clipsearch.retrieval.results import SearchResult, Sort
from tests.conftest import save_photo
from tests.photo_variants import VARIANTS
from tests.retrieval.test_duplicates import embedding, scene
from tests.retrieval.test_filters import FixedEncoder

DIM = 16
SCENES = 25
VERSIONS = [("resized", "to 50 %"), ("re-encoded", "JPEG 30"), ("cropped", "to 90 %"), ("turned", "mirrored")]

Group = tuple[str, tuple[str, ...], tuple[str, ...]]
"""The path of the first file, of its copies and of its near-duplicates."""


class Synthetic:
    """A library of generated photos, most of them in several versions, and what is to be expected of it."""

    def __init__(self, base: Path) -> None:
        base.mkdir()
        self.root = base / "photos"
        self.root.mkdir()
        (self.root / "x").touch()
        store = Catalog(base, create=True)
        model = store.models.activate(spec="fixed", fingerprint="0" * 16, dim=DIM, precision="fp32")
        rng, images, embeddings, files = np.random.default_rng(2), [], [], []
        for number in range(SCENES):
            photo, random = scene(number), Random(number)
            made = [photo, *(VARIANTS[family][name](photo, random) for family, name in VERSIONS[: number % 5])]
            for version, image in enumerate(made):
                digest = f"{rng.integers(2**40):032x}"
                taken = None if number % 7 == 0 else datetime(2020, 1, 1) + timedelta(hours=int(rng.integers(9999)))
                metadata = ImageMetadata(taken_at=taken, rating=int(rng.integers(0, 6)))
                vector = embedding(number, seed=version, noise=0.3)[:DIM].astype(np.float32)
                images.append(NewImage(digest, *image.size, "JPEG", metadata, fingerprint(image)))
                embeddings.append(NewEmbedding(digest, vector / np.linalg.norm(vector)))
                files += [
                    FileRecord(f"{rng.integers(9)}/{number}-{version}{copy}.jpg", 1, 0, digest)
                    for copy in ("", " copy", " again")[: 1 + (number + version) % 3]
                ]
        store.commit(Batch(store.roots.add(self.root), images, embeddings, files), model.id)
        store.close()
        self.images = images
        self.paths = {image.content_hash: sorted(f.relative_path for f in files if f.content_hash == image.content_hash)
                      for image in images}  # fmt: skip
        self.vectors = np.stack([item.embedding for item in embeddings]).astype(np.float16)
        self.direction = embedding(3, noise=2.0)[:DIM].astype(np.float32)
        self.direction /= np.linalg.norm(self.direction)
        self.library = Library.open(base, encoder=FixedEncoder(self.direction))  # type: ignore[arg-type]

    def one_photo(self) -> np.ndarray:
        """Whether any two pictures are versions of one photo, bool [n, n]: every pair looked at."""
        count = len(self.images)
        looks = stack_fingerprints([image.fingerprint or b"" for image in self.images])
        judge = PairVerifier(self.vectors, looks, np.array([(image.width, image.height) for image in self.images]))
        pairs = np.array([(i, j) for i in range(count) for j in range(i + 1, count)])
        same = (judge.relations(pairs) != NONE) & (judge.similarities(pairs) >= LEAST_SIMILARITY)
        matrix = np.zeros((count, count), bool)
        matrix[tuple(pairs[same].T)] = matrix[tuple(pairs[same].T[::-1])] = True
        return matrix

    def expected(self, order: list[int]) -> list[Group]:
        """All groups of the pictures in this order."""
        matrix, left, groups = self.one_photo(), list(order), []
        while left:
            first = left.pop(0)
            versions = [row for row in left if matrix[first, row]]
            left = [row for row in left if row not in versions]
            paths = self.paths[self.images[first].content_hash]
            near = sorted(path for row in versions for path in self.paths[self.images[row].content_hash])
            groups.append((paths[0], tuple(paths[1:]), tuple(near)))
        return groups

    def by_score(self) -> list[int]:
        scores = self.vectors.astype(np.float32) @ self.direction
        return np.argsort(-scores, kind="stable").tolist()

    def as_groups(self, results: list[SearchResult]) -> list[Group]:
        def name(path: Path) -> str:
            return path.relative_to(self.root).as_posix()

        return [
            (name(item.path), tuple(map(name, item.copies)), tuple(map(name, item.near_duplicates))) for item in results
        ]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return Synthetic(tmp_path_factory.mktemp("grouping") / "library")


def test_groups_are_those_of_looking_at_every_pair(synthetic: Synthetic) -> None:
    expected = synthetic.expected(synthetic.by_score())
    assert SCENES <= len(expected) <= SCENES + 3, "versions of one photo are one result, and no others"
    assert sum(len(near) for *_, near in expected) > 30
    results = synthetic.library.search("anything", k=1000, group="duplicates")
    assert synthetic.as_groups(results) == expected
    assert [result.rank for result in results] == list(range(1, len(expected) + 1))
    everything = [path for first, copies, near in expected for path in (first, *copies, *near)]
    assert len(everything) == len(set(everything)) == len(synthetic.library.search("anything", k=1000))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_pages_are_slices_of_the_whole(synthetic: Synthetic, k: int) -> None:
    expected = synthetic.expected(synthetic.by_score())
    for offset in range(0, len(expected) + k, k):
        page = synthetic.library.search("anything", k=k, offset=offset, group="duplicates")
        assert synthetic.as_groups(page) == expected[offset : offset + k]
        assert [result.rank for result in page] == list(range(offset + 1, offset + 1 + len(page)))


def test_only_what_passes_the_filter_is_in_a_group(synthetic: Synthetic) -> None:
    passing = [row for row in synthetic.by_score() if (synthetic.images[row].metadata.rating or 0) >= 3]
    expected = synthetic.expected(passing)
    found = synthetic.library.search("anything rating:>=3", k=1000, group="duplicates")
    assert synthetic.as_groups(found) == expected
    pages = [synthetic.library.search("anything rating:>=3", k=4, offset=at, group="duplicates") for at in (0, 4, 8)]
    assert synthetic.as_groups([result for page in pages for result in page]) == expected[:12]


@pytest.mark.parametrize("sort", ["score", "path"])
def test_filters_alone_are_grouped_too(synthetic: Synthetic, sort: str) -> None:
    def newest(row: int) -> tuple[bool, float, str]:
        taken = synthetic.images[row].metadata.taken_at
        seconds = (taken - datetime.min).total_seconds() if taken else 0.0
        return taken is None, -seconds, synthetic.paths[synthetic.images[row].content_hash][0]

    passing = [row for row, image in enumerate(synthetic.images) if (image.metadata.rating or 0) >= 1]
    passing.sort(key=newest if sort == "score" else lambda row: synthetic.paths[synthetic.images[row].content_hash][0])
    expected = synthetic.expected(passing)
    pages = [
        synthetic.library.search("rating:>=1", k=5, offset=at, sort=sort, group="duplicates")  # type: ignore[arg-type]
        for at in range(0, len(expected) + 5, 5)
    ]
    assert synthetic.as_groups([result for page in pages for result in page]) == expected


def test_equally_near_pictures_stay_in_their_order_on_every_page(library: Library, tmp_path: Path) -> None:
    """Copies with other metadata look the same to a model: their scores are equal to the last digit."""
    content = save_photo(tmp_path / "many" / "0.png", "red").read_bytes()
    for number in range(1, 60):
        (tmp_path / "many" / f"{number}.png").write_bytes(content + b"end" * number)
    library.index(tmp_path / "many")
    whole = [result.path for result in library.search("red", k=60)]
    assert len(whole) == 60 and len({result.score for result in library.search("red", k=60)}) == 1
    for k in (1, 7, 25):
        pages = [library.search("red", k=k, offset=offset) for offset in range(0, 60, k)]
        assert [result.path for page in pages for result in page] == whole


@pytest.mark.parametrize("line", ["anything", "anything rating:>=2", "rating:>=2"])
@pytest.mark.parametrize("sort", ["score", "path"])
def test_copies_are_one_result_on_every_page(synthetic: Synthetic, line: str, sort: Sort) -> None:
    files = synthetic.library.search(line, k=1000, sort=sort)
    by_content: dict[str, list[Path]] = {}
    for file in files:
        by_content.setdefault(file.content_hash, []).append(file.path)
    whole = synthetic.library.search(line, k=1000, sort=sort, group="copies")
    assert {result.content_hash: [result.path, *result.copies] for result in whole} == {
        digest: sorted(paths) for digest, paths in by_content.items()
    }
    assert [result.content_hash for result in whole] == list(by_content), "in the order of the files"
    assert not any(result.near_duplicates for result in whole)
    pages = [
        synthetic.library.search(line, k=7, offset=offset, sort=sort, sort_window=1000, group="copies")
        for offset in range(0, len(whole), 7)
    ]
    assert [(item.rank, item.path) for page in pages for item in page] == [(item.rank, item.path) for item in whole]


@pytest.mark.parametrize("max_cached", [0, 5])
def test_cached_versions_are_the_same(synthetic: Synthetic, monkeypatch: pytest.MonkeyPatch, max_cached: int) -> None:
    monkeypatch.setattr(grouping, "_MAX_CACHED", max_cached)
    expected = synthetic.expected(synthetic.by_score())
    for k, line in ((40, "anything"), (5, "anything rating:>=3"), (40, "anything")):
        found = synthetic.library.search(line, k=k, group="duplicates")
        if line == "anything":
            assert synthetic.as_groups(found) == expected[:k]


def test_versions_are_looked_for_anew_when_the_library_changes(indexed: Library, photos: Path) -> None:
    photo = scene(3).resize((400, 300))
    photo.save(photos / "scene.png")
    indexed.index()
    digest = next(
        result.content_hash for result in indexed.search("size:>=1B", k=50) if result.path.name == "scene.png"
    )
    assert indexed.duplicates.versions_of(digest) == []
    photo.resize((200, 150)).save(photos / "smaller.png")
    indexed.index()
    assert [path.name for path in indexed.duplicates.versions_of(digest)] == ["smaller.png"]


def test_copies_of_a_plain_picture_are_one_result(indexed: Library, photos: Path) -> None:
    shutil.copy(photos / "red.png", photos / "copy.png")
    indexed.index()
    first = indexed.search("red", group="duplicates")[0]
    assert (first.path.name, [path.name for path in first.copies], first.near_duplicates) == (
        "copy.png",
        ["red.png"],
        (),
    )
    similar = indexed.similar(photos / "blue.png", k=100, group="duplicates")
    assert len(similar) == 5


def test_a_minimum_goes_with_groups(indexed: Library, photos: Path) -> None:
    shutil.copy(photos / "red.png", photos / "copy.png")
    indexed.index()
    every = indexed.search("red", k=10, group="duplicates")
    passing = [result for result in every if result.is_match]
    assert indexed.search("red", k=10, group="duplicates", min_match="possible") == passing
