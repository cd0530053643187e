"""How long a query takes: in a new process (cold), and again and again in one (warm), by size of the library.

The libraries are filled, not indexed (`tests.benchmarks.libraries`). Cold is a new process; the system's file cache
holds the library, the programs and the models. The peer searches the same number of vectors of the same model, with
its look at the folder switched off.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.indexing import RCLIP
from tests.benchmarks.libraries import fill_database, fill_library, made_up_files
from tests.benchmarks.rclip_peer import Rclip
from tests.benchmarks.setting import Candidate, Setting
from tests.benchmarks.timing import (
    BenchmarkError,
    Figures,
    alternate,
    clipsearch_command,
    growth_exponent,
    latency,
    offline,
    run,
    say,
)
from tests.benchmarks.warm_queries import query_text

SIZES = (1_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 3_000)
COLD_RUNS = {1_000: 15, 100_000: 15, 1_000_000: 7}
QUICK_COLD_RUNS = 2
WARM_RUNS = 200
QUICK_WARM_RUNS = 10
BOTH_MODELS_UP_TO = 100_000
"""Larger libraries are measured with the bundled model only, without rclip, because filling takes minutes."""


def measure(setting: Setting) -> Figures:
    """Cold and warm latency at every size, and how they grow."""
    sizes = QUICK_SIZES if setting.quick else SIZES
    measured = {count: _measure_size(setting, count) for count in sizes}
    help_times = [run(clipsearch_command("--help"), environment=offline())[0] for _ in range(5)]
    return {
        "sizes": {f"{count}": figures for count, figures in measured.items()},
        "help": latency(help_times),
        "growth": {
            kind: {
                "vectors": list(sizes),
                "exponent": growth_exponent(sizes, [_p50(measured[count], kind, setting.mini.name) for count in sizes]),
            }
            for kind in ("cold", "warm")
        },
    }


def _p50(figures: Figures, kind: str, name: str) -> float:
    found = figures[kind][name]  # type: ignore[index]
    return float(found["p50_ms"] if kind == "cold" else found["search"]["p50_ms"])


def _measure_size(setting: Setting, count: int) -> Figures:
    with setting.folder() as base, contextlib.ExitStack() as stack:
        root = base / "photos"
        root.mkdir()
        small = count <= BOTH_MODELS_UP_TO
        models = setting.candidates if small else [setting.mini]
        libraries: dict[str, Path] = {}
        for each in models:  # precisions of one model share a library
            libraries[each.model] = libraries.get(each.model) or _filled(setting, each, base, root, count)
        searchers = {each.name: _searcher(setting, each, libraries[each.model]) for each in models}
        if setting.peer is not None and small:
            searchers[RCLIP] = stack.enter_context(_peer_searcher(setting, setting.peer, root, count))
        say(f"  cold queries, {count:,} vectors")
        for each in models:
            setting.forget_queries(each)
        for search in searchers.values():
            search(-1)  # reads everything into the system's file cache
        runs = QUICK_COLD_RUNS if setting.quick else COLD_RUNS[count]
        measured, failed = alternate(searchers, rounds=runs)
        cold = {name: latency(times) for name, times in measured.items()}
        warm = {each.name: _warm(setting, each, libraries[each.model]) for each in models}
        figures: Figures = {"cold": cold, "warm": warm, "failed_candidates": failed}
        if RCLIP in cold:
            figures["rclip_over_clipsearch"] = {
                name: round(cold[RCLIP]["p50_ms"] / times["p50_ms"], 2) for name, times in cold.items() if name != RCLIP
            }
    return figures


def _filled(setting: Setting, candidate: Candidate, base: Path, root: Path, count: int) -> Path:
    say(f"  filling a library of {candidate.model} with {count:,} vectors")
    library = base / candidate.model
    fill_library(library, root=root, files=made_up_files(count), count=count, encoder=setting.load(candidate))
    return library


def _searcher(setting: Setting, candidate: Candidate, library: Path) -> Callable[[int], float]:
    def search(number: int) -> float:
        command = clipsearch_command("search", query_text(number), "--paths")
        seconds, said = run(command, environment=setting.environment(candidate, library))
        if len(said.splitlines()) != 10:
            raise BenchmarkError("clipsearch did not find ten pictures")
        return seconds

    return search


@contextlib.contextmanager
def _peer_searcher(setting: Setting, peer: Rclip, root: Path, count: int) -> Iterator[Callable[[int], float]]:
    with setting.folder() as data:
        say(f"  filling rclip's database with {count:,} vectors")
        peer.make_data_folder(data)
        fill_database(peer, data, root=root, files=made_up_files(count), count=count)
        yield lambda number: peer.search(query_text(number), root, data=data)


def _warm(setting: Setting, candidate: Candidate, library: Path) -> Figures:
    """In a process of its own: `tests.benchmarks.warm_queries`."""
    say(f"  warm queries, {candidate.name}")
    setting.forget_queries(candidate)
    runs = QUICK_WARM_RUNS if setting.quick else WARM_RUNS
    command = [sys.executable, "-m", "tests.benchmarks.warm_queries", str(library), str(runs)]
    _, said = run(command, environment=setting.environment(candidate, library))
    figures: Figures = json.loads(said)
    return figures
