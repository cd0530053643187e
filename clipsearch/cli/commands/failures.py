"""``clipsearch failures``: the files that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, json_option, null_option, open_library
from clipsearch.cli.output import write_json, write_paths
from clipsearch.text import display_path, display_text

if TYPE_CHECKING:
    from clipsearch.catalog.reports import FileFailure


@click.command()
@json_option("Print a JSON list of objects: path, reason, time.")
@click.option("--paths", "as_paths", is_flag=True, help="Print only the paths, one per line.")
@null_option
@common_options
def failures(*, as_json: bool, as_paths: bool, null: bool) -> None:
    """List the files that could not be read.

    Each with the time and the reason. A file is read again when it changes. To retry all of them, for example after an
    update: clipsearch index --retry-failed

    \b
    Examples:
      clipsearch failures
      clipsearch failures -0 | xargs -0 ls -l
    """
    if as_json and (as_paths or null):
        raise click.UsageError("--json cannot be combined with --paths or -0")
    with open_library() as library:
        unreadable = library.maintenance.failures()
    if as_json:
        write_json([failure_to_json(failure) for failure in unreadable])
    elif as_paths or null:
        write_paths([failure.path for failure in unreadable], end=b"\0" if null else b"\n")
    else:
        click.echo(format_failures(unreadable))


def format_failures(unreadable: Sequence[FileFailure]) -> str:
    """One line per file."""
    if not unreadable:
        return "no failures"
    return "\n".join(_line(failure) for failure in unreadable)


def failure_to_json(failure: FileFailure) -> dict[str, str | None]:
    """One element of the list that ``--json`` prints; the time in ISO 8601 with its zone."""
    when = failure.failed_at.isoformat(timespec="seconds") if failure.failed_at else None
    return {"path": str(failure.path), "reason": failure.reason, "time": when}


def _line(failure: FileFailure) -> str:
    when = failure.failed_at.astimezone().strftime("%Y-%m-%d %H:%M  ") if failure.failed_at else ""
    return f"{when}{display_path(failure.path)}: {display_text(failure.reason)}"
