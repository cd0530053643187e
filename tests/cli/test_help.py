"""The list of commands, their help, and what asking for it loads."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from clipsearch.cli import COMMAND_GROUPS, COMMANDS, cli

HEAVY = ("torch", "open_clip", "onnxruntime", "faiss", "sqlalchemy", "PIL", "numpy", "rich", "streamlit", "skimage")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_matches_the_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_purpose_options_and_examples(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: clipsearch {name}" in result.stdout.replace("cli ", "clipsearch ", 1)
    assert "Example" in result.stdout
    assert f"clipsearch {name}" in result.stdout.partition("Example")[2]
    assert "--help" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    unexplained = [
        option.name for option in command.params if isinstance(option, click.Option) and not (option.help or "").strip()
    ]
    assert not unexplained


def test_help_lists_every_command_once_by_what_it_is_for() -> None:
    lines = CliRunner().invoke(cli, ["--help"], terminal_width=100).stdout.splitlines()
    groups: dict[str, list[str]] = {}
    for line in lines[lines.index("Find pictures:") :]:
        if line.endswith(":"):
            commands = groups.setdefault(line.removesuffix(":"), [])
        elif line:
            commands.append(line.split()[0])
    assert groups == {heading: list(group) for heading, group in COMMAND_GROUPS.items()}
    assert sorted(COMMANDS) == sorted(name for group in groups.values() for name in group)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch", "dog"], "no such command 'serch'; did you mean search? (see: clipsearch --help)"),
        (["xyzzy"], "no such command 'xyzzy' (see: clipsearch --help)"),
        (["tag", "lst"], "no such command 'lst'; did you mean list? (see: clipsearch tag --help)"),
        (["serve", "token", "ad"], "no such command 'ad'; did you mean add? (see: clipsearch serve token --help)"),
        (["search", "--sotr", "date", "x"], "no such option '--sotr'; did you mean --sort?"),
        (["--librry", "x", "status"], "no such option '--librry'; did you mean --library? (see: clipsearch --help)"),
        (["search", "--sort", "dat", "x"], "not one of 'score', 'date', 'path'; did you mean 'date'?"),
        (["index", "--engine", "rya"], "did you mean 'ray'?"),
        (["duplicates", "--kind", "identic"], "did you mean 'identical'?"),
        (["completion", "bsh"], "did you mean 'bash'?"),
    ],
)
def test_a_mistyped_name_suggests_the_nearest(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="clipsearch")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message in line


def test_no_command_shows_the_help_on_stderr() -> None:
    result = CliRunner().invoke(cli, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Find pictures:" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["index", "--help"], ["demo", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, clipsearch.cli as c\n"
        "try: c.cli.main(sys.argv[1:], prog_name='clipsearch')\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "clipsearch", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: clipsearch ")
