"""``clipsearch models`` and ``clipsearch models compile``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clipsearch.cli import cli
from clipsearch.config import CACHE_VARIABLE
from clipsearch.models.compile.check_set import check_images
from clipsearch.models.hub import hub_reachable
from clipsearch.models.presets import PRESETS
from clipsearch.models.specs import compiled_dir, parse_spec
from tests.tiny_models import compiled_model, copied_export, tiny_model


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub_reachable.cache_clear()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments])


def test_lists_the_presets() -> None:
    result = run()
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["Name", "Model", "Download", "Parameters", "Dim", "License", "Languages", "Installed"]
    assert [line.split()[0] for line in lines] == list(PRESETS)
    base = next(line for line in lines if line.startswith("base"))
    for part in (PRESETS["base"].spec, "605 MB", "151 M", "512", "MIT", " en ", "no"):
        assert part in base


def test_lists_as_json() -> None:
    rows = json.loads(run("--json").stdout)
    assert [row["name"] for row in rows] == list(PRESETS)
    assert rows[1] == {
        "name": "base",
        "model": "ViT-B-32-256/datacomp_s34b_b86k",
        "download_mb": 605,
        "parameters_m": 151.3,
        "dim": 512,
        "licence": "MIT",
        "languages": ["en"],
        "cached": False,
        "description": PRESETS["base"].description,
    }


def test_the_list_loads_no_torch() -> None:
    code = (
        "import sys, clipsearch.cli as c\n"
        "try: c.cli.main(['models'], prog_name='clipsearch')\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "print([m for m in ('torch', 'open_clip', 'onnxruntime', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.long
def test_compile_prints_parity_place_and_size(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(compiled_model(base, "clip")))
    spec = f"local-dir:{tiny_model(base, 'clip')}"
    described, _, table = run("compile", spec).stdout.partition("\n\n")
    lines = dict(line.split(maxsplit=1) for line in described.splitlines())
    assert lines["model"] == spec
    assert lines["location"] == str(compiled_dir(parse_spec(spec)))
    assert lines["parity"].startswith("image 1.0000")
    assert lines["size"].endswith("MiB")
    heading, *rows = table.splitlines()
    assert heading.split() == ["Tower", "Precision", "Speed", "Load", "Size", "Cosine", "Top", "10"]
    assert [row.split()[0] for row in rows] == ["image", "image", "text", "text"]
    assert sum(row.endswith("kept") for row in rows) == 2
    as_json = json.loads(run("compile", "--json", spec).stdout)
    assert as_json["path"] == lines["location"]
    assert min(as_json["parity"].values()) >= 0.999
    assert [found["precision"] for found in as_json["candidates"]] == ["fp32", "int8 dynamic"] * 2


def test_the_bundled_model_has_its_parity_and_no_table() -> None:
    shown = run("compile", "mini").stdout
    assert "rounding   cosine 0.99" in shown
    assert "Tower" not in shown


@pytest.mark.long
def test_own_pictures_choose_the_precision(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.onnx.export", copied_export(base, "clip"))
    (folder := tmp_path / "pictures" / "deep").mkdir(parents=True)
    for number, image in enumerate(check_images()[:21]):
        image.resize((48, 48)).save(folder / f"{number}.png")
    (folder / "damaged.jpg").write_bytes(b"no picture")
    spec = f"local-dir:{tiny_model(base, 'clip')}"
    result = run("compile", "--json", "--images", str(folder.parent), spec)
    assert json.loads(result.stdout)["compared_on"] == "21 pictures of the user"
    assert "skipping" in result.stderr and "damaged.jpg" in result.stderr


def test_too_few_pictures_are_one_line(base: Path, tmp_path: Path) -> None:
    result = run("compile", "--images", str(tmp_path), f"local-dir:{tiny_model(base, 'clip')}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has 0 readable pictures; at least 20" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["compile"], 2, "missing argument 'SPEC'"),
        (["compile", "bse"], 1, "did you mean base"),
        (["compile", "base"], 1, "no model hub answered"),
        (["compile", "local-dir:/no/such/place"], 1, "does not exist"),
        (["--json", "compile", "base"], 2, "put --json after the subcommand"),
        (["compil", "base"], 2, "no such command 'compil'"),
    ],
)
def test_what_is_wrong_is_one_line_on_stderr(arguments: list[str], status: int, message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
