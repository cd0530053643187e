"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_CONTROL = Path("/sys/fs/cgroup")


_share: list[int] = []
"""The cores that `set_cpu_budget` was last called with; empty before its first call."""


def available_cores() -> int:
    """Cores that this process may use, at least 1: by its affinity, its control group's quota, and `set_cpu_budget`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, min([cores, *([math.ceil(quota)] if quota is not None else []), *_share]))


def set_cpu_budget(cores: int) -> None:
    """Say that this process shares its machine with others, and that so many cores are its own."""
    _share[:] = [cores]


def cgroup_quota(membership: Path = _MEMBERSHIP, control: Path = _CONTROL) -> float | None:
    """Processor time per wall time that Linux control groups allow, as containers set it; ``None`` if unlimited.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (``cpu.max``) and scheduler/sched-bwc.rst (version 1).

    Args:
        membership: names the group of this process.
        control: where the groups are mounted.
    """
    quotas = [_quota(group) for group in _groups(membership, control)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(membership: Path, control: Path) -> list[Path]:
    """The directories of the group and of those around it, whose quotas bind it, too."""
    try:
        lines = membership.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [control / controllers, control / "cpu"] if controllers else [control]
        parts = [part for part in path.split("/") if part not in ("", "..")]
        found += [mount.joinpath(*parts[:depth]) for mount in mounts for depth in range(len(parts) + 1)]
    return found


def _quota(group: Path) -> float | None:
    values = _integers(group / "cpu.max") or [
        *_integers(group / "cpu.cfs_quota_us"),
        *_integers(group / "cpu.cfs_period_us"),
    ]
    if len(values) != 2 or values[0] <= 0 or values[1] <= 0:  # -1, or the word max: no limit
        return None
    return values[0] / values[1]


def _integers(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
