"""Vector search at scale: building, opening, warm searches, recall, filters and memory.

    python -m tests.benchmarks.vector_search [--sizes 1000,100000,1000000] [--dim 512] [--json]

The vectors are made, not embedded: in a cone, in clusters of all sizes, wider in some directions than in others, as a
model's are. Half of the queries lie near them and half between them and nowhere, as texts do. Each size runs in a
process of its own, so that its memory is its own; no process ever holds all vectors. The million takes some
minutes on two cores that are free, and 3 GB of disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.vectors.common import APPROXIMATE_FROM
from clipsearch.vectors.faiss.building import write_approximate
from clipsearch.vectors.faiss.files import IndexStamp
from clipsearch.vectors.faiss.flat_index import write_exact
from clipsearch.vectors.faiss.ivf_index import IvfIndex
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.faiss.saved import open_index
from tests.benchmarks.timing import Figures, offline, run, say

if TYPE_CHECKING:
    from tests.benchmarks.setting import Setting

SIZES = (1_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 10_000)
DIM = 512
SELECTIVITIES = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0)
QUERIES = 200
K = 10
CLUSTERS = 2_000
BLOCK = 16_384


def synthetic_vectors(count: int, dim: int, *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of ids and unit vectors, float32."""
    world, random = np.random.default_rng(99), np.random.default_rng(seed)
    spread = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    cone = _unit(world.normal(size=(1, dim)))
    centres = _unit(world.normal(size=(CLUSTERS, dim)) * spread)
    share = np.arange(1, CLUSTERS + 1) ** -0.7
    for start in range(0, count, BLOCK):
        rows = min(BLOCK, count - start)
        chosen = random.choice(CLUSTERS, rows, p=share / share.sum())
        own = _unit(random.normal(size=(rows, dim)).astype(np.float32) * spread)
        yield np.arange(start, start + rows), _unit(0.6 * cone + centres[chosen] + own)


