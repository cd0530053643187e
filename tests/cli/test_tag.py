"""`clipsearch tag` over a real catalog."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch.cli import cli
from clipsearch.library import Library
from tests.conftest import Run


@pytest.fixture
def tag(run: Run) -> Run:
    """Runs `clipsearch tag`."""
    return partial(run, "tag")


def counts(tag: Run, *query: str) -> dict[str, int]:
    done = tag("list", "--json", *query)
    assert done.exit_code == 0, done.output
    return {item["tag"]: item["images"] for item in json.loads(done.stdout)}


def test_a_library_is_tagged_with_an_own_vocabulary(tag: Run, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red\nblue\n", encoding="utf-8")
    done = tag("--vocabulary", words)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("assigned ")
    assert "of 6 pictures, from a vocabulary of 2 words" in done.stdout
    assert tag("drop").exit_code == 0
    assert counts(tag) == {}


def test_tags_by_hand_are_added_shown_and_removed(tag: Run, photos: Path) -> None:
    done = tag("add", "Holidays", photos / "red.png", photos / "blue.png")
    assert done.stdout == "added vacation to 2 pictures\n", "a synonym of the vocabulary, in the plural"
    assert tag("add", "vacation", "folder:grey").stdout == "added vacation to 2 pictures\n"
    assert counts(tag) == {"vacation": 4}
    assert counts(tag, "ext:png") == {"vacation": 2}
    assert tag("show", photos / "red.png").stdout == f"{photos / 'red.png'}: vacation (by hand)\n"
    assert tag("remove", "vacation", "ext:png").stdout == "removed vacation from 4 pictures\n"
    assert counts(tag) == {"vacation": 2}
    assert "2  vacation  (2 by hand)" in tag("list").stdout
    assert tag("forget", "vacation", "folder:grey").stdout == "reset vacation of 2 pictures\n"
    done = tag("list")
    assert done.exit_code == 3 and "no tags" in done.stderr
    (shown,) = json.loads(tag("show", "--json", photos / "red.png").stdout)
    assert shown["tags"] == []


def test_a_query_with_text_requires_a_number(tag: Run) -> None:
    done = tag("add", "wall", "red")
    assert done.exit_code == 2 and "-k N" in done.stderr
    assert tag("add", "wall", "red", "-k", 2).stdout == "added wall to 2 pictures\n"


def test_a_mistyped_tag_suggests_the_nearest(tag: Run, indexed: Library, photos: Path) -> None:
    assert tag("add", "dog", photos / "red.png").exit_code == 0
    environment = {"CLIPSEARCH_LIBRARY": str(indexed.path)}

    def search(query: str) -> str:
        return CliRunner().invoke(cli, ["search", query], env=environment).stderr

    assert "no picture has the tag dgo; did you mean dog?" in search("not (ext:gif or not tag:dgo)")
    assert "no picture has the tag xyzzy; see: clipsearch tag list" in search("tag:xyzzy ext:png")
    assert "has the tag" not in search("tag:dog ext:gif"), "the tag is known, only no picture passes both filters"
    done = tag("remove", "dgo", photos / "red.png")
    assert done.exit_code == 0 and "did you mean dog?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("add", "wall", "gone.png"), 1, "the library has no picture"),
        (("add", "wall", "ext:heic"), 3, "no results"),
        (("add", " ", "ext:png"), 1, "a tag must have"),
        (("--vocabulary", "gone.tsv"), 1, "cannot read the vocabulary"),
        (("--vocabulary", "gone.tsv", "list"), 2, "cannot be combined with a subcommand"),
    ],
)
def test_wrong_input_is_refused(tag: Run, arguments: tuple[str, ...], status: int, message: str) -> None:
    done = tag(*arguments)
    assert done.exit_code == status
    assert message in done.stderr
