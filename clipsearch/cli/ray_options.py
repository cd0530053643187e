"""Options of ``clipsearch index`` that spread it over a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clipsearch.cli.options import Choice
from clipsearch.system.ray_settings import RaySettings

_ONLY_WITH_RAY = ("ray_address", "ray_cpus", "ray_gpus", "shards")

_OPTIONS = (
    click.option(
        "--engine",
        type=Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Index on this machine, or on a Ray cluster (docs/ray.md).",
    ),
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        envvar="RAY_ADDRESS",
        show_envvar=True,
        help="With --engine ray: the cluster; by default a local one that is started for this run.",
    ),
    click.option(
        "--ray-cpus",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --engine ray: CPU cores per worker; by default those of the smallest node, at most 8.",
    ),
    click.option(
        "--ray-gpus",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="N",
        help="With --engine ray: GPUs per worker, such as 1 or 0.5; by default none.",
    ),
    click.option(
        "--shards",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="With --engine ray: also write the embeddings to this directory as Parquet, for clipsearch import.",
    ),
)


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--engine`` and its options, passed on as `ray`: `RaySettings`, or ``None`` for this machine alone."""

    @functools.wraps(command)
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

    decorated: Callable[..., Any] = with_ray
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _refuse_without_ray() -> None:
    """Refuse Ray's options on the command line; ``RAY_ADDRESS`` in the environment may be meant for other programs."""
    context = click.get_current_context()
    for name in _ONLY_WITH_RAY:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} requires --engine ray", context)
