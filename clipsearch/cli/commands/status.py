"""``clipsearch status``: the state of the library."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.cli.report import format_kinds
from clipsearch.text import display_text, format_bytes, format_count

if TYPE_CHECKING:
    from clipsearch.catalog.records import SpaceRecord
    from clipsearch.catalog.reports import LibraryStatus


@click.command()
@json_option("Print a JSON object.")
@common_options
def status(as_json: bool) -> None:
    """Show the state of the library.

    Its location, model, number of files and distinct pictures, size on disk, number of files that could not be read,
    and its roots, with whether they are online.

    \b
    Examples:
      clipsearch status
      clipsearch --library /media/photos/.clipsearch status --json
    """
    with open_library() as library:
        state = library.status()
    if as_json:
        write_json(_to_json(state))
    else:
        click.echo(format_status(state))


def format_status(state: LibraryStatus) -> str:
    """The state as text, several lines."""
    pairs = [
        ("library", display_text(state.database or str(state.path))),
        ("model", _model(state)),
        ("files", f"{state.files:,} ({format_count(state.images, 'distinct picture')})"),
        ("on disk", format_bytes(state.bytes_on_disk)),
        ("failures", f"{state.failures:,}" + (" (see: clipsearch failures)" if state.failures else "")),
    ]
    if state.unread:
        pairs.append(("not read", format_kinds(state.unread)))
    if state.interrupted is not None:
        started = state.interrupted.astimezone().strftime("%Y-%m-%d %H:%M")
        pairs.append(
            (
                "indexing",
                f"started {started} and has not finished; if it was interrupted, continue with: clipsearch index",
            )
        )
    if state.database is not None:
        pairs.append(("cache", display_text(str(state.path))))
    for space in state.spaces:
        if not space.active or space.missing or space.from_preview:
            pairs.append(("embeddings", _space(space)))
    for root in state.roots:
        offline = "" if root.online else ", offline"
        pairs.append(("root", f"{display_text(str(root.path))} ({format_count(root.files, 'file')}{offline})"))
    if not state.roots:
        pairs.append(("root", "none yet; add one with: clipsearch index FOLDER"))
    return "\n".join(f"{name:<10} {value}" for name, value in pairs)


def _space(space: SpaceRecord) -> str:
    notes = [format_count(space.embedded, "picture")]
    notes += [f"{space.missing:,} missing"] if space.missing else []
    notes += [f"{space.from_preview:,} from previews"] if space.from_preview else []
    notes += [] if space.active else ["not used by searches"]
    return f"{display_text(space.model.spec)} ({', '.join(notes)})"


def _model(state: LibraryStatus) -> str:
    if state.model is None:
        return "none yet"
    details = [str(state.precision)] if state.precision else []
    details += [f"{state.dim} dimensions"] if state.dim else []
    return display_text(state.model) + (f" ({', '.join(details)})" if details else "")


def _to_json(state: LibraryStatus) -> dict[str, Any]:
    value: dict[str, Any] = {
        "library": state.database or str(state.path),
        "model": state.model,
        "precision": state.precision,
        "dim": state.dim,
        "files": state.files,
        "images": state.images,
        "failures": state.failures,
        "unread": state.unread,
        "interrupted": state.interrupted.isoformat(timespec="seconds") if state.interrupted else None,
        "bytes_on_disk": state.bytes_on_disk,
        "spaces": [{**asdict(space), "model": space.model.spec} for space in state.spaces],
        "folders": [{"path": str(root.path), "files": root.files, "online": root.online} for root in state.roots],
    }
    return value
