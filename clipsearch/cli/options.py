"""Options that several commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from clipsearch.cli.progress import notify_on_stderr
from clipsearch.cli.result_format import format_options
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.config import LIBRARY_VARIABLE, DatabaseUrl, LibraryPlace, is_database_url, library_place
from clipsearch.errors import ConfigError

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.retrieval.results import Group, SearchOptions, Sort

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass
class Settings:
    """What holds for the whole run; commands get it with ``@click.pass_obj``.

    Attributes:
        library: the library's directory, or the address of its database; ``None`` for the default one.
        debug: whether errors show their traceback.
    """

    library: LibraryPlace | None = None
    debug: bool = False


def open_library(
    *,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    create: bool = False,
    notify: Callable[[str], None] = notify_on_stderr,
) -> Library:
    """Open the library that ``--library`` names, for a ``with`` block of the command that runs.

    Args:
        model: value of ``--model``.
        runtime: value of ``--runtime``.
        device: value of ``--device``.
        create: make the library if there is none.
        notify: callback for one-line user notices.

    Raises:
        ClipSearchError: as `Library.open`.
    """
    from clipsearch.library import Library

    place = click.get_current_context().ensure_object(Settings).library
    return Library.open(place, model=model, runtime=runtime, device=device, create=create, notify=notify)


class _LibraryType(click.Path):
    """A directory, there or not, or the address of a database."""

    def convert(
        self,
        value: str | os.PathLike[str] | DatabaseUrl,
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:
        """Tell one from the other."""
        if isinstance(value, DatabaseUrl) or (isinstance(value, str) and is_database_url(value)):
            return library_place(value)
        return super().convert(value, parameter, context)


def library_option(command: _Decorated) -> _Decorated:
    """Add ``--library``, which lands in `Settings.library`."""
    return click.option(
        "--library",
        type=_LibraryType(path_type=Path),
        envvar=LIBRARY_VARIABLE,
        show_envvar=True,
        metavar="DIR|URL",
        expose_value=False,
        callback=_set_library,
        help="Where the library is: a directory, by default in the user's data directory, or a PostgreSQL database.",
    )(command)


def debug_option(command: _Decorated) -> _Decorated:
    """Add ``--debug``, which lands in `Settings.debug`."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show the traceback of errors."
    )(command)


def common_options(command: _Decorated) -> _Decorated:
    """Add ``--library`` and ``--debug``: on the group and on each command, so that both places work."""
    return library_option(debug_option(command))


def encoder_options(command: _Decorated) -> _Decorated:
    """Add ``--runtime`` and ``--device``, passed on as `runtime` and `device`."""
    runtime = click.option(
        "--runtime",
        type=click.Choice(["auto", "compiled", "open-clip"]),
        default="auto",
        show_default=True,
        help="What runs the model: ONNX Runtime (compiled) or PyTorch (open-clip).",
    )
    device = click.option(
        "--device", default="auto", show_default=True, metavar="NAME", help="Where it runs: auto, cpu, cuda or mps."
    )
    return runtime(device(command))


def wait_option(command: _Decorated) -> _Decorated:
    """Add ``--wait``, passed on as `wait_s`."""
    return click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="Wait so long for another process that is writing to the library.",
    )(command)


def results_options(command: _Decorated) -> _Decorated:
    """Add what is wanted (``-k``, ``--offset``, ``--sort``, ``--group-duplicates``) and the forms of output.

    Passed on as `options`, a `SearchOptions`, and `results_format`, a `ResultsFormat`.
    """

    @functools.wraps(command)
    def with_options(*arguments: Any, k: int, offset: int, sort: Sort, group_duplicates: bool, **values: Any) -> Any:
        limit_blas_threads()
        from clipsearch.retrieval.results import SearchOptions

        group: Group = "duplicates" if group_duplicates else "none"
        return command(*arguments, options=SearchOptions(k=k, offset=offset, sort=sort, group=group), **values)

    decorated: Any = format_options(with_options)
    for option in (
        click.option("--group-duplicates", is_flag=True, help="One result for all copies and near-duplicates."),
        click.option(
            "--sort",
            type=click.Choice(["score", "date", "path"]),
            default="score",
            show_default=True,
            help="The order in which the k best are shown; date begins with the newest.",
        ),
        click.option(
            "--offset",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Pass over the N best, to see what comes after them.",
        ),
        click.option(
            "-k", type=int, default=10, show_default=True, callback=_check_k, metavar="N", help="How many results."
        ),
    ):
        decorated = option(decorated)
    return cast("_Decorated", decorated)


def explain_option(command: _Decorated) -> _Decorated:
    """Add ``--explain``, passed on as `explain_to`."""
    return click.option(
        "--explain",
        "explain_to",
        metavar="DIR",
        type=click.Path(path_type=Path),
        callback=_check_folder,
        help="Write a picture for each result into this folder too that shows where in it the match is.",
    )(command)


def k_asked_for(options: SearchOptions) -> int | None:
    """`k` if the user named it, ``None`` if it is the default: only then is a shorter answer worth a line."""
    source = click.get_current_context().get_parameter_source("k")
    return None if source is click.core.ParameterSource.DEFAULT else options.k


def _settings(context: click.Context) -> Settings:
    return context.ensure_object(Settings)


def _set_library(context: click.Context, parameter: click.Parameter, value: LibraryPlace | None) -> None:
    # the command's own option wins over the one before the command; the environment counts only once
    from_environment = context.get_parameter_source("library") is click.core.ParameterSource.ENVIRONMENT
    settings = _settings(context)
    if value is not None and not (from_environment and settings.library is not None):
        settings.library = library_place(value)


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        _settings(context).debug = True


def _check_folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    folder = value.expanduser() if value is not None else None
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name another one")
    return folder


def _check_k(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if value < 1:
        raise click.BadParameter(f"must be at least 1, not {value}", ctx=context, param=parameter)
    return value
