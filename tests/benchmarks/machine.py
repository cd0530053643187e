"""Description of the machine, for comparing figures, without identifying data."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

from clipsearch.system.cpu import available_cores

LIBRARIES = ("clipsearch", "onnxruntime", "faiss-cpu", "pillow", "numpy", "sqlalchemy", "tokenizers")

IDENTITY = ("cpu", "instructions", "cores", "memory_gib", "system")
"""Keys of `describe_machine` that distinguish machines."""

_INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "amx_int8": "AMX"}
"""What 8-bit products are fast by, as Linux names it."""


def describe_machine() -> dict[str, object]:
    """CPU, memory, system and versions."""
    return {
        "cpu": _cpu_line("model name") or platform.processor() or platform.machine(),
        "instructions": _instructions(),
        "cores": available_cores(),
        "memory_gib": _memory_gib(),
        "system": _system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def limit_cores(cores: int | None) -> None:
    """Restrict this process and its children to a number of cores; ``None`` for all."""
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _instructions() -> list[str]:
    has = (_cpu_line("flags") or "").split()
    return list(dict.fromkeys(name for flag, name in _INSTRUCTIONS.items() if flag in has))


def _cpu_line(key: str) -> str | None:
    """What Linux says of the first processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), None)


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    except OSError:
        return f"{platform.system()} {platform.release()}"
