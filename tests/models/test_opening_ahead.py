"""The image tower is loaded once, while the first images are decoded, with the same embeddings."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipsearch.catalog.reports import IndexReport
from clipsearch.config import CACHE_VARIABLE, data_dir
from clipsearch.errors import ModelError
from clipsearch.library import Library
from clipsearch.models.onnx import encoder as compiled
from clipsearch.models.onnx.encoder import CompiledEncoder
from tests.conftest import save_photo

MINI = data_dir() / "models" / "mini"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that opened an image tower."""
    threads: list[str] = []
    open_prepared = compiled.open_prepared

    def opening(path: Path, digest: str, **options: Any) -> Any:
        if path.name == "image.onnx":
            threads.append(threading.current_thread().name)
        return open_prepared(path, digest, **options)

    monkeypatch.setattr(compiled, "open_prepared", opening)
    return threads


def pictures(count: int, encoder: CompiledEncoder) -> np.ndarray:
    size = (count, *encoder.manifest.image.size, 3)
    return np.random.default_rng(count).integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_a_loaded_tower_embeds_any_number_of_images(opened: list[str], count: int) -> None:
    ahead, later = CompiledEncoder(MINI), CompiledEncoder(MINI)
    ahead.open_image_tower()
    pixels = pictures(count, ahead)
    embeddings = ahead.encode_pixels(pixels)
    assert len(opened) == 1
    assert embeddings.shape == (count, ahead.dim)
    assert embeddings == pytest.approx(later.encode_pixels(pixels), abs=1e-5)


def test_concurrent_threads_load_it_once(opened: list[str]) -> None:
    encoder = CompiledEncoder(MINI)
    threads = [threading.Thread(target=encoder.open_image_tower) for _ in range(4)]
    for thread in threads:
        thread.start()
    encoder.encode_pixels(pictures(8, encoder))
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def indexed(tmp_path: Path, encoder: CompiledEncoder) -> IndexReport:
    for number, colour in enumerate(["red", "green", "blue", "white", "black"]):
        save_photo(tmp_path / "photos" / f"{number}.png", colour)
    with Library.open(tmp_path / "library", create=True, encoder=encoder) as library:
        return library.index(tmp_path / "photos")


def test_indexing_loads_it_in_a_separate_thread(tmp_path: Path, opened: list[str]) -> None:
    assert indexed(tmp_path, CompiledEncoder(MINI)).indexed == 5
    assert opened == ["opening the model"]
    assert "opening the model" not in [thread.name for thread in threading.enumerate()]


def test_a_damaged_tower_is_reported_by_the_run_and_not_by_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))  # without the optimized copy of the intact one
    model = tmp_path / "model"
    shutil.copytree(MINI, model)
    encoder = CompiledEncoder(model)
    (model / "image.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="may be damaged"):
        indexed(tmp_path, encoder)
    assert not [item for item in recwarn if item.category is pytest.PytestUnhandledThreadExceptionWarning]
