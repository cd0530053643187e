"""The documents against the code: what they name exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from clipsearch.cli import COMMANDS, cli
from clipsearch.cli.arguments import NEGATIVE_TERM, QueryCommand
from clipsearch.models.presets import PRESETS
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in DOCUMENTS}

_FOLDERS = "clipsearch|indexer|ui|tests|data|docs"


def _shell_lines() -> list[str]:
    blocks = [
        block
        for text in TEXTS.values()
        for block in re.findall(r"^```sh\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    ]
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[document.name]):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(rf"`((?:{_FOLDERS})/[\w./-]*)`", TEXTS[document.name]))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = re.findall(r"`make ((?:[\w-]+ ?)+)`", TEXTS[document.name])
    named += re.findall(r"^make ([\w-]+)", TEXTS[document.name], flags=re.MULTILINE)
    assert {target for names in named for target in names.split()} <= targets


@pytest.mark.parametrize("line", [line for line in _shell_lines() if line.startswith("clipsearch ")])
def test_commands_are_shown_with_options_that_exist(line: str) -> None:
    words = shlex.split(line.split(" | ", maxsplit=1)[0], comments=True)[1:]
    while words[0].startswith("--library"):
        words = words[2:]
    command: click.Command = cli.get_command(click.Context(cli), words.pop(0))
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, QueryCommand):
        words = [word for word in words if not NEGATIVE_TERM.match(word)]
    assert {word.split("=")[0] for word in words if word.startswith("-")} <= known | {"--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"^clipsearch {name}\b", TEXTS["README.md"], flags=re.MULTILINE)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_is_in_the_readme_as_it_is(preset: object) -> None:
    name, spec, dim = (getattr(preset, attribute) for attribute in ("name", "spec", "dim"))
    (row,) = re.findall(rf"^\| `{name}` .*$", TEXTS["README.md"], flags=re.MULTILINE)
    assert str(dim) in row
    assert name == spec or spec in row


def test_the_changelog_names_this_version_or_says_unreleased() -> None:
    assert re.search(r"^## \[Unreleased\]$", TEXTS["CHANGELOG.md"], flags=re.MULTILINE)
