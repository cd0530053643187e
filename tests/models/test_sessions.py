"""Optimized graphs equal their sources, with a cache that may be missing, read-only or damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from clipsearch.config import CACHE_VARIABLE, data_dir
from clipsearch.errors import ModelError
from clipsearch.models.onnx import sessions
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import open_prepared, open_session, save_optimized

MINI = data_dir() / "models" / "mini"
TOKENS = {
    "input_ids": np.array([[101, 1037, 3899, 102]], np.int64),
    "attention_mask": np.ones((1, 4), np.int64),
    "input_ids_2": np.array([[1, 350, 2]], np.int64),
    "attention_mask_2": np.ones((1, 3), np.int64),
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return open_session(MINI / "text.onnx").run(None, TOKENS)[0]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_optimized_graph_has_the_same_outputs(tmp_path: Path, expected: np.ndarray) -> None:
    save_optimized(MINI / "text.onnx", tmp_path / "text.onnx")
    assert (tmp_path / "text.onnx").stat().st_size < 1_000_000 < (tmp_path / "text.onnx.data").stat().st_size
    assert open_session(tmp_path / "text.onnx").run(None, TOKENS)[0] == pytest.approx(expected, abs=1e-6)


def test_the_copy_is_made_once(cache: Path, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINI / "text.onnx"
    for _ in range(2):
        assert open_prepared(text, digest(text)).run(None, TOKENS)[0] == pytest.approx(expected, abs=1e-6)
        monkeypatch.setattr(sessions, "save_optimized", lambda source, target: pytest.fail("made again"))
    (folder,) = (cache / "sessions").iterdir()
    assert onnxruntime.__version__ in folder.name
    assert sorted(path.name for path in folder.iterdir()) == ["text.onnx", "text.onnx.data"]


def test_a_damaged_copy_is_made_again(cache: Path, expected: np.ndarray) -> None:
    text = MINI / "text.onnx"
    open_prepared(text, digest(text))
    (prepared,) = (cache / "sessions").glob("*/text.onnx")
    prepared.write_bytes(b"damaged")
    assert open_prepared(text, digest(text)).run(None, TOKENS)[0] == pytest.approx(expected, abs=1e-6)
    open_prepared(text, digest(text))
    assert open_session(prepared).run(None, TOKENS)[0] == pytest.approx(expected, abs=1e-6)


def test_an_unwritable_cache_is_not_an_error(cache: Path, expected: np.ndarray) -> None:
    cache.write_text("a file where a folder has to be")
    text = MINI / "text.onnx"
    assert open_prepared(text, digest(text)).run(None, TOKENS)[0] == pytest.approx(expected, abs=1e-6)


def test_a_damaged_graph_is_one_line(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "image.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="damaged") as caught:
        open_session(tmp_path / "image.onnx")
    assert "\n" not in str(caught.value)


def test_a_text_search_does_not_load_the_image_tower(cache: Path) -> None:
    CompiledEncoder(MINI).encode_texts(["a dog"])
    assert [path.name for path in cache.glob("sessions/*/*.onnx")] == ["text.onnx"]


def test_a_processor_that_saturates_sums_has_the_same_embeddings(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 260, 260, 3), dtype=np.uint8)
    found = []
    for exact in (True, False):
        monkeypatch.setattr(sessions, "int8_is_exact", lambda exact=exact: exact)
        found.append(CompiledEncoder(MINI).encode_pixels(pixels))
    assert (found[0] * found[1]).sum(axis=1).min() > 0.99
    assert len(list((cache / "sessions").iterdir())) == 2
