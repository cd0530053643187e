"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from clipsearch.cli.progress import notify_on_stderr
from clipsearch.config import LIBRARY_VARIABLE, DatabaseUrl, LibraryPlace, is_database_url, library_place
from clipsearch.text import Notify, closest

if TYPE_CHECKING:
    from clipsearch.library import Library

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

Decorator: TypeAlias = Callable[[_Decorated], _Decorated]


@dataclass
class Settings:
    """The options before the command; commands receive them with ``@click.pass_obj``.

    Attributes:
        library: the library's directory or the URL of its database; ``None`` for the default one.
        debug: whether errors show their traceback.
    """

    library: LibraryPlace | None = None
    debug: bool = False


class Choice(click.Choice[str]):
    """A choice whose error message suggests the nearest value."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """Append the suggestion to click's message."""
        close = closest(str(value), map(str, self.choices))
        message = super().get_invalid_choice_message(value, ctx).rstrip(".")
        return f"{message}; did you mean {close!r}?" if close is not None else message


def open_library(
    *,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    create: bool = False,
    notify: Notify = notify_on_stderr,
) -> Library:
    """Open the library that ``--library`` names; a context manager, as `Library.open`.

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
    """A directory, which need not exist, or the URL of a database."""

    def convert(
        self,
        value: str | os.PathLike[str] | DatabaseUrl,
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:
        """Parse a URL as a database, anything else as a path."""
        if isinstance(value, DatabaseUrl) or (isinstance(value, str) and is_database_url(value)):
            return library_place(value)
        return super().convert(value, parameter, context)


def library_option(command: _Decorated) -> _Decorated:
    """Add ``--library``, stored in `Settings.library`."""
    return click.option(
        "--library",
        type=_LibraryType(path_type=Path),
        envvar=LIBRARY_VARIABLE,
        show_envvar=True,
        metavar="DIR|URL",
        expose_value=False,
        callback=_set_library,
        help="The library: a directory (default: in your data directory) or the URL of a PostgreSQL database.",
    )(command)


def debug_option(command: _Decorated) -> _Decorated:
    """Add ``--debug``, stored in `Settings.debug`."""
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
        type=Choice(["auto", "compiled", "open-clip"]),
        default="auto",
        show_default=True,
        help="Run the model with ONNX Runtime (compiled) or PyTorch (open-clip).",
    )
    device = click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Run the model on this device: auto, cpu, cuda or mps.",
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
        help="Wait up to this long for another process that is writing to the library.",
    )(command)


def json_option(description: str = "Print the summary as a JSON object.") -> Decorator[Any]:
    """Add ``--json``, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=description)


def null_option(command: _Decorated) -> _Decorated:
    """Add ``-0``, passed on as `null`."""
    return click.option(
        "-0", "--null", is_flag=True, help="Like --paths, but end each path with a NUL byte (xargs -0)."
    )(command)


def _set_library(context: click.Context, parameter: click.Parameter, value: LibraryPlace | None) -> None:
    # the command's own option overrides the one before the command, and both override the environment
    from_environment = context.get_parameter_source("library") is click.core.ParameterSource.ENVIRONMENT
    settings = context.ensure_object(Settings)
    if value is not None and not (from_environment and settings.library is not None):
        settings.library = library_place(value)


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).debug = True
