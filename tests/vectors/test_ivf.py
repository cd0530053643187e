"""The PCA axes of an inverted file and the number of candidates they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipsearch.models.encoder import l2_normalize
from clipsearch.vectors.faiss.building import write_approximate
from clipsearch.vectors.faiss.files import IndexStamp
from clipsearch.vectors.faiss.ivf import pca_axes
from clipsearch.vectors.faiss.ivf_index import IvfIndex
from clipsearch.vectors.faiss.saved import open_index
from clipsearch.vectors.tuning import TARGET_RECALL, TuningSet

DIM = 64
STAMP = IndexStamp(model="tiny@ff", dim=DIM, revision=1, count=0)


def flat(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors with most of their variance along 10 rotated axes."""
    random, world = np.random.default_rng(seed), np.random.default_rng(99)
    turn = np.linalg.qr(world.normal(size=(DIM, DIM)))[0]
    spread = np.where(np.arange(DIM) < 10, 1.0, 0.02)
    return l2_normalize((random.normal(size=(count, DIM)) * spread @ turn).astype(np.float32))


def opened(path: Path) -> IvfIndex:
    index, _ = open_index(path)
    assert isinstance(index, IvfIndex)
    return index


def test_the_axes_have_the_requested_energy() -> None:
    vectors = flat(2000)
    axes = pca_axes(vectors, 0.95)
    assert axes.shape == (DIM, 16)  # 10, in whole steps
    np.testing.assert_allclose(axes.T @ axes, np.eye(16), atol=1e-5)
    assert np.square(vectors @ axes).sum() / np.square(vectors).sum() > 0.95
    assert pca_axes(vectors, 1.0).shape == (DIM, DIM)
    assert pca_axes(vectors[:, :20], 1.0).shape == (20, 20)  # no more than there are


def test_vectors_of_low_rank_are_compared_along_few_axes(tmp_path: Path) -> None:
    vectors = flat(3000)
    write_approximate(tmp_path / "flat.faiss", STAMP, [(np.arange(3000), vectors)])
    index = opened(tmp_path / "flat.faiss")
    assert index.merged().axes.shape == (DIM, 16)
    assert index.merged().lists.d == 16
    good = 0
    for query in flat(200, seed=1):
        found = index.search(query, 10)
        true = np.sort(vectors.astype(np.float16).astype(np.float32) @ query)[-10:]
        good += int((found.scores >= true[0] - 1e-5).sum())
    assert good / 2000 >= 0.99


@pytest.mark.long
def test_isotropic_vectors_are_compared_along_all_axes(tmp_path: Path) -> None:
    vectors = l2_normalize(np.random.default_rng(3).normal(size=(3000, DIM)).astype(np.float32))
    write_approximate(tmp_path / "round.faiss", STAMP, [(np.arange(3000), vectors)])
    index = opened(tmp_path / "round.faiss")
    assert index.merged().axes.shape[1] > DIM - 16
    assert all(item.recall >= TARGET_RECALL for item in index.training.probing)


def test_the_stamp_has_the_number_of_candidates(tmp_path: Path) -> None:
    write_approximate(tmp_path / "flat.faiss", STAMP, [(np.arange(3000), flat(3000))])
    probing = opened(tmp_path / "flat.faiss").training.probing
    assert [item.k for item in probing] == [20, 100]
    assert all(2 * item.k < item.candidates < 3000 for item in probing)


@pytest.mark.parametrize(("recall", "expected"), [(0.5, 2), (1.0, 4)])
def test_the_smallest_number_of_candidates_for_the_worst_kind_of_queries(recall: float, expected: int) -> None:
    """Three kinds with one query each; the two nearest of the third query are second and fourth."""
    queries = np.zeros((3, DIM), np.float32)
    truth = np.tile(np.float32([0.9, 0.8]), (3, 1))
    trials = TuningSet(queries, truth, (2,))
    scores = np.float32([[0.9, 0.8, 0.1, 0.0], [0.8, 0.1, 0.9, 0.0], [0.7, 0.9, 0.1, 0.8]])
    assert trials.fewest(scores, 2, recall=recall) == expected
    assert trials.fewest(scores[:, :3], 2, recall=1.0) is None


@pytest.mark.long
def test_an_index_that_no_longer_finds_enough_has_drifted(tmp_path: Path) -> None:
    """The added vectors lie along axes without codes."""
    write_approximate(tmp_path / "flat.faiss", STAMP, [(np.arange(3000), flat(3000))])
    index = opened(tmp_path / "flat.faiss")
    assert not index.has_drifted()
    others = l2_normalize(np.random.default_rng(4).normal(size=(2500, DIM)).astype(np.float32))
    index.add(np.arange(3000, 5500), others)
    write_approximate(
        tmp_path / "merged.faiss", STAMP, index.blocks(), inverted=index.merged(), training=index.training
    )
    merged = opened(tmp_path / "merged.faiss")
    assert any(item.recall < TARGET_RECALL for item in merged.training.probing)
    assert merged.has_drifted()
