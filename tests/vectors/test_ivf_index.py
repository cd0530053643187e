"""Approximate search against exact search, through changes, files and a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import FileRecord, ModelRecord, NewEmbedding, NewImage
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.models.encoder import l2_normalize
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.engine import current_index
from clipsearch.vectors.faiss.building import write_approximate
from clipsearch.vectors.faiss.engine import index_path
from clipsearch.vectors.faiss.files import IndexFileError, IndexStamp, open_file
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.ivf_index import IvfIndex
from clipsearch.vectors.faiss.saved import open_index, recent_path, save_recent
from clipsearch.vectors.tuning import TARGET_RECALL
from tests.conftest import Notes, mostly_long

DIM = 32
COUNT = 3000
STAMP = IndexStamp(model="tiny@ff", dim=DIM, revision=7, count=0)


def clustered(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors like a model's: in a cone, in clusters of all sizes, wider in some directions than in others."""
    random = np.random.default_rng(seed)
    world = np.random.default_rng(99)
    spread = np.arange(1, DIM + 1) ** -0.5
    centres = world.normal(size=(60, DIM)) * spread
    chosen = centres[np.minimum(random.zipf(1.4, count) - 1, 59)]
    return l2_normalize(world.normal(size=DIM) * 0.5 + chosen + 0.4 * random.normal(size=(count, DIM)) * spread)


def queries(count: int) -> np.ndarray:
    """Half near the vectors, like images; half between vectors with noise, like texts."""
    near, others = clustered(count // 2, seed=50), clustered(count - count // 2, seed=51)
    away = l2_normalize(others - others.mean(axis=0))
    noise = l2_normalize(np.random.default_rng(52).normal(size=others.shape).astype(np.float32))
    return l2_normalize(np.concatenate([near, away + noise]))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FlatIndex]:
    """An approximate index of every third id, and an exact one of the same vectors."""
    exact = FlatIndex(DIM)
    exact.add(np.arange(COUNT) * 3, clustered(COUNT))
    path = tmp_path_factory.mktemp("vectors") / "tiny.faiss"
    write_approximate(path, STAMP, exact.blocks())
    return path, exact


@pytest.fixture
def both(saved: tuple[Path, FlatIndex]) -> tuple[IvfIndex, FlatIndex]:
    """The two, to be changed alike."""
    path, exact = saved
    copy = FlatIndex(DIM)
    copy.add(exact.ids(), exact.vectors(exact.ids()))
    return opened(path), copy


def opened(path: Path) -> IvfIndex:
    index, _ = open_index(path)
    assert isinstance(index, IvfIndex)
    return index


def recall(index: IvfIndex, exact: FlatIndex, k: int) -> float:
    """Share of the true k nearest that is found, with the scores that they have."""
    good = 0
    for query in queries(300):
        found, true = index.search(query, k), exact.search(query, k)
        good += len(np.intersect1d(found.ids, true.ids))
        np.testing.assert_allclose(found.scores, index.vectors(found.ids) @ query, atol=1e-5)
        assert np.all(np.diff(found.scores) <= 0)
        assert len(np.unique(found.ids)) == len(found.ids) == len(true.ids)
    return good / (300 * k)


@pytest.mark.parametrize("k", mostly_long([10, 37, 100]))
def test_recall_is_at_least_99_percent(both: tuple[IvfIndex, FlatIndex], k: int) -> None:
    assert recall(*both, k) >= 0.99


def test_tuning_probes_few_lists_and_records_the_recall(both: tuple[IvfIndex, FlatIndex]) -> None:
    probing = both[0].training.probing
    assert [item.k for item in probing] == [20, 100]  # and no more of so few vectors
    lists = both[0].merged().lists.nlist
    assert lists > 50
    assert probing[0].lists < lists / 2
    assert all(item.recall >= TARGET_RECALL or item.lists == lists for item in probing)
    assert [item.lists for item in probing] == sorted(item.lists for item in probing)


