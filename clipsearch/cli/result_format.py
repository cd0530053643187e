"""Which search results are shown and in what format: the options of every command that finds pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import Choice, null_option
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.config import typed_path
from clipsearch.errors import ConfigError

if TYPE_CHECKING:
    from clipsearch.retrieval.results import Group, SearchOptions, Sort

PREVIEW_VARIABLE = "CLIPSEARCH_PREVIEW"
"""Environment variable with the value of ``--preview``; ``none`` disables previews."""

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class ResultsFormat:
    """The output format; with none of the first five set, text for people.

    Attributes:
        as_json: a JSON list.
        as_jsonl: one JSON object per line.
        as_csv: a header and one record per result, RFC 4180.
        as_paths: one path per line, raw bytes.
        null: one path per NUL byte, raw bytes; implies `as_paths`.
        html: also write a contact sheet to this file.
        open_best: open the contact sheet if there is one, else the best result.
        copy_to: also copy the files into this folder.
        link_to: also put symbolic links to the files into this folder.
        clip_to: also write the matching seconds of videos into this folder.
        margin_s: seconds more on both sides of a clip.
        preview: ``auto``, ``none``, or the protocol for previews in the terminal: ``kitty``, ``iterm2`` or ``sixel``.
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
    clip_to: Path | None = None
    margin_s: float = 2.0
    preview: str = "auto"

    @property
    def has_targets(self) -> bool:
        """Whether results go elsewhere than to stdout, too."""
        return self.open_best or any((self.html, self.copy_to, self.link_to, self.clip_to))

    def __post_init__(self) -> None:
        formats = {
            "--json": self.as_json,
            "--jsonl": self.as_jsonl,
            "--csv": self.as_csv,
            "--paths or -0": self.as_paths or self.null,
        }
        chosen = [name for name, is_set in formats.items() if is_set]
        if len(chosen) > 1:
            message = f"{chosen[0]} cannot be combined with {' and '.join(chosen[1:])}"
            raise click.UsageError(message, click.get_current_context(silent=True))


def _check_k(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if value < 1:
        raise click.BadParameter(f"must be at least 1, not {value}", ctx=context, param=parameter)
    return value


_OPTIONS = (
    click.option(
        "-k",
        type=int,
        default=10,
        show_default=True,
        callback=_check_k,
        metavar="N",
        help="The number of results.",
    ),
    click.option(
        "--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Skip the first N results, for paging."
    ),
    click.option(
        "--sort",
        type=Choice(["score", "date", "path"]),
        default="score",
        show_default=True,
        help="Sort the k best results by score, date (newest first) or path.",
    ),
    click.option(
        "--no-stacks", is_flag=True, help="Show each file of a stack (RAW+JPEG, Live Photo, edits) as a result."
    ),
    click.option("--moments", is_flag=True, help="Show every moment of a video that matches, not only its best one."),
    click.option("--group-duplicates", is_flag=True, help="Show copies and near-duplicates as one result."),
    click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects; docs/output.md lists fields."),
    click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON object per line."),
    click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header (RFC 4180, UTF-8)."),
    click.option("--paths", "as_paths", is_flag=True, help="Print only the paths, one per line."),
    null_option,
    click.option(
        "--html",
        metavar="FILE",
        type=_PATH,
        help="Also write a contact sheet: one self-contained HTML file. Replaces only an older contact sheet.",
    ),
    click.option("--open", "open_best", is_flag=True, help="Open the best result, or with --html the contact sheet."),
    click.option(
        "--copy-to", metavar="DIR", type=_PATH, help="Also copy the files into this folder; nothing is overwritten."
    ),
    click.option("--link-to", metavar="DIR", type=_PATH, help="Also put symbolic links to the files into this folder."),
    click.option(
        "--clip-to", metavar="DIR", type=_PATH, help="Also write the matching seconds of videos into this folder."
    ),
    click.option(
        "--margin",
        "margin_s",
        type=click.FloatRange(min=0),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="With --clip-to, seconds more on both sides.",
    ),
    click.option(
        "--preview",
        type=Choice(["auto", "kitty", "iterm2", "sixel", "none"]),
        default="auto",
        show_default=True,
        envvar=PREVIEW_VARIABLE,
        show_envvar=True,
        help="Graphics protocol for previews in the terminal.",
    ),
    click.option("--no-preview", is_flag=True, help="Show no previews; the same as --preview none."),
)


def results_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of search results.

    Passed on as `options`, a `SearchOptions`, and `results_format`, a `ResultsFormat`.
    """

    @functools.wraps(command)
    def with_options(
        *arguments: Any,
        k: int,
        offset: int,
        sort: Sort,
        no_stacks: bool,
        group_duplicates: bool,
        moments: bool,
        **values: Any,
    ) -> Any:
        limit_blas_threads()
        from clipsearch.retrieval.results import SearchOptions

        if no_stacks and group_duplicates:
            raise click.UsageError("--no-stacks cannot be combined with --group-duplicates")
        group: Group = "none" if no_stacks else "duplicates" if group_duplicates else "stacks"
        options = SearchOptions(k=k, offset=offset, sort=sort, group=group, moments=moments)
        return command(*arguments, options=options, results_format=_results_format(values), **values)

    decorated: Callable[..., Any] = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def explain_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--explain``, passed on as `explain_to`."""
    return click.option(
        "--explain",
        "explain_to",
        metavar="DIR",
        type=_PATH,
        callback=_check_folder,
        help="Also write an image per result into this folder that highlights the matching regions.",
    )(command)


def k_asked_for(options: SearchOptions) -> int | None:
    """`k` if the user passed it, ``None`` if it is the default: only then is a shorter list worth a line."""
    source = click.get_current_context().get_parameter_source("k")
    return None if source is click.core.ParameterSource.DEFAULT else options.k


def _results_format(values: dict[str, Any]) -> ResultsFormat:
    """Take the options of the format out of a command's values.

    Raises:
        ConfigError: a target could not be written anyway; found before time is spent on searching.
    """
    names = ("as_json", "as_jsonl", "as_csv", "as_paths", "null", "open_best", "margin_s")
    chosen = {name: values.pop(name) for name in names}
    no_preview, preview = values.pop("no_preview"), values.pop("preview")
    paths: dict[str, Any] = {}
    for name in ("html", "copy_to", "link_to", "clip_to"):
        path: Path | None = values.pop(name)
        paths[name] = typed_path(path) if path is not None else None
    results_format = ResultsFormat(**chosen, **paths, preview="none" if no_preview else preview)
    if results_format.html is not None:
        from clipsearch.cli.contact_sheet import check_replaceable

        check_replaceable(results_format.html)
    for folder in (results_format.copy_to, results_format.link_to, results_format.clip_to):
        _check_is_folder(folder)
    return results_format


def _check_folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    folder = typed_path(value) if value is not None else None
    _check_is_folder(folder)
    return folder


def _check_is_folder(folder: Path | None) -> None:
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; choose another one")
