"""The contract of every vector index: FAISS exact and approximate, Milvus Lite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.vectors.delta_index import DeltaIndex
from clipsearch.vectors.faiss.building import write_approximate
from clipsearch.vectors.faiss.files import IndexStamp
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.saved import open_index
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.connection import MilvusConnection, connect
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.tuning import ProbeSettings

DIM = 16
MANY = 3000
STAMP = IndexStamp(model="tiny@ff", dim=DIM, revision=7, count=0)
ENGINES = ("exact", "approximate", "milvus flat", "milvus lists", "milvus overlaid")
LEAST_RECALL = 0.95

_numbers = count(1)


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def brute_force(query: np.ndarray, vectors: dict[int, np.ndarray], k: int) -> list[int]:
    """The k nearest; of equal ones the smaller ids first."""
    scores = {row_id: float(np.float32(vector.astype(np.float64) @ query)) for row_id, vector in vectors.items()}
    return sorted(scores, key=lambda row_id: (-scores[row_id], row_id))[:k]


@dataclass(frozen=True)
class Engine:
    """Makes indexes of one kind.

    Attributes:
        name: of `ENGINES`.
        filled: an index of vectors by id.
    """

    name: str
    filled: Callable[[np.ndarray, np.ndarray], VectorIndex]

    @property
    def is_exact(self) -> bool:
        """Whether unfiltered searches are exact, too."""
        return self.name not in ("approximate", "milvus lists")


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusConnection]:
    connection = connect(str(tmp_path_factory.mktemp("milvus") / "contract.db"), local=True)
    yield connection
    connection.close()


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, milvus: MilvusConnection, tmp_path_factory: pytest.TempPathFactory
) -> Engine:
    def exact(ids: np.ndarray, vectors: np.ndarray) -> VectorIndex:
        index = FlatIndex(DIM)
        index.add(ids, vectors)
        return index

    def approximate(ids: np.ndarray, vectors: np.ndarray) -> VectorIndex:
        """An empty index cannot be trained: it starts with a vector that is removed."""
        base = FlatIndex(DIM)
        base.add(*(ids, vectors) if len(ids) else (np.array([10**6]), unit_vectors(1)))
        path = tmp_path_factory.mktemp("vectors") / "tiny.faiss"
        write_approximate(path, STAMP, base.blocks())
        index, _ = open_index(path)
        index.remove(np.array([10**6]))
        return index

    def collection(ids: np.ndarray, vectors: np.ndarray, *, lists: int = 0) -> MilvusIndex:
        name = f"contract_{next(_numbers)}"
        milvus.create(name, DIM)
        milvus.insert(name, [(ids, vectors)])
        milvus.index(name, "IVF_FLAT" if lists else "FLAT", lists=lists)
        probing = tuple(ProbeSettings(k, max(1, lists // 2), 0.0) for k in (10, 100)) if lists else ()
        return MilvusIndex(milvus, name, np.sort(ids), dim=DIM, lists=lists, probing=probing)

    def with_lists(ids: np.ndarray, vectors: np.ndarray) -> VectorIndex:
        # 39 vectors of each list are what FAISS trains on without a warning
        return collection(ids, vectors, lists=max(1, len(ids) // 39)) if len(ids) else collection(ids, vectors)

    def overlaid(ids: np.ndarray, vectors: np.ndarray) -> VectorIndex:
        """Half of the vectors saved, with others that are removed."""
        half, gone = len(ids) // 2, np.arange(10**6, 10**6 + 20)
        base = collection(np.concatenate([ids[:half], gone]), np.concatenate([vectors[:half], unit_vectors(20, 77)]))
        recent = FlatIndex(DIM)
        recent.add(ids[half:], vectors[half:])
        return DeltaIndex(base, np.sort(ids), recent)

    makers = dict(zip(ENGINES, (exact, approximate, collection, with_lists, overlaid), strict=True))
    return Engine(request.param, makers[request.param])


@pytest.fixture(scope="module")
def many(engine: Engine) -> tuple[VectorIndex, dict[int, np.ndarray]]:
    """A read-only index and its vectors: every third id."""
    ids, vectors = np.arange(MANY) * 3, unit_vectors(MANY)
    return engine.filled(ids, vectors), dict(zip(ids.tolist(), vectors, strict=True))


def test_results_are_the_true_nearest_with_their_cosines(
    engine: Engine, many: tuple[VectorIndex, dict[int, np.ndarray]]
) -> None:
    index, vectors = many
    found_of_all = 0
    for query in unit_vectors(20, seed=5).astype(np.float32):
        found, expected = index.search(query, 10), brute_force(query, vectors, 10)
        found_of_all += len(set(expected) & set(found.ids.tolist()))
        if engine.is_exact:
            assert found.ids.tolist() == expected
        cosines = np.array([vectors[row_id].astype(np.float32) @ query for row_id in found.ids.tolist()])
        np.testing.assert_allclose(found.scores, cosines, atol=1e-5)
        assert (np.diff(found.scores) <= 0).all()
        assert (found.ids.dtype, found.scores.dtype) == (np.int64, np.float32)
    assert found_of_all >= LEAST_RECALL * 200


@pytest.mark.parametrize("size", [0, 1, 3, 50, 2100, 2900, 3000])
def test_a_filtered_search_is_exact_inside_the_filter(
    many: tuple[VectorIndex, dict[int, np.ndarray]], size: int
) -> None:
    index, vectors = many
    random = np.random.default_rng(size)
    within = np.sort(random.choice(np.array(list(vectors)), size, replace=False))
    for query in unit_vectors(5, seed=6).astype(np.float32):
        expected = brute_force(query, {row_id: vectors[row_id] for row_id in within.tolist()}, 7)
        assert index.search(query, 7, within=within).ids.tolist() == expected
    strangers = np.union1d(within, np.array([1, 4, 10**7]))
    assert index.search(query, 7, within=strangers).ids.tolist() == expected


def test_a_filter_that_passes_the_farthest_vectors_is_exact(many: tuple[VectorIndex, dict[int, np.ndarray]]) -> None:
    index, vectors = many
    query = unit_vectors(1, seed=8)[0].astype(np.float32)
    farthest = np.sort(brute_force(query, vectors, MANY)[-2200:])
    expected = brute_force(query, {row_id: vectors[row_id] for row_id in farthest.tolist()}, 5)
    assert index.search(query, 5, within=farthest).ids.tolist() == expected


def test_all_vectors_come_in_order(many: tuple[VectorIndex, dict[int, np.ndarray]]) -> None:
    index, vectors = many
    query = unit_vectors(1, seed=9)[0].astype(np.float32)
    expected = np.array([vectors[row_id] @ query for row_id in brute_force(query, vectors, MANY)], np.float32)
    found = index.search(query, MANY + 5)
    assert sorted(found.ids.tolist()) == sorted(vectors)
    np.testing.assert_allclose(found.scores, expected, atol=2e-3)


def test_a_search_for_more_than_all_vectors(engine: Engine) -> None:
    """Regression: FAISS pads short answers with id -1."""
    vectors = unit_vectors(3)
    query = vectors[0].astype(np.float32)
    index = engine.filled(np.arange(10, 13), vectors)
    assert len(index.search(query, 10).ids) == 3
    assert len(index.search(query, 0).ids) == 0
    assert [len(found.ids) for found in index.search_batch(vectors.astype(np.float32), 10)] == [3, 3, 3]
    index.remove(np.arange(10, 13))
    assert len(index) == 0 and index.ids().tolist() == []
    assert len(index.search(query, 10).ids) == 0
    assert len(index.search(query, 10, within=np.array([10, 11])).ids) == 0


def test_of_equal_scores_the_smaller_ids_come_first(engine: Engine) -> None:
    vectors = unit_vectors(200)
    vectors[50:120] = vectors[50]
    index = engine.filled(np.arange(200), vectors)
    query = vectors[50].astype(np.float32)
    assert index.search(query, 100).ids[:70].tolist() == list(range(50, 120))
    if engine.is_exact:
        assert index.search(query, 5).ids.tolist() == list(range(50, 55))
    assert index.search(query, 5, within=np.arange(60, 200)).ids.tolist() == list(range(60, 65))


def test_vectors_come_back_as_they_were_stored(many: tuple[VectorIndex, dict[int, np.ndarray]]) -> None:
    index, vectors = many
    asked = np.array([30, 3, 8997, 30, 0])
    found = index.vectors(asked)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.astype(np.float16), np.stack([vectors[row_id] for row_id in asked.tolist()]))
    assert index.vectors(np.empty(0, np.int64)).shape == (0, DIM)


def test_what_is_added_is_stored_as_float16(engine: Engine) -> None:
    index = engine.filled(np.arange(3), unit_vectors(3))
    added = np.random.default_rng(1).normal(size=(2, DIM)).astype(np.float32)
    index.add(np.array([7, 5]), added)
    np.testing.assert_array_equal(index.vectors(np.array([7, 5])), added.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("size", [0, 1, 20])
def test_a_batch_is_answered_like_its_queries(many: tuple[VectorIndex, dict[int, np.ndarray]], size: int) -> None:
    index, _ = many
    queries = unit_vectors(size, seed=5).astype(np.float32)
    found = index.search_batch(queries, 7)
    assert [answer.ids.tolist() for answer in found] == [index.search(query, 7).ids.tolist() for query in queries]
    assert all(len(answer.ids) == 7 for answer in found)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "search", "filter"]),
        st.sets(st.integers(0, 40), min_size=1, max_size=8),
    ),
    max_size=15,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sets(st.integers(0, 40), max_size=20), steps=STEPS)
def test_any_sequence_of_changes_equals_a_dictionary(
    engine: Engine, start: set[int], steps: list[tuple[str, set[int]]]
) -> None:
    pool = unit_vectors(41, seed=3)
    pool[20:23] = pool[20]
    first = sorted(start)
    index, expected = engine.filled(np.array(first, np.int64), pool[first]), {row_id: pool[row_id] for row_id in first}
    for what, some in steps:
        ids = sorted(some)
        query = pool[ids[-1]].astype(np.float32)
        if what == "add":
            new = [row_id for row_id in ids if row_id not in expected]
            index.add(np.array(new, np.int64), pool[new])
            expected.update((row_id, pool[row_id]) for row_id in new)
        elif what == "remove":
            index.remove(np.array(ids))
            expected = {row_id: vector for row_id, vector in expected.items() if row_id not in some}
        elif what == "search":
            assert index.search(query, 6).ids.tolist() == brute_force(query, expected, 6)
        else:
            inside = {row_id: vector for row_id, vector in expected.items() if row_id in some}
            assert index.search(query, 6, within=np.array(ids)).ids.tolist() == brute_force(query, inside, 6)
        assert index.ids().tolist() == sorted(expected)
        assert len(index) == len(expected)
