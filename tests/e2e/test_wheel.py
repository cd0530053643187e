"""The wheel carries the model, and runs away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODEL = "clipsearch/data/models/mini"

_RUN = """
import sys
from pathlib import Path

unpacked = Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(unpacked))
import clipsearch, indexer
from clipsearch.config import data_dir

for found in (clipsearch.__file__, indexer.__file__, data_dir() / "models" / "mini" / "model.json"):
    assert unpacked in Path(found).resolve().parents, found
from clipsearch.cli import main

sys.argv[0] = "clipsearch"
main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.long
def test_the_wheel_holds_the_model_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        scripts = next(name for name in names if name.endswith("entry_points.txt"))
        assert "clipsearch = clipsearch.cli:main" in archive.read(scripts).decode()
    for name in ("image.onnx", "text.onnx", "tokenizer.json", "model.json", "MODEL_CARD.md"):
        assert f"{MODEL}/{name}" in names
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ui").rglob("*") if path.is_file()}
    assert {name for name in page if "__pycache__" not in name} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "data/")) or "__pycache__" in name]


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--help"], "Usage: clipsearch"), (["models"], "mini"), (["demo"], "a cat")],
    ids=["help", "models", "demo"],
)
def test_the_unpacked_wheel_runs_outside_the_checkout(
    unpacked: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CLIPSEARCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _RUN, str(unpacked), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
