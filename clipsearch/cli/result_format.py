"""How search results are written: the format, and its options, the same for every command that finds pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from clipsearch.errors import ConfigError

PREVIEW_VARIABLE = "CLIPSEARCH_PREVIEW"
"""Environment variable with the value of ``--preview``; ``none`` switches previews off."""


@dataclass(frozen=True)
class ResultsFormat:
    """How results are written; none of the first five set means for people.

    Attributes:
        as_json: a JSON list.
        as_jsonl: one JSON object per line.
        as_csv: a header and one record each, RFC 4180.
        as_paths: one path per line, raw bytes.
        null: one path per NUL byte, raw bytes; implies `as_paths`.
        html: where to write a contact sheet as well.
        open_best: open the contact sheet if there is one, else the best result.
        copy_to: the folder to copy the files into as well.
        link_to: the folder to put symbolic links to them into as well.
        preview: ``auto``, ``none``, or how the terminal is to draw previews: ``kitty``, ``iterm2`` or ``sixel``.
    """

    as_json: bool = False
    as_jsonl: bool = False
    as_csv: bool = False
    as_paths: bool = False
    null: bool = False
    html: Path | None = None
    open_best: bool = False
    copy_to: Path | None = None
    link_to: Path | None = None
    preview: str = "auto"

    def __post_init__(self) -> None:
        forms = {
            "--json": self.as_json,
            "--jsonl": self.as_jsonl,
            "--csv": self.as_csv,
            "--paths or -0": self.as_paths or self.null,
        }
        chosen = [name for name, is_set in forms.items() if is_set]
        if len(chosen) > 1:
            message = f"{chosen[0]} does not go with {' and '.join(chosen[1:])}"
            raise click.UsageError(message, click.get_current_context(silent=True))


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


def format_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the forms of output, passed on as `results_format`, a `ResultsFormat`."""

    @functools.wraps(command)
    def with_format(*arguments: Any, no_preview: bool, preview: str, **values: Any) -> Any:
        names = ("as_json", "as_jsonl", "as_csv", "as_paths", "null", "open_best")
        paths: dict[str, Any] = {name: _expanded(values.pop(name)) for name in ("html", "copy_to", "link_to")}
        chosen = {name: values.pop(name) for name in names}
        chosen["preview"] = "none" if no_preview else preview
        results_format = ResultsFormat(**chosen, **paths)
        if any(paths.values()):
            _check_targets(results_format)
        return command(*arguments, results_format=results_format, **values)

    decorated: Callable[..., Any] = with_format
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _expanded(path: Path | None) -> Path | None:
    return path.expanduser() if path is not None else None


def _check_targets(results_format: ResultsFormat) -> None:
    """Refuse what could not be written anyway, before any time is spent on searching.

    Raises:
        ConfigError: the contact sheet would replace something else, or a file is in the way of a folder.
    """
    if results_format.html is not None:
        from clipsearch.cli.contact_sheet import check_replaceable

        check_replaceable(results_format.html)
    for folder in (results_format.copy_to, results_format.link_to):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder; name another one")
