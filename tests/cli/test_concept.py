"""``clipsearch concept``, over a small library of colours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from clipsearch.cli import cli
from clipsearch.cli.commands.completion import VARIABLE
from clipsearch.cli.options import Settings
from clipsearch.library import Library
from tests.conftest import Run, save_photo


@pytest.fixture(autouse=True)
def in_the_folder_of_the_photos(indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)


def test_add_list_show_and_remove(run: Run, photos: Path, tmp_path: Path) -> None:
    assert "no concepts yet" in run("concept", "list").stdout
    done = run(
        "concept", "add", "rex", "--positive", "red.png", "yellow.png", "--negative", "blue.png", "--text", "red"
    )
    assert (done.exit_code, done.stdout) == (0, "@rex  2 positive examples, 1 negative: red\n"), done.stderr
    outside = save_photo(tmp_path / "outside.png", "green")
    assert run("concept", "add", "my garden", "--positive", outside).exit_code == 0
    assert run("concept", "list").stdout.splitlines() == [
        '@"my garden"  1 positive example, 0 negative',
        "@rex  2 positive examples, 1 negative: red",
    ]
    (_, rex) = json.loads(run("concept", "list", "--json").stdout)
    assert (rex["name"], rex["text"], rex["positives"], rex["negatives"]) == ("rex", "red", 2, 1)
    lines = run("concept", "show", "REX").stdout.splitlines()
    assert lines[1].startswith("fitted for hf-hub:tests/colours: 94% text, 6% pictures; ")
    assert sorted(lines[2:]) == ["negative  blue.png", "positive  red.png", "positive  yellow.png"]
    assert run("concept", "show", "my garden").stdout.splitlines()[2].endswith("outside.png (not in the library)")
    shown = json.loads(run("concept", "show", "rex", "--json").stdout)
    assert (shown["model"], len(shown["examples"]), shown["regularisation"]) == ("hf-hub:tests/colours", 3, 1.0)
    assert run("concept", "remove", "rex").stdout == "removed @rex\n"
    refused = run("concept", "show", "rex")
    assert refused.exit_code == 1 and "the library has no concept @rex" in refused.stderr


def test_it_is_searched_for(run: Run) -> None:
    run("concept", "add", "rex", "--positive", "red.png")
    found = run("search", "@rex", "-k", 1, "--paths")
    assert (found.exit_code, Path(found.stdout.strip()).name) == (0, "red.png"), found.stderr
    refused = run("search", "beach", "@rexx")
    assert refused.exit_code == 1
    assert refused.stderr == "clipsearch: column 7: the library has no concept @rexx; did you mean @rex?\n"


def test_options_take_every_picture_that_follows(run: Run) -> None:
    done = run(
        "concept", "add", "--positive", "red.png", "green.png", "--text", "red", "--positive", "blue.png", "--", "x"
    )
    assert done.stdout == "@x  3 positive examples, 0 negative: red\n", done.stderr
    refused = run("concept", "add", "y", "--positive", "red.png", "--wrong")
    assert refused.exit_code == 2 and "--wrong" in refused.stderr


def test_what_a_query_finds_are_examples(run: Run) -> None:
    assert run("concept", "add", "dark", "--query", "folder:grey").stdout == "@dark  2 positive examples, 0 negative\n"
    assert run("concept", "add", "reds", "--query", "red", "-k", 1).stdout == "@reds  1 positive example, 0 negative\n"
    nothing = run("concept", "add", "x", "--query", "folder:nowhere")
    assert nothing.exit_code == 1 and "no results for folder:nowhere" in nothing.stderr
    assert "at least one picture is required that shows @x" in nothing.stderr


def test_suggest_confirm_and_reject(run: Run, photos: Path) -> None:
    run("concept", "add", "rex", "--positive", "red.png")
    paths = run("concept", "suggest", "rex").stdout.splitlines()
    assert len(paths) == 5 and str(photos / "red.png") not in paths
    assert run("concept", "suggest", "rex", "-0").stdout.split("\0")[:-1] == paths
    (first,) = json.loads(run("concept", "suggest", "rex", "-k", 1, "--json").stdout)
    assert first["path"] == paths[0] and 0 <= first["probability"] <= 1 and Path(first["thumbnail"]).exists()
    assert run("concept", "confirm", "rex", paths[0]).stdout == "@rex  2 positive examples, 0 negative\n"
    rejected = run("concept", "reject", "rex", f"~#{first['content_hash'][:8]}", *paths[1:])
    assert rejected.stdout == "@rex  1 positive example, 5 negative\n"
    nothing = run("concept", "suggest", "rex")
    assert (nothing.exit_code, nothing.stdout) == (3, "")
    assert run("concept", "suggest", "rex", "-0", "--json").exit_code == 2


def test_export(run: Run, tmp_path: Path) -> None:
    run("concept", "add", "rex", "--positive", "red.png")
    assert run("concept", "export", "rex", tmp_path / "rex.json").exit_code == 0
    assert json.loads((tmp_path / "rex.json").read_text())["name"] == "rex"
    assert "already exists" in run("concept", "export", "rex", tmp_path / "rex.json").stderr


@pytest.mark.parametrize("name", ["add", "suggest", "confirm", "reject", "list", "show", "remove", "export"])
def test_every_subcommand_has_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(cli, ["concept", name, "--help"]).stdout
    assert f"clipsearch concept {name}" in shown.partition("Examples:")[2]


def test_names_are_completed(run: Run, indexed: Library) -> None:
    run("concept", "add", "rex", "--positive", "red.png")
    complete = ShellComplete(cli, {"obj": Settings()}, "clipsearch", VARIABLE)
    words = ["--library", str(indexed.path), "concept", "show"]
    assert [item.value for item in complete.get_completions(words, "r")] == ["rex"]
