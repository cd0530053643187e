"""The demo: which photographs it takes, and what it prints; its ranking is tested in e2e."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch import demo as demo_photos
from clipsearch.cli import cli
from clipsearch.cli.commands.demo import SIMILAR_TO
from clipsearch.demo import NOT_PHOTOGRAPHS, find_photographs


def test_the_photographs_are_there_and_open() -> None:
    from PIL import Image

    photographs = find_photographs()
    names = {path.name for path in photographs}
    assert {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "flower.jpg", "china.jpg", SIMILAR_TO} <= names
    assert not names & NOT_PHOTOGRAPHS
    for path in photographs:
        with Image.open(path) as image:
            assert min(image.size) > 150


def test_looking_for_them_imports_neither_package() -> None:
    code = (
        "import sys; from clipsearch.demo import find_photographs; find_photographs();"
        "sys.exit(any(name in sys.modules for name in ('skimage', 'sklearn', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_photos.importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert "pip install scikit-image scikit-learn" in result.stderr


@pytest.mark.parametrize("kind", ["file", "full folder"])
def test_keep_touches_nothing_that_is_there(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").touch()
    result = CliRunner().invoke(cli, ["demo", "--keep", str(place)])
    assert result.exit_code == 1
    assert "choose a new or empty folder" in result.stderr and len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*")] == (["place"] if kind == "file" else ["place", "mine"])
