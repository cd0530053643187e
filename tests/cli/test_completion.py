"""Shell completion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from clipsearch.catalog.shell_completion import names_for_completion
from clipsearch.cli import COMMANDS, cli
from clipsearch.cli.commands.completion import VARIABLE
from clipsearch.cli.options import Settings
from clipsearch.library import Library

HEAVY = ("torch", "open_clip", "onnxruntime", "faiss", "sqlalchemy", "PIL", "numpy", "rich", "streamlit", "skimage")


def suggestions(*words: str) -> list[str]:
    """What completes the last word."""
    *before, incomplete = words
    complete = ShellComplete(cli, {"obj": Settings()}, "clipsearch", VARIABLE)
    return [item.value for item in complete.get_completions(before, incomplete)]


@pytest.fixture
def saved(indexed: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    indexed.saved.add("beach", "red")
    indexed.saved.add("birthday cake", "green")
    monkeypatch.setenv("CLIPSEARCH_LIBRARY", str(indexed.path))
    return indexed


def test_commands_and_options() -> None:
    assert suggestions("") == list(COMMANDS)
    assert suggestions("sav") == ["save", "saved"]
    assert "--jsonl" in suggestions("search", "--j") and "--replace" in suggestions("save", "--r")
    assert suggestions("search", "x", "--sort", "") == ["score", "date", "path"]
    assert suggestions("completion", "") == ["bash", "zsh", "fish"]


def test_saved_names(saved: Library, tmp_path: Path) -> None:
    assert suggestions("saved", "b") == ["beach", "birthday cake"]
    assert suggestions("saved", "--new", "bi") == ["birthday cake"]
    assert suggestions("--library", str(tmp_path / "nowhere"), "saved", "") == []
    assert suggestions("saved", "--library", str(tmp_path / "nowhere"), "") == []


def test_a_library_is_only_looked_at(saved: Library, photos: Path, tmp_path: Path) -> None:
    assert names_for_completion(saved.path, "roots") == [str(photos)]
    assert names_for_completion(tmp_path / "nowhere", "saved") == []
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "catalog.sqlite3").write_bytes(b"no database")
    assert names_for_completion(tmp_path, "saved") == []


@pytest.mark.parametrize(
    ("shell", "registration"),
    [
        ("bash", "complete -o nosort -F _clipsearch_completion clipsearch"),
        ("zsh", "compdef _clipsearch_completion clipsearch"),
        ("fish", "complete --no-files --command clipsearch"),
    ],
)
def test_the_script_asks_the_program(shell: str, registration: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell], prog_name="clipsearch")
    assert done.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in done.stdout and registration in done.stdout


@pytest.mark.parametrize("shell", [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)])
def test_the_shell_takes_the_script(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(CliRunner().invoke(cli, ["completion", shell], prog_name="clipsearch").stdout)
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_with_it(saved: Library, tmp_path: Path) -> None:
    program = tmp_path / "clipsearch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clipsearch "$@"\n')
    program.chmod(0o755)
    script = CliRunner().invoke(cli, ["completion", "bash"], prog_name="clipsearch").stdout
    ask = f"""{script}
        COMP_WORDS=(clipsearch saved bi); COMP_CWORD=2
        _clipsearch_completion "{program}"; printf '%s\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("birthday cake\n", "")


@pytest.mark.parametrize(
    ("words", "expected"), [("clipsearch saved b", "plain,beach"), ("clipsearch sim", "plain,similar")]
)
def test_the_program_answers_and_loads_nothing_heavy(saved: Library, words: str, expected: str) -> None:
    code = (
        "import sys, clipsearch.cli as c\n"
        "try: c.main()\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    environment = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert expected in lines and lines[-1] == "LOADED []"


def test_presets() -> None:
    from clipsearch.cli.arguments import suggest_presets

    parent = cli.make_context("clipsearch", [], resilient_parsing=True)
    command = cli.get_command(parent, "index")
    context = command.make_context("index", [], parent=parent, resilient_parsing=True)
    suggest: Callable[..., list[object]] = suggest_presets
    assert len(suggest(context, command.params[0], "")) >= 4
    assert [item.value for item in suggest_presets(context, command.params[0], "mi")] == ["mini"]
