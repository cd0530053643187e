"""Model names are loaded as the right encoder, or fail with one helpful line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clipsearch.config import CACHE_VARIABLE, data_dir
from clipsearch.errors import ModelError
from clipsearch.models import loading
from clipsearch.models.hub import hub_reachable
from clipsearch.models.loading import compile_in_background, compile_spec, load_encoder
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.specs import compiled_dir, parse_spec
from clipsearch.models.torch.encoder import OpenClipEncoder
from tests.tiny_models import compiled_model, copied_export, tiny_model


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def clip(base: Path) -> str:
    return f"local-dir:{tiny_model(base, 'clip')}"


@pytest.fixture
def compiled_cache(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache in which the small CLIP model is compiled already."""
    cache = compiled_model(base, "clip")
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    return cache


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(loading, "_has_gpu", lambda: False)
    return tmp_path / "cache"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub_reachable.cache_clear()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 21])
def test_a_batch_equals_single_images(count: int) -> None:
    encoder = load_encoder("mini")
    height, width = encoder.transform.spec.size
    pixels = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    together = encoder.encode_pixels(pixels)
    assert together.shape == (count, encoder.dim)
    for row, picture in zip(together, pixels, strict=True):
        np.testing.assert_allclose(row, encoder.encode_pixels(picture[None])[0], atol=1e-3)  # int8 rounds


def test_mini_is_the_bundled_model() -> None:
    encoder = load_encoder("mini")
    assert isinstance(encoder, CompiledEncoder)
    assert (encoder.spec, encoder.directory) == ("mini", data_dir() / "models" / "mini")


@pytest.mark.usefixtures("compiled_cache")
@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"runtime": "compiled"}])
def test_a_compiled_model_is_used_unchanged(clip: str, options: dict[str, str]) -> None:
    encoder = load_encoder(clip, **options)
    assert isinstance(encoder, CompiledEncoder)
    assert encoder.spec == clip


@pytest.mark.usefixtures("compiled_cache")
def test_both_runtimes_share_one_space(clip: str) -> None:
    compiled, original = load_encoder(clip), load_encoder(clip, runtime="open-clip", device="cpu")
    assert isinstance(original, OpenClipEncoder)
    assert (compiled.spec, compiled.fingerprint, compiled.dim) == (original.spec, original.fingerprint, original.dim)
    rows = compiled.encode_texts(["a cat"]) * original.encode_texts(["a cat"])
    assert rows.sum() >= 0.999


def test_a_compiled_model_is_loaded_and_used_without_torch(clip: str, compiled_cache: Path) -> None:
    code = (
        "import sys\n"
        "from clipsearch.models.loading import load_encoder\n"
        "load_encoder(sys.argv[1]).encode_texts(['a cat'])\n"
        "print([m for m in ('torch', 'open_clip', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    environment = {**os.environ, CACHE_VARIABLE: str(compiled_cache)}
    done = subprocess.run(
        [sys.executable, "-c", code, clip], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_a_directory_that_is_a_compiled_model(clip: str, compiled_cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compiled_dir(parse_spec(clip), cache=compiled_cache), copy)
    for name in (str(copy), f"local-dir:{copy}"):
        encoder = load_encoder(name)
        assert isinstance(encoder, CompiledEncoder)
        assert encoder.spec == f"local-dir:{copy.resolve()}"
    assert compile_spec(str(copy)) == copy.resolve()


@pytest.mark.long
@pytest.mark.usefixtures("empty_cache")
def test_the_first_use_on_a_cpu_compiles_and_says_so(base: Path, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.onnx.export", copied_export(base, "clip"))
    notes: list[str] = []
    assert isinstance(load_encoder(clip, notify=notes.append), CompiledEncoder)
    assert [note for note in notes if "compiling" in note and clip in note]
    notes.clear()
    assert isinstance(load_encoder(clip, notify=notes.append), CompiledEncoder)
    assert notes == []


@pytest.mark.long
@pytest.mark.usefixtures("empty_cache")
def test_a_model_that_cannot_be_compiled_runs_with_torch_and_is_not_tried_again(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def fail(module: object, arguments: object, file: Path, **options: object) -> None:
        tried.append(file.name)
        raise RuntimeError("no such operator")

    monkeypatch.setattr("torch.onnx.export", fail)
    for _ in range(2):
        notes: list[str] = []
        assert isinstance(load_encoder(clip, notify=notes.append), OpenClipEncoder)
        assert "no such operator" in notes[-1]
    assert tried == ["image.onnx"]
    with pytest.raises(ModelError, match="no such operator"):
        load_encoder(clip, runtime="compiled")


@pytest.mark.usefixtures("empty_cache")
def test_a_gpu_runs_the_original(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_has_gpu", lambda: True)
    assert isinstance(load_encoder(clip), OpenClipEncoder)


@pytest.mark.usefixtures("compiled_cache")
def test_where_there_is_a_gpu_collections_are_embedded_on_it_and_queries_without_torch(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_has_gpu", lambda: True)
    assert isinstance(load_encoder(clip), CompiledEncoder)
    assert isinstance(load_encoder(clip, many_images=True), OpenClipEncoder)
    assert isinstance(load_encoder(clip, many_images=True, device="cpu"), CompiledEncoder)


@pytest.mark.long
@pytest.mark.usefixtures("empty_cache")
def test_a_model_that_runs_on_a_gpu_is_compiled_beside_for_queries(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_has_gpu", lambda: True)
    encoder = load_encoder(clip, many_images=True)
    assert compile_in_background(encoder) is None  # this machine's torch may have the CPU only
    encoder.device = "cuda"
    process = compile_in_background(encoder)
    assert process is not None and process.wait() == 0
    compiled = load_encoder(clip)
    assert isinstance(compiled, CompiledEncoder) and compiled.fingerprint == encoder.fingerprint
    assert compile_in_background(encoder) is None


@pytest.mark.usefixtures("compiled_cache")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "compiled", "device": "cuda"}, "runs on the CPU; remove --device cuda"),
        ({"runtime": "fast"}, "unknown runtime 'fast'"),
        ({"device": "toaster"}, "no device 'toaster'"),
    ],
)
def test_contradicting_options_are_one_line(clip: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_encoder(clip, **options)


@pytest.mark.parametrize("options", [{"runtime": "open-clip"}, {"device": "cuda"}])
def test_mini_runs_compiled_only(options: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="mini is a compiled model"):
        load_encoder("mini", **options)


@pytest.mark.usefixtures("empty_cache", "no_hub")
@pytest.mark.parametrize("runtime", ["auto", "compiled", "open-clip"])
@pytest.mark.parametrize(
    "spec", ["base", "multilingual", "hf-hub:org/name", "RN50/openai", "xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k"]
)
def test_an_uncached_model_without_a_hub_is_one_line_at_once(spec: str, runtime: str) -> None:
    with pytest.raises(ModelError, match="not on this machine and no model hub answered") as caught:
        load_encoder(spec, runtime=runtime)
    assert "--model mini" in str(caught.value)


@pytest.mark.usefixtures("empty_cache")
def test_a_damaged_manifest_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        load_encoder(str(tmp_path))


@pytest.mark.usefixtures("empty_cache")
def test_an_empty_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither open_clip_config\.json nor model\.json"):
        load_encoder(str(tmp_path))
