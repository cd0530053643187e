"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from clipsearch.config import LIBRARY_VARIABLE

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass
class Settings:
    """What holds for the whole run; commands get it with ``@click.pass_obj``.

    Attributes:
        library: the library's directory, or ``None`` for the default one.
        debug: whether errors show their traceback.
    """

    library: Path | None = None
    debug: bool = False


@dataclass(frozen=True)
class EncoderSettings:
    """How the model is run: the values of ``--runtime`` and ``--device``."""

    runtime: str
    device: str


def library_option(command: _Decorated) -> _Decorated:
    """Add ``--library``, which lands in `Settings.library`."""
    return click.option(
        "--library",
        type=click.Path(path_type=Path),
        envvar=LIBRARY_VARIABLE,
        show_envvar=True,
        metavar="DIR",
        expose_value=False,
        callback=_set_library,
        help="Where the library is; by default in the user's data directory.",
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


def results_options(command: _Decorated) -> _Decorated:
    """Add ``-k`` and the choice of output, passed on as `k`, `as_json`, `as_paths` and `null`."""
    for option in (
        click.option("-0", "--null", is_flag=True, help="Like --paths, each ended by a NUL byte, for xargs -0."),
        click.option("--paths", "as_paths", is_flag=True, help="Print the paths only, one per line."),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help="Print a JSON list of objects: rank, score, path, width, height, format.",
        ),
        click.option(
            "-k", type=int, default=10, show_default=True, callback=_check_k, metavar="N", help="How many results."
        ),
    ):
        command = option(command)
    return command


def k_asked_for(k: int) -> int | None:
    """`k` if the user named it, ``None`` if it is the default: only then is a shorter answer worth a line."""
    source = click.get_current_context().get_parameter_source("k")
    return None if source is click.core.ParameterSource.DEFAULT else k


def _settings(context: click.Context) -> Settings:
    return context.ensure_object(Settings)


def _set_library(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    # the command's own option wins over the one before the command; the environment counts only once
    from_environment = context.get_parameter_source("library") is click.core.ParameterSource.ENVIRONMENT
    settings = _settings(context)
    if value is not None and not (from_environment and settings.library is not None):
        settings.library = value.expanduser()


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        _settings(context).debug = True


def _check_k(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if value < 1:
        raise click.BadParameter(f"must be at least 1, not {value}", ctx=context, param=parameter)
    return value
