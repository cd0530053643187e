"""The examples of the README and of the first pages run and print what they show, with the bundled model."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from clipsearch.demo import copy_photographs
from tests.conftest import ROOT

README, GETTING_STARTED, PYTHON = (ROOT / name for name in ("README.md", "docs/getting-started.md", "docs/python.md"))


def _blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_photographs(tmp_path / "photos")
    return tmp_path


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CLIPSEARCH_LIBRARY": str(folder / "library"), "PYTHONUTF8": "1", "COLUMNS": "100"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def _comparable(text: str) -> str:
    """Output without progress, and without scores and times, which depend on the machine."""
    text = re.sub(r"^indexing: .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\d+\.\d+ (?:s|ms)|\d+\.\d+", "#", text)


@pytest.mark.parametrize(
    "document", [README, pytest.param(GETTING_STARTED, marks=pytest.mark.long)], ids=lambda path: path.name
)
def test_the_console_examples_print_what_is_shown(document: Path, folder: Path) -> None:
    blocks = _blocks(document, "console")
    assert blocks
    for block in blocks:
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = shown.partition("\n")
            words = shlex.split(command)
            assert words[0] == "clipsearch"
            mini = ["--model", "mini"] if words[1] == "index" else []
            done = _run(["-m", *words, *mini], folder)
            assert done.returncode == 0, done.stdout
            assert _comparable(done.stdout) == _comparable(expected), command


@pytest.mark.parametrize("document", [README, pytest.param(PYTHON, marks=pytest.mark.long)], ids=lambda path: path.name)
def test_the_python_examples_run(document: Path, folder: Path) -> None:
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (example,) = _blocks(document, "python")
    done = _run(["-c", example], folder)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert re.search(r"21 (pictures )?indexed, 1 skipped", done.stdout)
    assert any("chelsea.png" in line and line.startswith("1") and line.endswith("strong") for line in lines)
    assert not any(line.startswith("like coffee.png: coffee") for line in lines)
