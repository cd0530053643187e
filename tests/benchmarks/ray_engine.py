"""Images a second through Ray beside indexing without it, on this machine's cores and the same photos.

    python -m tests.benchmarks.ray_engine [--quick] [--cache DIR]

Each figure is a new process that indexes all photos into a new library with the bundled model. Three ways, in turns:
``local``; ``ray``, which starts a cluster of one node for the run; and ``ray, two nodes``, which joins one of two nodes
with half of the cores each, started once and warm. The rate of the process counts everything from its start; that of
the run what the program reports, which for Ray includes joining the cluster and starting its workers. The slope between
two numbers of photos is what a photo costs once all is running. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from clipsearch.config import cache_dir
from clipsearch.system.cpu import available_cores
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.photos import SIZES, photo_folder
from tests.benchmarks.timing import BenchmarkError, Figures, alternate, clipsearch_command, offline, run, say

COUNTS = (400, 1600)
QUICK_COUNTS = (16, 64)
ROUNDS = 3
SIZE = SIZES[1]
LOCAL, ONE_NODE, TWO_NODES = "local", "ray", "ray, two nodes"


@contextmanager
def two_nodes(cores: int) -> Iterator[str]:
    """Start a cluster of two nodes on loopback and return its address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=cores)
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def indexer(folder: Path, count: int, arguments: list[str], inside: list[float]) -> Callable[[int], float]:
    """What indexes a folder into a new library and returns the wall time, s; the run's own goes to `inside`."""

    def index(_: int) -> float:
        with tempfile.TemporaryDirectory() as library:
            command = clipsearch_command("index", folder, "--model", "mini", "--json", *arguments)
            seconds, said = run(command, environment=offline(CLIPSEARCH_LIBRARY=library))
        report = json.loads(said)
        if report["embedded"] != count:
            raise BenchmarkError(f"{report['embedded']} of {count} photos were embedded")
        inside.append(report["seconds"])
        return seconds

    return index


def measure_count(photos: Path, count: int, *, address: str, cores: int, rounds: int) -> Figures:
    """Every way, with so many photos."""
    folder = photo_folder(photos, SIZE, count)
    for path in folder.iterdir():
        path.read_bytes()  # into the system's file cache
    ways = {
        LOCAL: [],
        ONE_NODE: ["--engine", "ray"],
        TWO_NODES: ["--engine", "ray", "--ray-address", address, "--ray-cpus", str(cores)],
    }
    inside: dict[str, list[float]] = {name: [] for name in ways}
    candidates = {name: indexer(folder, count, arguments, inside[name]) for name, arguments in ways.items()}
    times, failed = alternate(candidates, rounds=rounds)
    figures: Figures = {"failed": failed}
    for name, seconds in times.items():
        figures[name] = {
            "process_s": [round(each, 2) for each in seconds],
            "run_s": [round(each, 2) for each in inside[name]],
            "process_images_per_s": round(count / median(seconds), 1),
            "run_images_per_s": round(count / median(inside[name]), 1),
        }
        say(f"  {count} photos, {name}: {count / median(inside[name]):.1f}/s")
    return figures


def measure(photos: Path, *, quick: bool) -> Figures:
    """All of it, and the ratios to indexing without Ray."""
    counts = QUICK_COUNTS if quick else COUNTS
    cores = max(1, available_cores() // 2)
    with two_nodes(cores) as address:
        by_count = {
            count: measure_count(photos, count, address=address, cores=cores, rounds=1 if quick else ROUNDS)
            for count in counts
        }
    few, many = counts
    steady = {}
    for name in (LOCAL, ONE_NODE, TWO_NODES):
        if all(name in figures for figures in by_count.values()):
            fewer, more = (median(by_count[count][name]["run_s"]) for count in counts)  # type: ignore[index]
            if more > fewer:  # a few photos more may take less by chance
                steady[name] = round((many - few) / (more - fewer), 1)
    return {
        "machine": describe_machine(),
        "photos": SIZE.name,
        "counts": by_count,
        "steady_images_per_s": steady,
        "steady_ratio_to_local": {
            name: round(each / steady[LOCAL], 2) for name, each in steady.items() if LOCAL in steady
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few photos and one round: only to see that it works")
    parser.add_argument("--cache", type=Path, metavar="DIR", default=cache_dir() / "benchmarks", help="for photos")
    options = parser.parse_args()
    print(json.dumps(measure(options.cache.absolute() / "photos", quick=options.quick), indent=2))


if __name__ == "__main__":
    main()
