"""The map of a library's embeddings: how it is drawn, kept, brought up to date and drawn better in the background."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.browse.embedding_map import files
from clipsearch.browse.embedding_map import map_cache as keeper
from clipsearch.browse.embedding_map.files import load_map, map_lock, map_path, save_map
from clipsearch.browse.embedding_map.labels import cluster_words
from clipsearch.browse.embedding_map.layout import MIN_FOR_UMAP, SAMPLE, cluster_count, sample_of
from clipsearch.browse.embedding_map.projection import DrawnMap, draw_map, incremental_update
from clipsearch.browse.embedding_map.regions import is_inside
from clipsearch.browse.embedding_map.values import EmbeddingMap
from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, ModelRecord, NewEmbedding, NewImage
from clipsearch.errors import QueryError
from clipsearch.library import Library
from clipsearch.query import Condition, Region, parse_query

DIM = 32
KINDS = 4
"""Kinds of pictures in the tests' libraries; number i is of the kind i % KINDS."""


class Shelf:
    """A catalog with embeddings of a few kinds, well apart."""

    def __init__(self, directory: Path, *, spec: str = "made-up") -> None:
        directory.mkdir()
        self.store = Catalog(directory, create=True)
        self.model: ModelRecord = self.store.models.activate(spec=spec, fingerprint="f" * 16, dim=DIM, precision="fp32")
        self.root = self.store.roots.add(directory / "photos", volume_id=None, volume_path=None)
        self._centres = np.random.default_rng(5).normal(size=(KINDS, DIM))

    def add(self, *numbers: int) -> None:
        digests = [f"{number:032x}" for number in numbers]
        batch = Batch(
            self.root,
            [NewImage(digest, 4, 4, "PNG") for digest in digests],
            [NewEmbedding(digest, self._embedding(number)) for digest, number in zip(digests, numbers, strict=True)],
            [FileRecord(f"{n}.png", 1, 1, digest) for digest, n in zip(digests, numbers, strict=True)],
        )
        self.store.commit(batch, self.model.id)

    def remove(self, *numbers: int) -> None:
        self.store.commit(Batch(self.root, removed=[f"{number}.png" for number in numbers]), self.model.id)

    def draw(self) -> DrawnMap:
        return draw_map(self.store, self.model, method="pca")

    def _embedding(self, number: int) -> np.ndarray:
        noise = np.random.default_rng(number).normal(size=DIM)
        vector = 3 * self._centres[number % KINDS] + 0.5 * noise
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "library")
    yield made
    made.store.close()


