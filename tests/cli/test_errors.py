"""Errors become one line on stderr and an exit status; a traceback only with --debug."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from clipsearch.cli.errors import ErrorReportingGroup, explain
from clipsearch.cli.options import common_options
from clipsearch.errors import ConfigError, ImageReadError


def group_raising(make_error: Callable[[], BaseException]) -> click.Group:
    @click.command()
    @common_options
    def fail() -> None:
        raise make_error()

    return ErrorReportingGroup("clipsearch", commands={"fail": fail}, params=[], callback=None)


def chained() -> BaseException:
    error = ConfigError("cannot save")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("make_error", "status", "line"),
    [
        (lambda: ConfigError("no such folder"), 1, "clipsearch: no such folder"),
        (lambda: ImageReadError(Path("a\nb"), "empty"), 1, r"clipsearch: cannot read a\nb: empty"),
        (lambda: click.UsageError("pick one"), 2, "clipsearch: pick one (see: clipsearch fail --help)"),
        (lambda: click.ClickException("odd"), 1, "clipsearch: odd"),
        (KeyboardInterrupt, 130, "clipsearch: interrupted; run the command again to continue"),
        (
            lambda: PermissionError(errno.EACCES, "Permission denied", "/root/x"),
            1,
            "clipsearch: Permission denied: /root/x; run again with --debug for the traceback",
        ),
        (
            lambda: ZeroDivisionError("odd\nnumber"),
            1,
            "clipsearch: unexpected ZeroDivisionError: odd; run again with --debug for the traceback",
        ),
        (
            AssertionError,
            1,
            "clipsearch: unexpected AssertionError; run again with --debug for the traceback",
        ),
        (
            lambda: OSError(errno.ENOSPC, "No space left on device"),
            1,
            "clipsearch: the disk is full; free some space and run the command again to continue",
        ),
        (
            chained,
            1,
            "clipsearch: the disk is full; free some space and run the command again to continue",
        ),
    ],
)
def test_error_becomes_one_line(make_error: Callable[[], BaseException], status: int, line: str) -> None:
    result = CliRunner().invoke(group_raising(make_error), ["fail"], prog_name="clipsearch")
    assert result.exit_code == status
    assert [said for said in result.stderr.splitlines() if said] == [line]
    assert result.stdout == ""


@pytest.mark.parametrize("make_error", [lambda: ConfigError("no\x1b folder"), lambda: ValueError("no\x1b folder")])
def test_debug_shows_the_traceback(make_error: Callable[[], BaseException]) -> None:
    result = CliRunner().invoke(group_raising(make_error), ["fail", "--debug"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert "\x1b" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("clipsearch: ")


def test_an_error_that_is_its_own_cause_is_told_and_not_looked_into_for_ever() -> None:
    error, inner = ConfigError("cannot reach it"), OSError("away")
    inner.__cause__, error.__cause__ = inner, inner
    assert explain(error) == "cannot reach it"


def test_sqlite_says_the_disk_is_full() -> None:
    assert explain(RuntimeError("(sqlite3.OperationalError) database or disk is full")).startswith("the disk is full")


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently")
def test_a_closed_pipe_is_quiet() -> None:
    code = (
        "import sys, click, clipsearch.cli as c\n"
        "c.cli.get_command = lambda ctx, name: click.Command('spam', callback=lambda: [click.echo('x' * 99)"
        " for _ in range(9999)])\n"
        "sys.argv = ['clipsearch', 'spam']\n"
        "c.main()"
    )
    program: subprocess.Popen[Any]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 1
