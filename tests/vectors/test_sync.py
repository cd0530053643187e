"""Files of saved vectors, and multithreaded scans; test_index_contract.py has the contract of every index."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from clipsearch.vectors.faiss.files import IndexFileError, IndexStamp, open_file
from clipsearch.vectors.faiss.flat_index import FlatIndex

DIM = 16
STAMP = IndexStamp(model="tiny@ff", dim=DIM, revision=7, count=0)


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def filled(count: int) -> tuple[FlatIndex, np.ndarray]:
    index, vectors = FlatIndex(DIM), unit_vectors(count)
    index.add(np.arange(10, 10 + count), vectors)
    return index, vectors


def load(path: Path, *, writable: bool = False) -> FlatIndex:
    return FlatIndex.from_file(open_file(path), writable=writable)


@pytest.mark.parametrize("writable", [False, True])
def test_a_saved_index_answers_the_same(tmp_path: Path, writable: bool) -> None:
    index, vectors = filled(300)
    index.save(tmp_path / "vectors" / "tiny.faiss", STAMP)
    loaded = load(tmp_path / "vectors" / "tiny.faiss", writable=writable)
    stamp = open_file(tmp_path / "vectors" / "tiny.faiss").stamp
    assert (stamp.model, stamp.revision, stamp.count, len(loaded)) == ("tiny@ff", 7, 300, 300)
    query = vectors[5].astype(np.float32)
    np.testing.assert_array_equal(loaded.search(query, 9).ids, index.search(query, 9).ids)
    np.testing.assert_array_equal(loaded.ids(), index.ids())
    assert [path.name for path in (tmp_path / "vectors").iterdir()] == ["tiny.faiss"]


def test_a_loaded_index_can_be_changed_and_saved_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "tiny.faiss"
    filled(20)[0].save(path, STAMP)
    mapped, changed = load(path), load(path, writable=True)
    changed.remove(np.array([10, 11]))
    changed.save(path, STAMP)
    assert len(load(path)) == 18
    assert len(mapped.search(unit_vectors(1)[0].astype(np.float32), 30).ids) == 20  # the old file lives on


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "no stamp", "text"])
def test_a_damaged_file_is_detected(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tiny.faiss"
    filled(50)[0].save(path, STAMP)
    good = path.read_bytes()
    middle = len(good) // 2
    damaged = {
        "empty": b"",
        "cut": good[:middle],
        "flipped": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "no stamp": good[:-20],
        "text": b"hello",
    }
    path.unlink() if damage == "missing" else path.write_bytes(damaged[damage])
    with pytest.raises(IndexFileError):
        load(path)


def test_a_changed_byte_in_a_large_file_is_found_by_a_full_check(tmp_path: Path) -> None:
    path = tmp_path / "large.faiss"
    index = FlatIndex(512)
    index.add(np.arange(24_000), np.random.default_rng(5).normal(size=(24_000, 512)).astype(np.float16))
    index.save(path, STAMP)
    assert open_file(path, verify=True).stamp.count == 24_000
    with path.open("r+b") as file:
        file.seek(9_000_000)
        byte = file.read(1)[0]
        file.seek(9_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(IndexFileError, match="checksum"):
        open_file(path, verify=True)


def test_a_copy_is_as_good(tmp_path: Path) -> None:
    path, copy = tmp_path / "tiny.faiss", tmp_path / "copy.faiss"
    filled(50)[0].save(path, STAMP)
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (1, 1))
    assert open_file(copy).stamp == open_file(path).stamp


def test_the_same_vectors_give_the_same_bytes(tmp_path: Path) -> None:
    """In any order of insertion, so that a rebuilt cache can be compared."""
    index, vectors = filled(50)
    index.save(tmp_path / "a.faiss", STAMP)
    other = FlatIndex(DIM)
    other.add(np.arange(59, 9, -1), vectors[::-1])
    other.save(tmp_path / "b.faiss", STAMP)
    assert (tmp_path / "a.faiss").read_bytes() == (tmp_path / "b.faiss").read_bytes()


def test_a_file_of_an_older_version_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "tiny.faiss"
    path.write_bytes(b"IxMp" + b"\0" * 200 + b"CLIPSRCHSTAMP\x00\x00\x01")
    with pytest.raises(IndexFileError, match="version"):
        load(path)


@pytest.mark.parametrize("size", [0, 1, 40])
def test_an_index_in_memory_equals_one_in_a_file(tmp_path: Path, size: int) -> None:
    index, _ = filled(size)
    in_memory = FlatIndex.of(index.blocks(), dim=DIM, max_count=size + 3)
    assert in_memory.ids().tolist() == index.ids().tolist()
    np.testing.assert_array_equal(in_memory.vectors(index.ids()), index.vectors(index.ids()))
    query = unit_vectors(1, seed=9)[0].astype(np.float32)
    assert in_memory.search(query, 5).ids.tolist() == index.search(query, 5).ids.tolist()


@pytest.mark.parametrize("dim", [16, 512])
@pytest.mark.parametrize("filtered", [False, True])
def test_threads_share_a_scan_without_losing_anything(dim: int, filtered: bool) -> None:
    """40,000 vectors of 512 components are enough for a second thread."""
    random = np.random.default_rng(4)
    vectors = random.normal(size=(40_000, dim)).astype(np.float16)
    index = FlatIndex(dim)
    index.add(np.arange(40_000) * 2, vectors)
    within = np.sort(random.choice(80_000, 39_000, replace=False)) if filtered else None
    query = random.normal(size=dim).astype(np.float32)
    scores = vectors.astype(np.float32) @ query
    if within is not None:
        scores[~np.isin(np.arange(40_000) * 2, within)] = -np.inf
    assert index.search(query, 30, within=within).ids.tolist() == (2 * np.argsort(-scores)[:30]).tolist()
