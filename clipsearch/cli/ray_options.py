"""Options of ``clipsearch index`` that spread it over a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from clipsearch.system.ray_settings import RaySettings

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_ONLY_WITH_RAY = ("ray_address", "ray_cpus", "ray_gpus", "shards")


def ray_options(command: _Decorated) -> _Decorated:
    """Add ``--engine`` and its options, passed on as `ray`: `RaySettings`, or ``None`` for this machine alone."""

    @wraps(command)
    def with_ray(*arguments: Any, engine: str, runtime: str, device: str, **values: Any) -> Any:
        ray_values = {name: values.pop(name) for name in _ONLY_WITH_RAY}
        ray = None
        if engine == "ray":
            ray = RaySettings(
                address=ray_values["ray_address"],
                worker_cpus=ray_values["ray_cpus"],
                worker_gpus=ray_values["ray_gpus"],
                runtime=runtime,
                device=device,
                shards=ray_values["shards"],
            )
        else:
            _refuse_without_ray()
        return command(*arguments, ray=ray, runtime=runtime, device=device, **values)

    decorated: Any = with_ray
    for option in (
        click.option(
            "--shards",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="With --engine ray: keep what is embedded as Parquet in this directory, for clipsearch import.",
        ),
        click.option(
            "--ray-gpus",
            type=click.FloatRange(min=0),
            default=0.0,
            metavar="N",
            help="With --engine ray: GPUs of each worker, such as 1 or 0.5; by default it embeds on its cores.",
        ),
        click.option(
            "--ray-cpus",
            type=click.IntRange(min=1),
            metavar="N",
            help="With --engine ray: cores of each worker; by default those of the smallest node, 8 at most.",
        ),
        click.option(
            "--ray-address",
            metavar="HOST:PORT",
            envvar="RAY_ADDRESS",
            show_envvar=True,
            help="With --engine ray: the cluster; by default one on this machine, for this run.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Read and embed on this machine, or on all of a Ray cluster (docs/ray.md).",
        ),
    ):
        decorated = option(decorated)
    return cast("_Decorated", decorated)


def _refuse_without_ray() -> None:
    """An option of Ray's on the command line would do nothing without it; a variable that other programs use may be."""
    context = click.get_current_context()
    for name in _ONLY_WITH_RAY:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --engine ray", context)
