"""The options that say how results are written, the same for every command that finds pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clipsearch.cli.output import ResultsFormat

PREVIEW_VARIABLE = "CLIPSEARCH_PREVIEW"
"""Environment variable with the value of ``--preview``; ``none`` switches previews off."""

_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects; docs/output.md lists fields."),
    click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON object per line."),
    click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header (RFC 4180, UTF-8)."),
    click.option("--paths", "as_paths", is_flag=True, help="Print the paths only, one per line."),
    click.option("-0", "--null", is_flag=True, help="Like --paths, each ended by a NUL byte, for xargs -0."),
    click.option(
        "--html",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write a contact sheet too: one HTML file with everything in it. Only an older one is replaced.",
    ),
    click.option("--open", "open_best", is_flag=True, help="Open the best result, or with --html the contact sheet."),
    click.option(
        "--copy-to",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Copy the files found into this folder too; nothing is overwritten.",
    ),
    click.option(
        "--link-to",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Put symbolic links to the files found into this folder too.",
    ),
    click.option(
        "--preview",
        type=click.Choice(["auto", "kitty", "iterm2", "sixel", "none"]),
        default="auto",
        show_default=True,
        envvar=PREVIEW_VARIABLE,
        show_envvar=True,
        help="How previews are drawn on the terminal.",
    ),
    click.option("--no-preview", is_flag=True, help="Draw no previews; the same as --preview none."),
)


def form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the forms of output, passed on as `form`, a `ResultsFormat`."""

    @functools.wraps(command)
    def with_form(*arguments: Any, no_preview: bool, preview: str, **values: Any) -> Any:
        names = ("as_json", "as_jsonl", "as_csv", "as_paths", "null", "open_best")
        paths: dict[str, Any] = {name: _expanded(values.pop(name)) for name in ("html", "copy_to", "link_to")}
        chosen = {name: values.pop(name) for name in names}
        chosen["preview"] = "none" if no_preview else preview
        form = ResultsFormat(**chosen, **paths)
        if any(paths.values()):
            from clipsearch.cli.result_targets import check_targets

            check_targets(form)
        return command(*arguments, form=form, **values)

    decorated: Callable[..., Any] = with_form
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _expanded(path: Path | None) -> Path | None:
    return path.expanduser() if path is not None else None
