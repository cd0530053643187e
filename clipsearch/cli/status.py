"""``clipsearch status``: what the library holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.display import display_path, display_text, format_bytes, format_count
from clipsearch.cli.options import Settings, common_options
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr

if TYPE_CHECKING:
    from clipsearch.library import FileFailure, LibraryStatus


@click.command()
@click.option("--failures", "with_failures", is_flag=True, help="List the files that could not be read, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@common_options
@click.pass_obj
def status(settings: Settings, with_failures: bool, as_json: bool) -> None:
    """Show what the library holds.

    Where it is, its model, its folders (and whether their drive is there), how many files and distinct
    pictures, its size on disk, and the files that could not be read.

    \b
    Examples:
      clipsearch status
      clipsearch status --failures
      clipsearch --library /media/photos/.clipsearch status --json
    """
    from clipsearch.library import Library

    with Library.open(settings.library, notify=notify_on_stderr) as library:
        state = library.status()
        failures = library.failures() if with_failures else None
    if as_json:
        write_json(_to_json(state, failures))
        return
    click.echo(format_status(state))
    if failures is not None:
        click.echo(format_failures(failures))


def format_status(state: LibraryStatus) -> str:
    """The state of a library, several lines for people."""
    pairs = [
        ("library", display_text(str(state.path))),
        ("model", _model(state)),
        ("files", f"{state.files:,} ({format_count(state.images, 'distinct picture')})"),
        ("on disk", format_bytes(state.bytes_on_disk)),
        ("failures", f"{state.failures:,}" + (" (see: clipsearch status --failures)" if state.failures else "")),
    ]
    for root in state.roots:
        offline = "" if root.online else ", offline"
        pairs.append(("folder", f"{display_text(str(root.path))} ({format_count(root.files, 'file')}{offline})"))
    if not state.roots:
        pairs.append(("folder", "none yet; add one with: clipsearch index FOLDER"))
    return "\n".join(f"{name:<10} {value}" for name, value in pairs)


def format_failures(failures: Sequence[FileFailure]) -> str:
    """The files that could not be read, one line each."""
    if not failures:
        return "every file could be read"
    return "\n".join(f"{display_path(failure.path)}: {display_text(failure.reason)}" for failure in failures)


def _model(state: LibraryStatus) -> str:
    if state.model is None:
        return "none yet"
    details = [str(state.precision)] if state.precision else []
    details += [f"{state.dim} dimensions"] if state.dim else []
    return display_text(state.model) + (f" ({', '.join(details)})" if details else "")


def _to_json(state: LibraryStatus, failures: Sequence[FileFailure] | None) -> dict[str, Any]:
    value: dict[str, Any] = {
        "library": str(state.path),
        "model": state.model,
        "precision": state.precision,
        "dim": state.dim,
        "files": state.files,
        "images": state.images,
        "failures": state.failures,
        "bytes_on_disk": state.bytes_on_disk,
        "folders": [{"path": str(root.path), "files": root.files, "online": root.online} for root in state.roots],
    }
    if failures is not None:
        value["failed_files"] = [{"path": str(failure.path), "reason": failure.reason} for failure in failures]
    return value
