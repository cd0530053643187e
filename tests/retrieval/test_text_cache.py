"""The cache of text embeddings: exact, bounded, and ignored if damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from clipsearch.library import Library
from clipsearch.retrieval import text_cache as query_cache
from clipsearch.retrieval.text_cache import QueryCache
from tests.conftest import ColourEncoder, LoadWith

DIM = 16


@pytest.fixture
def unit() -> np.ndarray:
    vector = np.random.default_rng(3).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def test_what_is_kept_comes_back_bit_for_bit(tmp_path: Path, unit: np.ndarray) -> None:
    cache = QueryCache(tmp_path / "new" / "folder", DIM)
    assert cache.get("a cat", ensemble=False) is None
    cache.put("a cat", unit, ensemble=False)
    found = QueryCache(tmp_path / "new" / "folder", DIM).get("a cat", ensemble=False)
    assert found is not None and found.dtype == np.float32
    np.testing.assert_array_equal(found, unit)
    assert cache.get("a cat", ensemble=True) is None
    assert cache.get("a ca", ensemble=False) is None
    odd = os.fsdecode(b"caf\xe9")
    cache.put(odd, unit, ensemble=False)
    assert cache.get(odd, ensemble=False) is not None


@pytest.mark.parametrize("content", [b"", b"\0" * 4 * DIM, b"\0" * 3, b"\xff" * 4 * DIM])
def test_damage_is_as_if_nothing_was_kept(tmp_path: Path, unit: np.ndarray, content: bytes) -> None:
    cache = QueryCache(tmp_path, DIM)
    cache.put("a cat", unit, ensemble=False)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(content)
    assert cache.get("a cat", ensemble=False) is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, unit: np.ndarray) -> None:
    (tmp_path / "file").write_text("")
    cache = QueryCache(tmp_path / "file" / "below", DIM)
    cache.put("a cat", unit, ensemble=False)
    assert cache.get("a cat", ensemble=False) is None


def test_the_older_half_is_dropped(tmp_path: Path, unit: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_cache, "MAX_TEXTS", 4)
    monkeypatch.setattr(query_cache, "CLEANUP_INTERVAL", 1)
    cache = QueryCache(tmp_path, DIM)
    for number in range(5):
        cache.put(str(number), unit, ensemble=False)
        for path in tmp_path.iterdir():  # file systems with coarse clocks
            os.utime(path, ns=(path.stat().st_mtime_ns - 10**9,) * 2)
    assert [number for number in range(5) if cache.get(str(number), ensemble=False) is not None] == [2, 3, 4]


def test_the_size_is_bounded(tmp_path: Path, unit: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_cache, "MAX_TEXTS", 10)
    cache = QueryCache(tmp_path, DIM)
    for number in range(2000):
        cache.put(str(number), unit, ensemble=False)
    assert 5 <= len(list(tmp_path.iterdir())) < 10 + 8 * query_cache.CLEANUP_INTERVAL


class CountingEncoder(ColourEncoder):
    fingerprint = "5555555555555555"
    texts = 0

    def encode_texts(self, texts):  # type: ignore[no-untyped-def]
        self.texts += len(texts)
        return super().encode_texts(texts)


def test_a_query_is_embedded_once(photos: Path, tmp_path: Path, load_with: LoadWith) -> None:
    encoder = CountingEncoder()
    load_with(lambda spec, **_: encoder)
    with Library.open(tmp_path / "library", model="hf-hub:tests/colours", create=True) as library:
        library.index(photos)
        first = library.search("red")
        asked = encoder.texts
        assert library.search("red") == first
        with Library.open(tmp_path / "library") as again:
            assert again.search("red") == first
        assert encoder.texts == asked
        library.search("red -blue")
        assert encoder.texts == asked + 1


def test_an_encoder_that_is_handed_in_is_always_asked(photos: Path, open_library, encoder: ColourEncoder) -> None:  # type: ignore[no-untyped-def]
    counting = CountingEncoder()
    library = open_library(encoder=counting)
    library.index(photos)
    library.search("red")
    asked = counting.texts
    library.search("red")
    assert counting.texts == asked + 1
