"""The program with the default install only: what every extra brings is out of reach of its processes.

`make test-default` runs these tests, and the walk through the page, in an environment without the extras.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.system.optional_packages import EXTRAS
from tests.conftest import save_photo

WITHOUT_EXTRAS = f"""
import sys
import time
from importlib.machinery import PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = {sorted({name for modules in EXTRAS.values() for name in modules})!r}
        return None if name.partition(".")[0] in missing else super().find_spec(name, path, target)

sys.meta_path[:] = [Installed if finder is PathFinder else finder for finder in sys.meta_path]
from clipsearch.cli import main
main()
"""

PATIENCE_S = 60.0

pytestmark = pytest.mark.long

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default-install") / "photos"
    for color in ("red", "green", "blue", "yellow"):
        save_photo(folder / f"{color}.jpg", color, size=(300, 200))
    (folder.parent / "captions.tsv").write_text("image\tcaption\nphotos/red.jpg\ta red wall\n", encoding="utf-8")
    (folder / "again.jpg").write_bytes((folder / "red.jpg").read_bytes())
    return folder


@pytest.fixture(scope="module")
def environment(photos: Path) -> dict[str, str]:
    return {**os.environ, "CLIPSEARCH_LIBRARY": str(photos.parent / "library"), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def run(environment: dict[str, str]) -> Run:
    def run_(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_EXTRAS, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run_


def test_a_library_is_indexed_searched_and_looked_after(run: Run, photos: Path) -> None:
    indexed = run("index", str(photos))
    assert indexed.returncode == 0 and "pip install 'clipsearch[openclip]'" in indexed.stderr
    for arguments in (
        ("search", "a red wall", "-k", "2"),
        ("similar", str(photos / "red.jpg")),
        ("duplicates",),
        ("tag",),
        ("concept", "add", "reds", "--positive", str(photos / "red.jpg"), "--text", "a red wall"),
        ("search", "@reds"),
        ("classify", "ext:jpg", "--labels", "red,green,blue"),
        ("export", str(photos.parent / "export")),
        ("check",),
        ("models",),
        ("status",),
    ):
        done = run(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)


def test_new_pictures_are_watched_for(run: Run, environment: dict[str, str], photos: Path) -> None:
    run("index", str(photos))
    command = [sys.executable, "-c", WITHOUT_EXTRAS, "watch", "--quiet", "0.2"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            while "watching 1 root" not in (line := process.stderr.readline()):
                assert line, "it ended early"
            time.sleep(1.0)  # the watcher begins after it says so
            save_photo(photos / "purple.jpg", "purple", size=(300, 200))
            while not (line := process.stdout.readline()).endswith("1 indexed\n"):
                assert line, "it ended early"
        finally:
            process.terminate()
        _, problems = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, problems


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("openclip", ("models", "compile", "base")),
        ("openclip", ("--library", "{folder}/other", "index", "{folder}/photos", "--model", "base")),
        ("train", ("train", "--model", "mini", "--images", "{folder}/photos", "--output", "{folder}/model")),
        ("server", ("serve",)),
        ("server", ("mcp",)),
        ("demo", ("demo",)),
        ("ocr", ("--library", "{folder}/other", "index", "{folder}/photos", "--text")),
        ("scale", ("--library", "postgresql://127.0.0.1/photos", "status")),
        ("scale", ("index-copy", "--to", "milvus")),
        ("scale", ("--library", "{folder}/new", "index", "{folder}/photos", "--engine", "ray")),
        (
            "evaluate",
            (
                "evaluate",
                "--model",
                "mini",
                "--captions",
                "{folder}/captions.tsv",
                "--images",
                "{folder}",
                "--plot",
                "{folder}/x.png",
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:30],
)
def test_what_needs_more_says_so_in_one_line(run: Run, photos: Path, extra: str, arguments: tuple[str, ...]) -> None:
    run("index", str(photos))
    done = run(*(argument.format(folder=photos.parent) for argument in arguments))
    assert done.returncode == 1, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("clipsearch: ") and f"pip install 'clipsearch[{extra}]'" in line
