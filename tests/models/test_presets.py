"""The presets, the names users may write, and the choice when they write none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import open_clip
import pytest

from clipsearch.config import CACHE_VARIABLE
from clipsearch.errors import ModelError
from clipsearch.models import presets
from clipsearch.models.presets import PRESETS, preset_cached, preset_of, resolve_auto, resolve_preset
from clipsearch.models.specs import compiled_dir, parse_spec

DOWNLOADED = [name for name, preset in PRESETS.items() if preset.repository]


@pytest.fixture(autouse=True)
def _empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def hub_answers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(presets, "hub_reachable", lambda: request.param)


def download(tmp_path: Path, repository: str, *names: str) -> None:
    snapshot = tmp_path / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots" / "1"
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in names:
        (snapshot / name).touch()


@pytest.mark.parametrize("name", DOWNLOADED)
def test_what_is_said_of_a_preset_is_what_open_clip_has(name: str) -> None:
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
        ("ViT-B-32", "name its weights too"),
        ("hf-hub:name", "hf-hub:organisation/name"),
        ("hf-hub:", "hf-hub:organisation/name"),
        ("local-dir:", "does not exist"),
        ("local-dir:/no/such/place", "/no/such/place does not exist"),
    ],
)
def test_a_wrong_name_is_one_line_that_helps(name: str, message: str) -> None:
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


def test_a_preset_is_cached_when_every_file_is_downloaded(tmp_path: Path) -> None:
    assert not preset_cached(PRESETS["base"])
    download(tmp_path, PRESETS["base"].repository, "open_clip_model.safetensors")
    assert preset_cached(PRESETS["base"])
    download(tmp_path, PRESETS["large"].repository, "open_clip_model.safetensors")
    assert not preset_cached(PRESETS["large"])
    download(tmp_path, PRESETS["large"].repository, "tokenizer.json")
    assert preset_cached(PRESETS["large"])


def test_a_preset_is_cached_when_it_is_compiled() -> None:
    directory = compiled_dir(parse_spec(PRESETS["base"].spec))
    directory.mkdir(parents=True)
    assert not preset_cached(PRESETS["base"])
    (directory / "model.json").touch()
    assert preset_cached(PRESETS["base"])


@pytest.mark.parametrize("hub_answers", [True], indirect=True)
@pytest.mark.usefixtures("hub_answers")
def test_auto_is_base_where_a_hub_answers() -> None:
    assert resolve_auto() == (PRESETS["base"].spec, None)


@pytest.mark.parametrize("hub_answers", [False], indirect=True)
@pytest.mark.usefixtures("hub_answers")
def test_auto_is_base_where_it_is_cached(tmp_path: Path) -> None:
    download(tmp_path, PRESETS["base"].repository, "open_clip_pytorch_model.bin")
    assert resolve_auto() == (PRESETS["base"].spec, None)


@pytest.mark.parametrize("hub_answers", [False], indirect=True)
@pytest.mark.usefixtures("hub_answers")
def test_auto_is_mini_elsewhere_and_says_how_to_change() -> None:
    spec, notice = resolve_auto()
    assert spec == "mini"
    assert notice is not None
    assert "\n" not in notice
    assert "--model base" in notice
