"""Timing of programs and summaries of the times."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

CHECKOUT = Path(__file__).parents[2]
TIME_LIMIT_S = 1800.0

Figures = dict[str, object]


class BenchmarkError(Exception):
    """Something cannot be measured; the text says why, and the report repeats it."""


class LeftOut(BenchmarkError):
    """Something is not measured as nobody asked for it, which is no fault."""


def offline(**variables: str | Path) -> dict[str, str]:
    """The environment of every program that is timed: no hub is asked for anything, and the variables given.

    Each may keep its modules compiled, as an installed program does.
    """
    hubs = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | hubs | {name: str(value) for name, value in variables.items()}


def clipsearch_command(*arguments: str | Path) -> list[str]:
    """The command line that runs this checkout's clipsearch."""
    return [sys.executable, "-m", "clipsearch", *map(str, arguments)]


def run(command: Sequence[str], *, environment: Mapping[str, str], cwd: Path = CHECKOUT) -> tuple[float, str]:
    """Run a program in a new process.

    Returns:
        Wall time in seconds, the start of the process included, and what it wrote to stdout.

    Raises:
        BenchmarkError: it fails, or takes longer than `TIME_LIMIT_S`.
    """
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{_named(command)} took longer than {TIME_LIMIT_S:.0f} s") from error
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise BenchmarkError(f"{_named(command)} ended with status {done.returncode}: {said[:300]}")
    return seconds, done.stdout


def alternate(
    candidates: Mapping[str, Callable[[int], float]], *, rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Measure each candidate once a round, so that a change of the machine's mood meets all of them.

    Args:
        candidates: given the number of the round, returns what it measured.
        rounds: how often.

    Returns:
        The times of each candidate, and the reasons of failed ones.
    """
    measured: dict[str, list[float]] = {name: [] for name in candidates}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in list(measured):
            try:
                measured[name].append(candidates[name](number))
            except BenchmarkError as error:
                del measured[name]
                failed[name] = str(error)
                say(f"  {name} failed: {error}")
    return measured, failed


def latency(seconds: Sequence[float]) -> dict[str, float | int]:
    """Median, 95th percentile and fastest of times in seconds, as milliseconds."""
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    fastest = min(seconds) * 1000
    return {
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "min_ms": round(fastest, 2),
        "runs": len(seconds),
    }


def rate(count: int, seconds: Sequence[float]) -> float:
    """How many a second, by the median time."""
    return round(count / median(seconds), 2)


def growth_exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of log(time) over log(size): 1 grows in proportion, 0 not at all.

    Raises:
        BenchmarkError: there are fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise BenchmarkError("a growth exponent needs two sizes")
    slope = np.polyfit([math.log(size) for size in sizes], [math.log(seconds) for seconds in times], 1)[0]
    return round(float(slope), 2)


def say(text: str) -> None:
    """Progress, for who waits."""
    print(text, file=sys.stderr, flush=True)


def _named(command: Sequence[str]) -> str:
    # not the whole line: it names folders of this machine
    program = Path(command[0]).name
    return " ".join([program, *(part for part in command[1:5] if len(part) < 20 and os.sep not in part)])


def alternate_calls(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds that each of several functions takes, called in turn so that the machine's moods meet all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds
