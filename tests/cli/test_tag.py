"""`clipsearch tag` over a real catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clipsearch.cli import cli
from clipsearch.library import Library
from tests.conftest import ColourEncoder

Run = Callable[..., Result]


@pytest.fixture
def run(indexed: Library, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `clipsearch tag` with the colour encoder."""
    monkeypatch.setattr("clipsearch.models.loading.load_encoder", lambda *_, **__: ColourEncoder())

    def run_(*arguments: Any) -> Result:
        environment = {"CLIPSEARCH_LIBRARY": str(indexed.path)}
        return CliRunner().invoke(cli, ["tag", *map(str, arguments)], prog_name="clipsearch", env=environment)

    return run_


def counts(run: Run, *query: str) -> dict[str, int]:
    done = run("list", "--json", *query)
    assert done.exit_code == 0, done.output
    return {item["tag"]: item["images"] for item in json.loads(done.stdout)}


def test_a_library_is_tagged_with_words_of_ones_own(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red\nblue\n", encoding="utf-8")
    done = run("--vocabulary", words)
    assert done.exit_code == 0, done.output
    assert "of 6 got" in done.stdout and "from a vocabulary of 2 words" in done.stdout
    assert run("drop").exit_code == 0
    assert counts(run) == {}


def test_tags_by_hand_are_added_shown_and_removed(run: Run, photos: Path) -> None:
    done = run("add", "Holidays", photos / "red.png", photos / "blue.png")
    assert done.stdout == "2 pictures tagged vacation\n", "a synonym of the vocabulary, in the plural"
    assert run("add", "vacation", "folder:grey").stdout == "2 pictures tagged vacation\n"
    assert counts(run) == {"vacation": 4}
    assert counts(run, "ext:png") == {"vacation": 2}
    assert run("show", photos / "red.png").stdout == f"{photos / 'red.png'}: vacation (by hand)\n"
    assert run("remove", "vacation", "ext:png").stdout == "4 pictures not tagged vacation any more\n"
    assert counts(run) == {"vacation": 2}
    assert "2  vacation  (2 by hand)" in run("list").stdout
    assert run("forget", "vacation", "folder:grey").exit_code == 0
    done = run("list")
    assert done.exit_code == 3 and "there are no tags" in done.stderr
    (shown,) = json.loads(run("show", "--json", photos / "red.png").stdout)
    assert shown["tags"] == []


def test_the_best_of_a_query_with_words_are_asked_for(run: Run) -> None:
    done = run("add", "wall", "red")
    assert done.exit_code == 2 and "-k N" in done.stderr
    assert run("add", "wall", "red", "-k", 2).stdout == "2 pictures tagged wall\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("add", "wall", "gone.png"), 1, "the library holds no picture"),
        (("add", "wall", "ext:heic"), 3, "nothing found"),
        (("add", " ", "ext:png"), 1, "a tag is a name"),
        (("--vocabulary", "gone.tsv"), 1, "cannot be read"),
        (("--vocabulary", "gone.tsv", "list"), 2, "goes with clipsearch tag alone"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = run(*arguments)
    assert done.exit_code == status
    assert told in done.stderr