def synthetic_queries(dim: int) -> np.ndarray:
    """Unit vectors, float32 [QUERIES, dim], as pictures and as texts would be."""
    vectors = next(synthetic_vectors(QUERIES * 2, dim, seed=1))[1]
    middle = vectors.mean(axis=0)
    noise = _unit(np.random.default_rng(2).normal(size=(QUERIES // 2, dim)))
    pictures, others = vectors[: QUERIES // 2], vectors[QUERIES : QUERIES + QUERIES // 2]
    texts = _unit(_unit(others - middle) + noise)
    return np.concatenate([_unit(pictures + 0.3 * noise), texts]).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def measure(setting: Setting) -> Figures:
    """The figures by number of vectors; see `measure_building` and `measure_searches`."""
    return measure_sizes(QUICK_SIZES if setting.quick else SIZES, dim=DIM, scratch=setting.scratch)


def measure_sizes(sizes: Sequence[int], *, dim: int, scratch: Path | None = None) -> Figures:
    """As `measure`, for the sizes and the dimension given."""
    found = {}
    for size in sizes:
        say(f"  {size:,} vectors")
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            path = Path(folder) / "index.faiss"
            # a process each, so that neither counts the other's memory
            built = _in_process("--build", str(path), "--sizes", str(size), "--dim", str(dim))
            searched = _in_process("--search", str(path))
            found[str(size)] = {**built, "file_mb": round(path.stat().st_size / 2**20), **searched}
    return {"dim": dim, "sizes": found}


def _in_process(*arguments: str) -> Figures:
    command = [sys.executable, "-m", "tests.benchmarks.vector_search", *arguments]
    figures: Figures = json.loads(run(command, environment=offline())[1])
    return figures


def measure_building(path: Path, count: int, dim: int) -> Figures:
    """Write an index of the kind that a library of that size has."""
    stamp = IndexStamp(model="synthetic", dim=dim, revision=1, count=0)
    started = time.perf_counter()
    write = write_approximate if count >= APPROXIMATE_FROM else write_exact
    write(path, stamp, synthetic_vectors(count, dim))
    return {"build_s": time.perf_counter() - started, "build_peak_mb": peak_mb()}


def measure_searches(path: Path) -> Figures:
    """Opening, warm searches, recall and filters over a saved index."""
    import faiss  # noqa: F401 — what it takes to load is not measured here

    drop_from_cache(path)
    started = time.perf_counter()
    index, _ = open_index(path)
    opened = time.perf_counter() - started
    queries = synthetic_queries(index.dim)
    index.search(queries[0], K)
    first = time.perf_counter() - started
    searches_peak_mb = peak_mb()
    true_scores, _ = nearest(index.blocks(), queries, K)  # touches every vector, so that all is warm from here on
    found = [index.search(query, K) for query in queries]
    good = [int((answer.scores >= scores[-1] - 1e-5).sum()) for answer, scores in zip(found, true_scores, strict=True)]
    half = len(queries) // 2
    figures: dict[str, Any] = {
        "kind": "approximate" if isinstance(index, IvfIndex) else "exact",
        "open_ms": 1000 * opened,
        "open_and_search_ms": 1000 * first,
        "cold_peak_mb": searches_peak_mb,
        "recall_at_10": sum(good) / (K * len(queries)),
        "recall_at_10_pictures": sum(good[:half]) / (K * half),
        "recall_at_10_texts": sum(good[half:]) / (K * half),
        "search": timed(lambda number: index.search(queries[number], K)),
        "search_500": timed(lambda number: index.search(queries[number], 500), rounds=40),
        "vectors_of_1000": timed(lambda number: index.vectors(index.ids()[number::997][:1000]), rounds=20),
        "batch_ms_per_query": timed(lambda _: index.search_batch(queries, K), rounds=3)["p50_ms"] / len(queries),
        "filtered": {},
    }
    if isinstance(index, IvfIndex):
        figures["lists"] = asdict(index.training)["probing"]
    random = np.random.default_rng(3)
    for share in SELECTIVITIES:
        within = np.sort(random.choice(index.ids(), max(1, round(share * len(index))), replace=False))
        figures["filtered"][f"{share:.2%}"] = timed(
            lambda number, ids=within: index.search(queries[number], K, within=ids), rounds=30
        )
    figures["peak_mb"] = peak_mb()
    return figures


def timed(task: Callable[[int], object], *, rounds: int = QUERIES) -> dict[str, float]:
    """Median and 95th percentile of the wall time of a task, which takes the number of the round."""
    times = []
    for number in range(-2, rounds):
        started = time.perf_counter()
        task(max(number, 0))
        times.append(1000 * (time.perf_counter() - started))
    return {"p50_ms": float(np.median(times[2:])), "p95_ms": float(np.quantile(times[2:], 0.95))}


def peak_mb() -> float:
    """Peak memory of this process, including mapped pages, in MiB; 0 if unknown."""
    # not `getrusage`, which on Linux includes the parent's memory before the fork
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def drop_from_cache(path: Path) -> None:
    """Drop the file from the page cache, if supported."""
    import os

    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{figures['dim']} dimensions, k = {K}")
    names = ("build", "peak", "open", "cold", "p50", "p95", "recall", "k=500", "batch", "peak")
    widths = (8, 9, 9, 9, 9, 9, 8, 9, 9, 9)
    head = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    print(f"{'vectors':>10} {'kind':<12}{head}")
    for size, row in figures["sizes"].items():
        print(
            f"{int(size):>10,} {row['kind']:<12}{row['build_s']:>7.1f}s{row['build_peak_mb']:>6.0f} MB"
            f"{row['open_ms']:>6.1f} ms{row['open_and_search_ms']:>6.0f} ms"
            f"{row['search']['p50_ms']:>6.2f} ms{row['search']['p95_ms']:>6.2f} ms{row['recall_at_10']:>8.4f}"
            f"{row['search_500']['p50_ms']:>6.1f} ms{row['batch_ms_per_query']:>6.2f} ms{row['peak_mb']:>6.0f} MB"
        )
    print("\nfiltered, p50, by the share of the vectors that passes")
    print(f"{'vectors':>10} " + "".join(f"{share:>12.2%}" for share in SELECTIVITIES))
    for size, row in figures["sizes"].items():
        print(f"{int(size):>10,} " + "".join(f"{time_['p50_ms']:>9.2f} ms" for time_ in row["filtered"].values()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of vectors")
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.search is not None:
        print(json.dumps(measure_searches(options.search)))
    elif options.build is not None:
        print(json.dumps(measure_building(options.build, sizes[0], options.dim)))
    else:
        figures = measure_sizes(sizes, dim=options.dim)
        if options.json:
            print(json.dumps(figures, indent=2))
        else:
            show(figures)


if __name__ == "__main__":
    main()
