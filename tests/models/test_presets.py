"""Presets, model names, and the default model."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest

from clipsearch.config import CACHE_VARIABLE
from clipsearch.errors import ModelError
from clipsearch.models.hub import hub_reachable
from clipsearch.models.presets import PRESETS, preset_cached, preset_of, resolve_auto, resolve_preset
from clipsearch.models.specs import compiled_dir, parse_spec

DOWNLOADED = [name for name, preset in PRESETS.items() if preset.repository]


@pytest.fixture(autouse=True)
def _empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    hub_reachable.cache_clear()
    yield
    hub_reachable.cache_clear()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_default_is_base_if_a_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:

        def answer() -> None:
            connection, _ = hub.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
        thread = threading.Thread(target=answer)
        thread.start()
        assert resolve_auto() == (PRESETS["base"].spec, None)
        thread.join()


def download(tmp_path: Path, repository: str, *names: str) -> None:
    snapshot = tmp_path / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots" / "1"
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in names:
        (snapshot / name).touch()


@pytest.mark.parametrize("name", DOWNLOADED)
def test_presets_agree_with_open_clip(name: str) -> None:
    preset = PRESETS[name]
    architecture, _, weights = preset.spec.partition("/")
    config = open_clip.get_model_config(architecture)
    assert open_clip.get_pretrained_cfg(architecture, weights)["hf_hub"] == f"{preset.repository}/"
    assert config["embed_dim"] == preset.dim
    assert preset.has_tokenizer == ("hf_tokenizer_name" in config["text_cfg"])
    assert config["text_cfg"].get("hf_tokenizer_name", preset.repository) == preset.repository
    assert preset.download_mb == pytest.approx(preset.parameters_m * 4, rel=0.01)


@pytest.mark.parametrize("name", PRESETS)
def test_names_resolve_to_specs_and_specs_to_themselves(name: str) -> None:
    spec = PRESETS[name].spec
    assert resolve_preset(name) == spec
    assert resolve_preset(f" {spec} ") == spec
    assert preset_of(spec) is PRESETS[name]


def test_other_specs_are_kept_and_directories_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    expected = f"local-dir:{(tmp_path / 'mine').resolve()}"
    assert {resolve_preset(name) for name in ("mine", "./mine", "local-dir:mine", expected)} == {expected}
    assert resolve_preset("ViT-B-32/openai") == "ViT-B-32/openai"
    assert resolve_preset("hf-hub:org/name/") == "hf-hub:org/name"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bse", "did you mean base"),
        ("multilingal", "did you mean multilingual"),
        ("ViT-B-23/openai", "did you mean ViT-B-32"),
        ("qqqqq", "`clipsearch models` lists"),
        ("", "unknown model ''"),
        ("ViT-B-32", "is an architecture without weights"),
        ("hf-hub:name", "hf-hub:organization/name"),
        ("hf-hub:", "hf-hub:organization/name"),
        ("local-dir:", "does not exist"),
        ("local-dir:/no/such/place", "/no/such/place does not exist"),
    ],
)
def test_a_wrong_name_is_one_helpful_line(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        resolve_preset(name)
    assert "\n" not in str(caught.value)


def test_names_are_resolved_without_torch() -> None:
    code = (
        "import sys\n"
        "from clipsearch.models.presets import resolve_preset, PRESETS, preset_cached\n"
        "resolve_preset('base'), [preset_cached(preset) for preset in PRESETS.values()]\n"
        "try: resolve_preset('bse')\n"
        "except Exception: pass\n"
        "print([m for m in ('torch', 'open_clip', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_preset_is_cached_if_all_files_are_downloaded(tmp_path: Path) -> None:
    assert not preset_cached(PRESETS["base"])
    download(tmp_path, PRESETS["base"].repository, "open_clip_model.safetensors")
    assert preset_cached(PRESETS["base"])
    download(tmp_path, PRESETS["large"].repository, "open_clip_model.safetensors")
    assert not preset_cached(PRESETS["large"])
    download(tmp_path, PRESETS["large"].repository, "tokenizer.json")
    assert preset_cached(PRESETS["large"])


def test_a_preset_is_cached_if_it_is_compiled() -> None:
    directory = compiled_dir(parse_spec(PRESETS["base"].spec))
    directory.mkdir(parents=True)
    assert not preset_cached(PRESETS["base"])
    (directory / "model.json").touch()
    assert preset_cached(PRESETS["base"])


def test_the_default_is_base_if_it_is_cached(tmp_path: Path, no_hub: None) -> None:
    download(tmp_path, PRESETS["base"].repository, "open_clip_pytorch_model.bin")
    assert resolve_auto() == (PRESETS["base"].spec, None)


def test_the_default_is_otherwise_mini_with_a_notice(no_hub: None) -> None:
    spec, notice = resolve_auto()
    assert spec == "mini"
    assert notice is not None
    assert "\n" not in notice
    assert "--model base" in notice
