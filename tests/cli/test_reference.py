"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch.cli import COMMANDS
from clipsearch.cli.reference import WIDTH, main, reference
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "cli.md"


def test_the_document_is_up_to_date() -> None:
    # a process of its own: click keeps what --help is called in the first context that asks
    subprocess.run([sys.executable, "-m", "clipsearch.cli.reference", "--check", str(DOCUMENT)], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_it_with_its_examples(name: str) -> None:
    section = reference().partition(f"\n## clipsearch {name}\n")[2].partition("\n## ")[0]
    assert f"Usage: clipsearch {name}" in section
    assert "Example" in section


def test_subcommands_are_in_it() -> None:
    assert "\n### clipsearch roots move\n" in reference()


@pytest.mark.parametrize("columns", ["40", "200"])
def test_it_is_as_wide_on_every_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    expected = reference()
    monkeypatch.setenv("COLUMNS", columns)
    for name in ("CLIPSEARCH_LIBRARY", "CLIPSEARCH_PREVIEW"):
        monkeypatch.setenv(name, "something of this machine")
    assert reference() == expected
    help_texts = expected.split("```text\n")[1:]
    assert all(len(line) <= WIDTH for text in help_texts for line in text.partition("```")[0].splitlines())


def test_checking_tells_what_to_run(tmp_path: Path) -> None:
    file = tmp_path / "cli.md"
    done = CliRunner().invoke(main, [str(file), "--check"])
    assert done.exit_code == 1 and "run: make reference" in done.stderr
    assert CliRunner().invoke(main, [str(file)]).exit_code == 0
    assert file.read_bytes() == reference().encode()
    assert CliRunner().invoke(main, [str(file), "--check"]).exit_code == 0
    file.write_text("old")
    assert CliRunner().invoke(main, [str(file), "--check"]).exit_code == 1