@pytest.fixture
def by_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps are laid out by PCA and then treated as those of UMAP, which takes ten seconds to be compiled."""

    class StayingWhereItStarts:
        def __init__(self, *, init: np.ndarray, **_: object) -> None:
            self.fit_transform = lambda reduced: init

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=StayingWhereItStarts))


def numbers_of(drawn: DrawnMap | EmbeddingMap) -> list[int]:
    return [int(digest, 16) for digest in drawn.content_hashes]


def kinds_apart(drawn: DrawnMap | EmbeddingMap) -> float:
    """How much farther apart the middles of kinds are than the pictures of one."""
    kinds = np.array(numbers_of(drawn)) % KINDS
    middles = np.stack([np.median(drawn.points[kinds == kind], axis=0) for kind in range(KINDS)])
    within = np.median(np.linalg.norm(drawn.points - middles[kinds], axis=1))
    between = [np.linalg.norm(a - b) for i, a in enumerate(middles) for b in middles[:i]]
    return float(min(between) / within)


def test_pictures_of_a_kind_lie_together_and_in_clusters_of_their_own(shelf: Shelf) -> None:
    shelf.add(*range(120))
    drawn = shelf.draw()
    assert numbers_of(drawn) == list(range(120))
    assert drawn.points.min() == 0
    assert drawn.points.max() == 1
    assert kinds_apart(drawn) > 2
    kinds = np.arange(120) % KINDS
    for cluster in np.unique(drawn.clusters):
        assert len(set(kinds[drawn.clusters == cluster])) == 1, "a cluster has pictures of one kind only"


def test_directions_tell_clusters_apart(shelf: Shelf) -> None:
    shelf.add(*range(120))
    drawn = shelf.draw()
    _, vectors = next(iter(shelf.store.embeddings(drawn.ids[:1], dim=DIM)))
    centred = vectors[0].astype(np.float32) - drawn.layout.mean
    assert int((drawn.directions @ centred).argmax()) % len(drawn.directions) in {
        int(cluster) for cluster in drawn.clusters[np.arange(120) % KINDS == 0]
    }


def test_the_same_library_gives_the_same_map(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(*range(60))
    other = Shelf(tmp_path / "other")
    other.add(*range(60))
    first, second = shelf.draw(), draw_map(other.store, other.model, method="pca")
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.clusters, second.clusters)
    other.store.close()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_few_pictures_make_a_map_too(shelf: Shelf, count: int) -> None:
    shelf.add(*range(count))
    drawn = shelf.draw()
    assert drawn.points.shape == (count, 2)
    assert np.isfinite(drawn.points).all()
    assert len(drawn.directions) == cluster_count(count)


def test_the_sample_is_bounded_and_deterministic() -> None:
    ids = np.arange(100, 200 + SAMPLE)
    sample = sample_of(ids)
    assert len(set(sample.tolist())) == SAMPLE
    assert np.isin(sample, ids).all()
    np.testing.assert_array_equal(sample, sample_of(ids))
    np.testing.assert_array_equal(sample_of(ids[:7]), ids[:7])


@pytest.mark.usefixtures("by_neighbors")
def test_pictures_outside_of_the_sample_are_put_to_their_neighbours(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.browse.embedding_map.layout.SAMPLE", 60)
    shelf.add(*range(200))
    drawn = draw_map(shelf.store, shelf.model, method="umap")
    assert len(drawn.layout.sample) == 60
    assert len(drawn.points) == 200
    assert kinds_apart(drawn) > 2


@pytest.mark.usefixtures("by_neighbors")
def test_new_pictures_lie_at_their_neighbours_and_others_stay(shelf: Shelf) -> None:
    shelf.add(*range(100))
    drawn = draw_map(shelf.store, shelf.model, method="umap")
    shelf.add(100, 101)
    shelf.remove(3)
    later = incremental_update(shelf.store, shelf.model, drawn)
    assert numbers_of(later) == [number for number in range(102) if number != 3]
    np.testing.assert_array_equal(later.points[:3], drawn.points[:3])
    assert later.came_later.sum() == 2
    assert later.left == 1
    assert later.revision == shelf.store.revision()
    assert kinds_apart(later) > 2
    assert not later.is_to_be_redrawn()
    shelf.add(*range(102, 114))
    assert incremental_update(shelf.store, shelf.model, later).is_to_be_redrawn(), "more than a tenth is new"


@pytest.mark.usefixtures("by_neighbors")
def test_a_map_that_is_drawn_anew_starts_from_the_one_of_before(shelf: Shelf) -> None:
    """The new pictures, all of one kind, turn the plane of PCA."""
    shelf.add(*range(100))
    drawn = draw_map(shelf.store, shelf.model)
    shelf.add(*range(103, 403, KINDS))
    caught = incremental_update(shelf.store, shelf.model, drawn)
    assert caught.is_to_be_redrawn()
    anew, fresh = (draw_map(shelf.store, shelf.model, before=before) for before in (caught, None))
    moved, turned = (np.linalg.norm(shown.points[:100] - drawn.points, axis=1) for shown in (anew, fresh))
    assert np.median(turned) > 0.1, "else there is nothing to keep in place"
    assert moved.max() < 0.01
    assert len(anew.points) == 175 and not anew.is_to_be_redrawn()
    shelf.add(*range(403, 1203, KINDS))
    caught = incremental_update(shelf.store, shelf.model, anew)
    np.testing.assert_array_equal(
        draw_map(shelf.store, shelf.model, before=caught).points,
        draw_map(shelf.store, shelf.model).points,
        "of mostly new pictures it is drawn from nothing",
    )


@pytest.mark.usefixtures("by_neighbors")
def test_a_saved_map_comes_back(shelf: Shelf) -> None:
    shelf.add(*range(50))
    drawn = draw_map(shelf.store, shelf.model)
    save_map(shelf.store.directory, shelf.model, drawn)
    back = load_map(shelf.store.directory, shelf.model)
    assert back is not None
    np.testing.assert_array_equal(back.points, drawn.points)
    np.testing.assert_array_equal(back.content_hashes, drawn.content_hashes)
    assert (back.method, back.revision, back.drawn_at, back.left) == ("umap", drawn.revision, drawn.drawn_at, 0)
    _, vectors = next(iter(shelf.store.embeddings(drawn.ids, dim=DIM)))
    np.testing.assert_array_equal(back.layout.place(vectors)[0], drawn.layout.place(vectors)[0])


def test_a_map_of_another_model_or_a_damaged_one_is_not_used(shelf: Shelf) -> None:
    shelf.add(*range(10))
    directory = shelf.store.directory
    save_map(directory, shelf.model, shelf.draw())
    path = map_path(directory, shelf.model)
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], bytes(len(content))):
        path.write_bytes(damaged)
        assert load_map(directory, shelf.model) is None
    path.write_bytes(content)
    assert load_map(directory, shelf.model) is not None
    other = shelf.store.models.activate(spec="other", fingerprint="e" * 16, dim=DIM, precision="fp32")
    assert load_map(directory, other) is None
    path.rename(map_path(directory, other))
    assert load_map(directory, other) is None, "its stamp says whose it is"


def test_an_interrupted_write_leaves_the_map_of_before(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add(*range(10))
    directory = shelf.store.directory
    save_map(directory, shelf.model, shelf.draw())
    before = map_path(directory, shelf.model).read_bytes()
    shelf.add(10)

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files.np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        save_map(directory, shelf.model, shelf.draw())
    assert map_path(directory, shelf.model).read_bytes() == before
    assert [path.suffix for path in map_path(directory, shelf.model).parent.iterdir()] == [".npz"]


def test_clusters_get_the_words_that_set_them_apart() -> None:
    words = np.eye(4, 8, dtype=np.float32)
    directions = np.array([0.5 * words[1] + 0.3 * words[2], 0.4 * words[1] + 0.1 * words[3], 0 * words[0]], np.float32)
    found = cluster_words(directions, ["car", "dog", "grass", "snow"], words, count=1)
    assert found == [("grass",), ("dog",), ()], "the surest cluster comes first, and no word is used twice"


# --- parts of the map ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "inside"),
    [
        ("0,0,0.5,1", [True, True, False, False]),
        ("0.5,1,0,0", [True, True, False, False]),
        ("0.9,0,0,0,0,0.9", [True, False, False, False]),  # a triangle
        ("0,0,1,0,1,1,0.5,0.1,0,1", [True, True, False, True]),  # with a notch
    ],
)
def test_points_in_a_region(region: str, inside: list[bool]) -> None:
    points = np.array([[0.1, 0.1], [0.01, 0.9], [0.55, 0.95], [0.99, 0.9]], np.float32)
    condition = parse_query(f"region:{region}").filter
    assert isinstance(condition, Condition)
    assert isinstance(condition.value, Region)
    assert is_inside(points, condition.value).tolist() == inside
    assert parse_query(str(condition)).filter == condition


@pytest.mark.parametrize(
    ("region", "why"),
    [
        ("0,0,1", "is not a region"),
        ("0,0,1,2", "'2' is not from 0 to 1"),
        ("0,0,1,1@best3", "not the identifier of a map"),
        ("0,0,1,", "'' is not from 0 to 1"),
    ],
)
def test_wrong_regions_are_refused(region: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        parse_query(f"region:{region}")


def test_a_region_filters_searches_and_counts(shelf: Shelf, open_shelf: Callable[[], Library]) -> None:
    shelf.add(*range(20))
    library = open_shelf()
    shown = library.browse.embedding_map()
    low, high = shown.points[shown.clusters == 0].min(axis=0), shown.points[shown.clusters == 0].max(axis=0)
    inside = ((shown.points >= low) & (shown.points <= high)).all(axis=1)
    assert 0 < inside.sum() < 20
    corners = [f"{value:.6f}" for value in (*np.floor(low * 1e6) / 1e6, *np.ceil(high * 1e6) / 1e6)]
    line = f"region:{','.join(corners)}"
    wanted = {digest.decode() for digest in shown.content_hashes[inside]}
    assert {result.content_hash for result in library.search(line, k=50)} == wanted
    assert library.browse.facets(f"{line}@{shown.drawing}").total == len(wanted)
    assert library.browse.facets(f"not {line}").total == 20 - len(wanted)
    with pytest.raises(QueryError, match=f"drawn again since \\({shown.drawing}\\)"):
        library.search(f"{line}@umap999")


# --- through the library ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def interpreted_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own; compiling it takes longer than running it on so few."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.fixture
def open_shelf(shelf: Shelf, open_library: Callable[..., Library]) -> Callable[[], Library]:
    return lambda: open_library(shelf.store.directory)


def test_an_empty_library_has_no_map(library: Library) -> None:
    with pytest.raises(QueryError, match="no pictures yet"):
        library.browse.embedding_map()


def test_a_small_library_has_its_map_at_once(shelf: Shelf, open_shelf: Callable[[], Library]) -> None:
    shelf.add(*range(MIN_FOR_UMAP - 1))
    shown = open_shelf().browse.embedding_map()
    assert (shown.method, shown.complete, len(shown)) == ("pca", True, MIN_FOR_UMAP - 1)
    assert np.isfinite(shown.centers()).all()


@pytest.mark.long
def test_a_better_map_is_drawn_in_the_background_and_kept_and_it_is_always_the_same(
    shelf: Shelf, open_shelf: Callable[[], Library], open_library: Callable[..., Library], tmp_path: Path
) -> None:
    other = Shelf(tmp_path / "other")
    for one in (shelf, other):
        one.add(*range(MIN_FOR_UMAP))
    library, second = open_shelf(), open_library(other.store.directory)
    first = library.browse.embedding_map()
    assert (first.method, first.complete, first.problem) == ("pca", False, "")
    second.browse.embedding_map()  # drawn at the same time
    better, same = library.browse.embedding_map(wait_s=120), second.browse.embedding_map(wait_s=120)
    assert (better.method, better.complete) == ("umap", True)
    assert kinds_apart(better) > 2
    np.testing.assert_array_equal(same.points, better.points)
    np.testing.assert_array_equal(same.clusters, better.clusters)
    again = open_shelf().browse.embedding_map()
    assert (again.method, again.complete) == ("umap", True)
    np.testing.assert_array_equal(again.points, better.points)
    shelf.add(MIN_FOR_UMAP)
    later = library.browse.embedding_map()
    assert (later.method, later.complete, len(later)) == ("umap", True, MIN_FOR_UMAP + 1)
    np.testing.assert_array_equal(later.points[:MIN_FOR_UMAP], better.points)
    other.store.close()


def test_a_map_that_cannot_be_drawn_says_so_once_for_a_state_of_the_catalog(
    shelf: Shelf, open_shelf: Callable[[], Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add(*range(40))
    started: list[object] = []
    popen = keeper.subprocess.Popen

    def failing(command: list[str], **options: object) -> object:
        started.append(command)
        return popen([command[0], "-c", "raise SystemExit('the disk is full')"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(keeper.subprocess, "Popen", failing)
    library = open_shelf()
    for _ in range(3):
        shown = library.browse.embedding_map(wait_s=60)
        assert (shown.method, shown.complete, shown.problem) == ("pca", False, "the disk is full")
    assert len(started) == 1
    shelf.add(40)
    assert library.browse.embedding_map(wait_s=60).problem == "the disk is full"
    assert len(started) == 2


def test_while_another_process_draws_nothing_is_written_over_its_map(
    shelf: Shelf, open_shelf: Callable[[], Library]
) -> None:
    shelf.add(*range(10))
    library = open_shelf()
    with map_lock(shelf.store.directory, wait_s=0) as may_write:
        assert may_write
        assert len(library.browse.embedding_map()) == 10
    assert not map_path(shelf.store.directory, shelf.model).exists()


def test_sessions_that_ask_at_once_get_the_same_map(shelf: Shelf, open_shelf: Callable[[], Library]) -> None:
    shelf.add(*range(20))
    library = open_shelf()
    found: list[EmbeddingMap] = []
    threads = [threading.Thread(target=lambda: found.append(library.browse.embedding_map())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({shown.points.tobytes() for shown in found}) == 1