def test_more_neighbours_than_were_tuned_for_are_found_exactly(both: tuple[IvfIndex, FlatIndex]) -> None:
    index, exact = both
    for query in queries(4):
        for k in (101, COUNT + 1):
            assert index.search(query, k).ids.tolist() == exact.search(query, k).ids.tolist()


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("size", [0, 1, 7, 500, COUNT])
def test_a_filtered_search_is_exact_at_every_selectivity(
    both: tuple[IvfIndex, FlatIndex], size: int, changed: bool
) -> None:
    index, exact = both
    if changed:
        change(index, exact)
    within = np.sort(np.random.default_rng(size).choice(np.arange(3 * COUNT + 900), size, replace=False))
    for query in queries(6):
        found, true = index.search(query, 20, within=within), exact.search(query, 20, within=within)
        assert found.ids.tolist() == true.ids.tolist()
        np.testing.assert_allclose(found.scores, true.scores, atol=1e-6)


def change(*indexes: IvfIndex | FlatIndex) -> None:
    """Add 300 vectors, remove 400 old and 50 new ones, and put one back under its id."""
    for index in indexes:
        index.add(np.arange(300) + 3 * COUNT, clustered(300, seed=3))
        index.remove(np.arange(400) * 21)
        index.remove(np.arange(50) + 3 * COUNT + 10)
        index.remove(np.array([1, 2, 10**9]))  # that it never had
        index.add(np.array([21]), clustered(1, seed=4))


def test_changes_are_searched_at_once(both: tuple[IvfIndex, FlatIndex]) -> None:
    index, exact = both
    change(*both)
    assert index.ids().tolist() == exact.ids().tolist()
    assert len(index) == len(exact)
    np.testing.assert_array_equal(index.vectors(exact.ids()), exact.vectors(exact.ids()))
    newest = clustered(300, seed=3)[299]
    assert index.search(newest, 1).ids.tolist() == [3 * COUNT + 299]
    assert recall(index, exact, 10) >= 0.99


def test_a_batch_is_answered_like_its_queries(both: tuple[IvfIndex, FlatIndex]) -> None:
    change(*both)
    wanted = queries(20)
    for k in (5, 101):
        answers = both[0].search_batch(wanted, k)
        assert [found.ids.tolist() for found in answers] == [both[0].search(query, k).ids.tolist() for query in wanted]


