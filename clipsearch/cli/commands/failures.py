"""``clipsearch failures``: the files that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json, write_paths
from clipsearch.text import display_path, display_text

if TYPE_CHECKING:
    from clipsearch.library import FileFailure


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects: path, reason, time.")
@click.option("--paths", "as_paths", is_flag=True, help="Print the paths only, one per line.")
@click.option("-0", "--null", is_flag=True, help="Like --paths, each ended by a NUL byte, for xargs -0.")
@common_options
def failures(*, as_json: bool, as_paths: bool, null: bool) -> None:
    """List the files that could not be read, with reason and time.

    Such a file is not read again until it changes. To try all of them again, for instance after an update:
    clipsearch index --retry-failed

    \b
    Examples:
      clipsearch failures
      clipsearch failures -0 | xargs -0 ls -l
    """
    if as_json and (as_paths or null):
        raise click.UsageError("--json does not go with --paths or -0")
    with open_library() as library:
        unreadable = library.maintenance.failures()
    if as_json:
        write_json([failure_to_json(failure) for failure in unreadable])
    elif as_paths or null:
        write_paths([failure.path for failure in unreadable], end=b"\0" if null else b"\n")
    else:
        click.echo(format_failures(unreadable))


def format_failures(unreadable: Sequence[FileFailure]) -> str:
    """One line for each file, for people."""
    if not unreadable:
        return "every file could be read"
    return "\n".join(_line(failure) for failure in unreadable)


def failure_to_json(failure: FileFailure) -> dict[str, str | None]:
    """One element of the list that ``--json`` prints; the time with its zone, ISO 8601."""
    when = failure.failed_at.isoformat(timespec="seconds") if failure.failed_at else None
    return {"path": str(failure.path), "reason": failure.reason, "time": when}


def _line(failure: FileFailure) -> str:
    when = failure.failed_at.astimezone().strftime("%Y-%m-%d %H:%M  ") if failure.failed_at else ""
    return f"{when}{display_path(failure.path)}: {display_text(failure.reason)}"
