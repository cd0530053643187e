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
from clipsearch.encoders.hub import hub_reachable
from clipsearch.encoders.presets import PRESETS
from clipsearch.encoders.specs import compiled_dir, parse_spec
from tests.tiny_models import compiled_model, tiny_model


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
    assert heading.split() == ["Name", "Model", "Download", "Parameters", "Dim", "Licence", "Languages", "Here"]
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


def test_compile_prints_parity_place_and_size(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(compiled_model(base, "clip")))
    spec = f"local-dir:{tiny_model(base, 'clip')}"
    lines = dict(line.split(maxsplit=1) for line in run("compile", spec).stdout.splitlines())
    assert lines["model"] == spec
    assert lines["location"] == str(compiled_dir(parse_spec(spec)))
    assert lines["parity"].startswith("image 1.0000")
    assert lines["size"].endswith("MiB")
    described = json.loads(run("compile", "--json", spec).stdout)
    assert described["path"] == lines["location"]
    assert min(described["parity"].values()) >= 0.999


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["compile"], 2, "Missing argument 'SPEC'"),
        (["compile", "bse"], 1, "did you mean base"),
        (["compile", "base"], 1, "no model hub answered"),
        (["compile", "local-dir:/no/such/place"], 1, "does not exist"),
        (["--json", "compile", "base"], 2, "--json belongs after the subcommand"),
        (["compil", "base"], 2, "No such command 'compil'"),
    ],
)
def test_what_is_wrong_is_one_line_on_stderr(arguments: list[str], status: int, message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
