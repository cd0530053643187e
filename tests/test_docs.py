"""The documents against the code: what they name exists, links lead somewhere, and every command is described."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from clipsearch.cli import COMMANDS, cli
from clipsearch.cli.arguments import NEGATIVE_TERM, QueryCommand
from clipsearch.models.presets import PRESETS
from tests.conftest import ROOT

MANUAL = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *MANUAL]
TEXTS = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
README = TEXTS[ROOT / "README.md"]

_FOLDERS = "clipsearch|indexer|ui|tests|data|docs|deploy"
_CODE = re.compile(r"^ *```.*?^ *```$", flags=re.DOTALL | re.MULTILINE)


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def _shell_lines() -> list[str]:
    """The commands that the documents show, in blocks of `sh` and after the prompt in blocks of `console`."""
    lines = []
    for text in TEXTS.values():
        for block in _blocks(text, "sh"):
            lines += block.replace("\\\n", " ").splitlines()
        for block in _blocks(text, "console"):
            lines += [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if line.startswith("clipsearch ")]


def _anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as the site and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", document.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_anchors_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _CODE.sub("", TEXTS[document])):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = document.parent / target if target else document
        assert path.exists(), link
        if anchor:
            assert anchor in _anchors(path), link


def test_every_page_is_in_the_navigation_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    sections = [next(iter(entry.values())) for entry in site["nav"]]
    pages = [page for section in sections for page in (section if isinstance(section, list) else [{"": section}])]
    assert sorted(next(iter(page.values())) for page in pages) == [path.name for path in MANUAL]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(rf"`((?:{_FOLDERS})/[\w./-]*)`", TEXTS[document]))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = re.findall(r"`make ((?:[\w-]+ ?)+)`", TEXTS[document])
    named += re.findall(r"^make ([\w-]+)", TEXTS[document], flags=re.MULTILINE)
    assert {target for names in named for target in names.split()} <= targets


@pytest.mark.parametrize("line", _shell_lines())
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


def test_every_command_is_in_the_reference_and_in_the_table_of_the_readme() -> None:
    table = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"\| `([\w-]+)` \| [^|]+", table)) == sorted(COMMANDS)
    for name in COMMANDS:
        assert f"\n## clipsearch {name}\n" in TEXTS[ROOT / "docs" / "cli.md"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@pytest.mark.parametrize("document", ["README.md", "docs/models.md"])
def test_every_preset_is_described_as_it_is(document: str, preset: object) -> None:
    name, spec, dim = (getattr(preset, attribute) for attribute in ("name", "spec", "dim"))
    (row,) = re.findall(rf"^\| `{name}` .*$", TEXTS[ROOT / document], flags=re.MULTILINE)
    assert str(dim) in row
    assert name == spec or spec in row


def test_the_readme_can_be_read_in_two_minutes() -> None:
    assert len(README.splitlines()) <= 150


def test_pictures_load_nothing_from_elsewhere() -> None:
    for picture in (ROOT / "docs").rglob("*.svg"):
        text = picture.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?https?:|href=[\"']https?:", text), picture


def test_the_changelog_names_this_version_or_says_unreleased() -> None:
    assert re.search(r"^## \[Unreleased\]$", TEXTS[ROOT / "CHANGELOG.md"], flags=re.MULTILINE)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "screenshots").glob("*.png")), ids=lambda path: path.stem)
def test_every_screenshot_is_taken_by_a_test_of_the_page(picture: Path) -> None:
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "browser").glob("*.py"))
    name = picture.stem.removeprefix("phone-")
    assert any(f'"{name}"' in text for text in tests), "make screenshots cannot take it again"
