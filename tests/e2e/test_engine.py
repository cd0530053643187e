"""The whole program with the bundled model: the photographs of scikit-image and scikit-learn, found by words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipsearch.demo import find_photographs
from tests.conftest import mostly_long
from tests.e2e.conftest import Run

HEAVY = ("torch", "open_clip", "torchvision", "timm", "streamlit", "sklearn", "skimage", "indexer")

WORDS = [
    ("a cat", {"chelsea.png"}),
    ("a cup of coffee", {"coffee.png"}),
    ("a rocket launch", {"rocket.jpg"}),
    ("a motorcycle", {"motorcycle_left.png", "motorcycle_right.png"}),
    ("a flower", {"flower.jpg"}),
    ("a temple", {"china.jpg"}),
]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """What ``clipsearch demo --keep`` leaves."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "clipsearch", "demo", "--keep", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '$ clipsearch search "a cat" -k 3' in done.stdout
    return folder


@pytest.mark.parametrize(("words", "expected"), mostly_long(WORDS, everyday=2))
def test_the_right_photograph_comes_first(run: Run, demo_folder: Path, words: str, expected: set[str]) -> None:
    done = run("search", words, "-k", "3", "--json", library=demo_folder / "library")
    results = json.loads(done.stdout)
    assert Path(results[0]["path"]).name in expected, results
    assert [result["rank"] for result in results] == [1, 2, 3]
    assert 1 >= results[0]["score"] >= results[1]["score"] >= results[2]["score"] >= -1


def test_the_other_half_of_a_stereo_pair_is_the_most_similar(run: Run, demo_folder: Path) -> None:
    photo = demo_folder / "photos" / "motorcycle_left.png"
    done = run("similar", str(photo), "--paths", "-k", "1", library=demo_folder / "library")
    assert done.stdout.strip().endswith("motorcycle_right.png")


def test_every_photograph_of_the_demo_is_indexed_and_a_second_run_embeds_nothing(run: Run, demo_folder: Path) -> None:
    done = run("index", str(demo_folder / "photos"), "--json", library=demo_folder / "library")
    report = json.loads(done.stdout)
    assert (report["embedded"], report["unchanged"], report["skipped"]) == (0, len(find_photographs()), [])


@pytest.mark.parametrize("command", [["search", "a cat"], ["similar", "{photo}"], ["status"]])
def test_a_search_keeps_torch_out_of_the_process(
    demo_folder: Path, environment: dict[str, str], command: list[str]
) -> None:
    photo = demo_folder / "photos" / "coffee.png"
    arguments = [argument.format(photo=photo) for argument in command]
    code = (
        "import sys; from clipsearch.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**environment, "CLIPSEARCH_LIBRARY": str(demo_folder / "library")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout
