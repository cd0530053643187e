"""The README's Python examples run as they are shown, with the bundled model and real photographs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = ROOT / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = importlib.util.find_spec("skimage")
    assert package is not None and package.submodule_search_locations
    (tmp_path / "photos").mkdir()
    for name in PHOTOS:
        shutil.copy(Path(package.submodule_search_locations[0]) / "data" / name, tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path


def test_there_is_an_example() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_python_examples_run_as_shown(example: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "3 pictures indexed, 1 skipped"
    assert lines[1].startswith("skipped broken.jpg: ")
    assert re.fullmatch(r"1\. chelsea\.png 0\.\d\d\d", lines[2]), "the search for a cat finds the cat"
    similar = [line for line in lines if line.startswith("like coffee.png: ")]
    assert len(similar) == 2 and "coffee" not in "".join(line.partition(": ")[2] for line in similar)
