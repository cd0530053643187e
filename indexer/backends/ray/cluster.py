"""Joining a Ray cluster, or starting one on this machine, and what its nodes have room for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clipsearch.errors import ConfigError
from clipsearch.system.cpu import available_cores
from clipsearch.system.optional_packages import require_extra
from clipsearch.system.ray_settings import RaySettings

logger = logging.getLogger(__name__)

_MOST_CPUS = 8
"""Cores of a worker at most, unless more are asked for: beyond, one worker more does more than larger ones."""

_OBJECT_STORE_BYTES = 2**29
"""Memory for rows under way on a cluster that we start ourselves; a row is a few tens of KiB."""

_ANSWER_LIMIT_S = 10.0
"""How long a cluster may take to take a call."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""What keeps Ray from telling its makers that it runs, and from writing on the terminal."""


@dataclass(frozen=True)
class Room:
    """What a cluster has room for.

    Attributes:
        cpus: cores of each worker.
        gpus: GPUs of each, or a part of one.
        workers: how many fit at once.
    """

    cpus: int
    gpus: float
    workers: int


@contextmanager
def joined(settings: RaySettings) -> Iterator[Room]:
    """Be connected with a cluster: the one that this program has joined already, if it has, or that of the settings.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached, or no node has room for a worker.
    """
    require_extra("scale", "ray", "pyarrow", what="--engine ray")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield _room(settings)
        return
    _connect(settings)
    try:
        yield _room(settings)
    finally:
        ray.shutdown()


def _connect(settings: RaySettings) -> None:
    if settings.address is not None:
        _check_answers(settings.address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with _silenced():
            _log_what_ray_prints()
            _join_or_start(settings)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        what = f"the Ray cluster at {settings.address} cannot be joined" if settings.address else "Ray does not start"
        raise ConfigError(f"{what}: {' '.join(str(error).split())[:300]}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own there


def _join_or_start(settings: RaySettings) -> None:
    import ray

    quiet: Any = {"log_to_driver": False, "logging_level": logging.ERROR}
    if settings.address is not None:
        ray.init(address=settings.address, **quiet)
        return
    ray.init(
        address="local",
        num_cpus=max(settings.worker_cpus or 1, available_cores()),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        **quiet,
    )


def _log_what_ray_prints() -> None:
    """That nodes have died, Ray reports on stdout, whatever they want of its logs: no place for that."""
    import ray._private.worker

    def log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        for line in data["lines"]:
            logger.warning("%s", line)

    module: Any = ray._private.worker
    module.print_to_stdstream = log


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing on stderr: Ray's C++ part says there that it was asked to be silent."""
    sys.stderr.flush()
    saved, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(silence)


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes.

    Raises:
        ConfigError: nobody listens at an address.
    """
    host, colon, port = address.rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdecimal() or "/" in host:
        raise ConfigError(f"{address} is not an address of a Ray cluster; use HOST:PORT, as ray start --head prints it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_LIMIT_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"the Ray cluster at {address} cannot be reached: {error}") from error


def _room(settings: RaySettings) -> Room:
    import ray

    list_nodes: Any = ray.nodes  # it has no types
    return room_of([node["Resources"] for node in list_nodes() if node["Alive"]], settings)


def room_of(nodes: Sequence[Mapping[str, float]], settings: RaySettings) -> Room:
    """What nodes have room for.

    Args:
        nodes: the resources of each, by Ray's names.
        settings: what a worker is to have.

    Raises:
        ConfigError: no node has room for a worker.
    """
    gpus = settings.worker_gpus
    fitting = [node for node in nodes if node.get("CPU", 0) >= 1 and node.get("GPU", 0) >= gpus]
    if not fitting:
        raise ConfigError("no node of the Ray cluster has " + (f"{gpus:g} GPUs" if gpus else "a core to give"))
    shares = [node["CPU"] / (_workers_by_gpus(node, gpus) if gpus else 1) for node in fitting]
    cpus = settings.worker_cpus or max(1, min(_MOST_CPUS, int(min(shares))))
    by_cpus = [int(node["CPU"] // cpus) for node in fitting]
    workers = sum(
        min(fit, _workers_by_gpus(node, gpus)) if gpus else fit for fit, node in zip(by_cpus, fitting, strict=True)
    )
    if not workers:
        raise ConfigError(f"no node of the Ray cluster has {cpus} cores; ask for fewer with --ray-cpus")
    return Room(cpus, gpus, workers)


def _workers_by_gpus(node: Mapping[str, float], gpus: float) -> int:
    return int(node["GPU"] / gpus + 1e-9)  # 1 / 0.1 may be a little less than 10