def test_changes_are_saved_beside_the_index(
    saved: tuple[Path, FlatIndex], both: tuple[IvfIndex, FlatIndex], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.faiss"
    path.write_bytes(saved[0].read_bytes())
    change(*both)
    save_recent(path, both[0], IndexStamp("tiny@ff", DIM, 9, 0))
    again, stamp = open_index(path, verify=True)
    assert stamp.revision == 9
    assert again.ids().tolist() == both[1].ids().tolist()
    for query in queries(10):
        assert again.search(query, 10).ids.tolist() == both[0].search(query, 10).ids.tolist()


def test_changes_of_another_index_are_ignored(saved: tuple[Path, FlatIndex], tmp_path: Path) -> None:
    """A crash between writing a new index and deleting the old changes leaves both."""
    path = tmp_path / "tiny.faiss"
    path.write_bytes(saved[0].read_bytes())
    index = opened(path)
    index.add(np.array([1]), clustered(1))
    save_recent(path, index, IndexStamp("tiny@ff", DIM, 9, 0))
    write_approximate(path, STAMP, [(np.arange(1000), clustered(1000, seed=8))])
    again, stamp = open_index(path)
    assert (len(again), stamp.revision) == (1000, 7)


@pytest.mark.long
def test_merging_changes_does_not_retrain(both: tuple[IvfIndex, FlatIndex], tmp_path: Path) -> None:
    index, exact = both
    change(*both)
    write_approximate(
        tmp_path / "merged.faiss", STAMP, index.blocks(), inverted=index.merged(), training=index.training
    )
    merged = opened(tmp_path / "merged.faiss")
    assert merged.ids().tolist() == exact.ids().tolist()
    assert len(merged.merged()) == len(exact)
    assert (merged.training.vectors, merged.training.imbalance) == (index.training.vectors, index.training.imbalance)
    assert recall(merged, exact, 10) >= 0.99
    assert not merged.has_drifted()


@pytest.mark.long
def test_drift_is_growth_or_imbalance(both: tuple[IvfIndex, FlatIndex], tmp_path: Path) -> None:
    index, _ = both
    assert not index.has_drifted()
    one_place = l2_normalize(clustered(1) + 0.01 * clustered(4 * COUNT, seed=2)).astype(np.float32)
    ids = np.arange(4 * COUNT) + 3 * COUNT
    index.add(ids[: COUNT // 4], one_place[: COUNT // 4])
    write_approximate(tmp_path / "a.faiss", STAMP, index.blocks(), inverted=index.merged(), training=index.training)
    assert opened(tmp_path / "a.faiss").has_drifted()  # a third of the vectors in one list
    index.add(ids[COUNT // 4 :], one_place[COUNT // 4 :])
    assert index.has_drifted()  # five times as many as were trained on


def test_an_index_of_few_vectors_can_be_approximate_too(tmp_path: Path) -> None:
    for count in (1, 5, 60):
        exact = FlatIndex(DIM)
        exact.add(np.arange(count), clustered(count))
        write_approximate(tmp_path / "few.faiss", STAMP, exact.blocks())
        for query in queries(8):
            found = opened(tmp_path / "few.faiss").search(query, 3)
            assert found.ids.tolist() == exact.search(query, 3).ids.tolist()


@pytest.mark.parametrize("section", ["vectors", "ids", "axes", "lists"])
def test_a_damaged_section_is_found(saved: tuple[Path, FlatIndex], tmp_path: Path, section: str) -> None:
    start, length = open_file(saved[0]).sections[section]
    damaged = bytearray(saved[0].read_bytes())
    damaged[start + length // 2] ^= 1
    (tmp_path / "damaged.faiss").write_bytes(damaged)
    with pytest.raises(IndexFileError, match="checksum"):
        open_index(tmp_path / "damaged.faiss")


# --- with a catalog ---------------------------------------------------------------------------------------

THRESHOLD = 40
"""Vectors from which on the index of these tests is approximate."""


class FilledCatalog:
    """A catalog whose images are added and removed."""

    def __init__(self, directory: Path) -> None:
        self.store = Catalog(directory, create=True)
        self.model: ModelRecord = self.store.models.activate(spec="s", fingerprint="f" * 16, dim=DIM, precision="fp32")
        self.root = self.store.roots.add(directory / "photos", volume_id=None, volume_path=None)
        self.path = index_path(directory, self.model)
        self.notes = Notes()
        self._embedded: set[int] = set()

    def add(self, numbers: list[int]) -> None:
        """Files with these numbers; the pictures in those seen before are known already."""
        new = [number for number in numbers if number not in self._embedded]
        self._embedded.update(new)
        batch = Batch(
            self.root,
            images=[NewImage(f"{number:032x}", 4, 4, "PNG", ImageMetadata(), None) for number in new],
            embeddings=[NewEmbedding(f"{number:032x}", clustered(1, seed=number)[0]) for number in new],
            files=[FileRecord(f"{number}.png", 1, 1, f"{number:032x}") for number in numbers],
        )
        self.store.commit(batch, self.model.id)

    def remove(self, numbers: list[int]) -> None:
        self.store.commit(Batch(self.root, removed=[f"{number}.png" for number in numbers]), self.model.id)

    def index(self, *, locked: bool) -> FlatIndex | IvfIndex:
        index, revision = current_index(
            self.store, self.model, notify=self.notes, locked=locked, approximate_from=THRESHOLD
        )
        assert revision == self.store.revision()
        return index

    def lose(self) -> None:
        """The saved index is gone."""
        self.path.unlink(missing_ok=True)

    def live_through(self, steps: list[tuple[str, int, int]]) -> None:
        """Make changes, drawn from `STEPS`, and check the index after each that asks for it, and at the end."""
        there: set[int] = set()
        for what, start, count in steps:
            numbers = set(range(start, start + count))
            if what == "add":
                self.add(sorted(numbers - there))
                there |= numbers
            elif what == "remove":
                self.remove(sorted(numbers & there))
                there -= numbers
            elif what == "lose":
                self.lose()
            else:
                self.check(self.index(locked=what == "index"))
        index = self.index(locked=True)
        self.check(index)
        assert len(index) == len(there)

    def check(self, index: FlatIndex | IvfIndex) -> None:
        """The index equals the catalog, and searches find its vectors."""
        _, live = self.store.live_embedding_ids(self.model.id)
        assert index.ids().tolist() == live.tolist()
        assert len(index) == len(live)
        for ids, vectors in self.store.embeddings(live, dim=DIM):
            np.testing.assert_array_equal(index.vectors(ids).astype(np.float16), vectors)
        query = queries(8)[5]
        assert sorted(index.search(query, len(live) + 5).ids.tolist()) == live.tolist()
        assert set(index.search(query, 5).ids.tolist()) <= set(live.tolist())


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[FilledCatalog]:
    catalog = FilledCatalog(tmp_path)
    yield catalog
    catalog.store.close()


def test_a_writer_chooses_the_kind_of_index_by_the_number_of_vectors(catalog: FilledCatalog) -> None:
    catalog.add(list(range(THRESHOLD - 1)))
    assert isinstance(catalog.index(locked=True), FlatIndex)
    assert catalog.notes == []
    catalog.add([1000])
    index = catalog.index(locked=True)
    assert isinstance(index, IvfIndex)
    assert len(catalog.notes) == 1 and "searches continue" in catalog.notes[0]
    catalog.check(index)
    catalog.remove(list(range(15)))
    assert isinstance(catalog.index(locked=True), IvfIndex)  # not far below
    catalog.remove(list(range(15, 30)))
    index = catalog.index(locked=True)
    assert isinstance(index, FlatIndex)
    catalog.check(index)
    assert not recent_path(catalog.path).exists()


def test_a_search_never_trains(catalog: FilledCatalog) -> None:
    catalog.add(list(range(2 * THRESHOLD)))
    index = catalog.index(locked=False)
    assert isinstance(index, FlatIndex)
    catalog.check(index)
    assert catalog.notes == []
    assert isinstance(catalog.index(locked=True), IvfIndex)  # of the same revision


@pytest.mark.parametrize("locked", [False, True])
def test_a_stale_index_gets_the_difference(catalog: FilledCatalog, locked: bool) -> None:
    catalog.add(list(range(2 * THRESHOLD)))
    catalog.index(locked=True)
    built = open_file(catalog.path).stamp
    catalog.add(list(range(500, 530)))
    catalog.remove(list(range(10)))
    index = catalog.index(locked=locked)
    catalog.check(index)
    assert open_file(catalog.path).stamp == built
    assert open_file(recent_path(catalog.path)).stamp.revision == catalog.store.revision()
    index, stamp = open_index(catalog.path, verify=True)
    assert stamp.revision == catalog.store.revision()
    catalog.check(index)


def test_a_search_beside_a_writer_is_correct_without_saving(catalog: FilledCatalog) -> None:
    catalog.add(list(range(2 * THRESHOLD)))
    with writer_lock(catalog.store.directory):
        index = catalog.index(locked=False)
        catalog.check(index)
        assert not catalog.path.exists()
        catalog.index(locked=True)
        catalog.add([700, 701])
        catalog.check(catalog.index(locked=False))
        assert not recent_path(catalog.path).exists()


def test_many_changes_are_merged_into_the_file(catalog: FilledCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    import clipsearch.vectors.faiss.ivf_index as ivf_index

    monkeypatch.setattr(ivf_index, "_MERGE_MINIMUM", 20)
    catalog.add(list(range(3 * THRESHOLD)))
    catalog.index(locked=True)
    catalog.add(list(range(500, 530)))
    before = open_file(catalog.path).stamp
    catalog.check(catalog.index(locked=False))
    assert open_file(catalog.path).stamp == before  # which takes too long for a search
    catalog.add([800])
    catalog.check(catalog.index(locked=True))
    stamp = open_file(catalog.path).stamp
    assert (stamp.count, stamp.details["vectors"]) == (3 * THRESHOLD + 31, 3 * THRESHOLD)
    assert not recent_path(catalog.path).exists()


@pytest.mark.parametrize("damaged", [index_path, lambda *arguments: recent_path(index_path(*arguments))])
def test_a_damaged_file_is_rebuilt_with_one_notice(catalog: FilledCatalog, damaged: Callable[..., Path]) -> None:
    catalog.add(list(range(2 * THRESHOLD)))
    catalog.index(locked=True)
    catalog.add([600])
    catalog.index(locked=True)
    damaged(catalog.store.directory, catalog.model).write_bytes(b"hello")
    catalog.notes.clear()
    catalog.check(catalog.index(locked=False))
    assert len(catalog.notes) == 1 and "rebuilding it from the catalog" in catalog.notes[0]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "search", "index", "lose"]), st.integers(0, 60), st.integers(1, 40)),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_any_sequence_of_changes_keeps_index_and_catalog_equal(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    catalog = FilledCatalog(tmp_path_factory.mktemp("catalog"))
    catalog.live_through(steps)
    catalog.store.close()
