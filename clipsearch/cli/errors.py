"""Errors as one line on stderr and an exit status: 0 success, 1 error, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import click

from clipsearch.cli.options import Settings
from clipsearch.errors import ClipSearchError
from clipsearch.text import display_lines, display_text

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class ErrorReportingGroup(click.Group):
    """A group that reports errors in one line; ``--debug`` adds the traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command, report an error, and exit with the status."""
        settings = extra.setdefault("obj", Settings())
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except Exception as error:
            status = _report(error, debug=settings.debug)
        if not standalone_mode:
            return status
        sys.exit(status if isinstance(status, int) else 0)


def explain(error: BaseException) -> str:
    """The error and its remedy, in one line."""
    if _is_disk_full(error):
        return "the disk is full; free some space and run the command again to continue"
    if isinstance(error, ClipSearchError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        path = f": {error.filename}" if error.filename is not None else ""
        text = f"{error.strerror}{path}"
    else:
        first_line = next(iter(str(error).splitlines()), "")
        text = f"unexpected {type(error).__name__}{': ' if first_line else ''}{first_line}"
    return f"{text}; run again with --debug for the traceback"


def _report(error: Exception, *, debug: bool) -> int:
    if isinstance(error, click.UsageError):
        _say(_usage_message(error))
        return EXIT_USAGE
    if isinstance(error, click.Abort):
        _say("interrupted; run the command again to continue")
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # the reader has closed the pipe, as in `| head`; flushing the buffer at exit must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    if debug:
        click.echo(display_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    _say(error.format_message() if isinstance(error, click.ClickException) else explain(error))
    return EXIT_ERROR


def _usage_message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption | click.exceptions.NoSuchCommand) and error.possibilities:
        message = f"{error.message.rstrip('.')}; did you mean {error.possibilities[0]}?"
    else:
        message = error.format_message().rstrip(".")
    command = error.ctx.command_path if error.ctx else "clipsearch"
    return f"{message[:1].lower()}{message[1:]} (see: {command} --help)"


def _say(message: str) -> None:
    click.echo(f"clipsearch: {display_text(message)}", err=True)


def _is_disk_full(error: BaseException) -> bool:
    return any(
        (isinstance(cause, OSError) and cause.errno in _DISK_FULL) or "database or disk is full" in str(cause)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # errors of pymilvus can be their own cause
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
