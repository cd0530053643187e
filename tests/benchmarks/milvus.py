"""The same vectors through FAISS and through Milvus Lite: building, opening, searches, recall, filters, size.

    python -m tests.benchmarks.milvus [--count 1000000] [--dim 512] [--queries 100]

The vectors are those of `tests.benchmarks.vector_search`. Each engine builds and searches in processes of its own, as a
library's indexing and its searches do; each gets the kind of index that a library of that size has. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.vectors.common import APPROXIMATE_FROM
from clipsearch.vectors.faiss.ivf_index import IvfIndex
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.faiss.saved import open_index
from clipsearch.vectors.index import VectorIndex
from clipsearch.vectors.milvus.connection import connect
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.milvus.refresh import LISTS_OF_FILE, tune
from tests.benchmarks.timing import CHECKOUT, BenchmarkError, Figures, offline, say
from tests.benchmarks.vector_search import (
    DIM,
    K,
    measure_building,
    peak_mb,
    synthetic_queries,
    synthetic_vectors,
    timed,
)

if TYPE_CHECKING:
    from tests.benchmarks.setting import Setting

COUNT = 1_000_000
QUICK_COUNT = 10_000
QUERIES = 100
SELECTIVITIES = (0.0001, 0.01, 0.1, 0.5)
ENGINES = ("faiss", "milvus-lite")
COLLECTION = "benchmark_1"
TIME_LIMIT_S = 7200.0
"""For one step: Milvus Lite takes its time for a million vectors."""


def measure(setting: Setting) -> Figures:
    """The figures of both engines, side by side."""
    return measure_both(QUICK_COUNT if setting.quick else COUNT, dim=DIM, queries=QUERIES, scratch=setting.scratch)


def measure_both(count: int, *, dim: int, queries: int, scratch: Path | None = None) -> Figures:
    """As `measure`, for a number of vectors, their dimension and a number of queries."""
    found: Figures = {"vectors": count, "dim": dim, "queries": queries}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        truth = Path(folder) / "truth.npy"
        for engine in ENGINES:
            path = Path(folder) / ("index.faiss" if engine == "faiss" else "index.db")
            common = ["--engine", engine, "--path", str(path), "--truth", str(truth)]
            common += ["--count", str(count), "--dim", str(dim), "--queries", str(queries)]
            say(f"  {engine}: building {count:,} vectors")
            built = _in_process("--step", "build", *common)
            say(f"  {engine}: searching")
            found[engine] = {**built, "size_mb": _megabytes(path), **_in_process("--step", "search", *common)}
    return found


def _in_process(*arguments: str) -> Figures:
    command = [sys.executable, "-m", "tests.benchmarks.milvus", *arguments]
    done = subprocess.run(
        command, env=offline(), cwd=CHECKOUT, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise BenchmarkError(f"{' '.join(arguments[:4])} ended with status {done.returncode}: {said}")
    figures: Figures = json.loads(done.stdout)
    return figures


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 2**20, 1)


def build(engine: str, path: Path, count: int, dim: int) -> Figures:
    """Build an index of the kind that a library of that size has."""
    if engine == "faiss":
        return {**measure_building(path, count, dim), "build_cpu_s": time.process_time()}
    started = time.perf_counter()
    connection = connect(str(path), local=True)
    lists = LISTS_OF_FILE if count >= APPROXIMATE_FROM else 0
    connection.create(COLLECTION, dim)
    connection.insert(COLLECTION, synthetic_vectors(count, dim))
    inserted = time.perf_counter() - started
    connection.index(COLLECTION, "IVF_FLAT" if lists else "FLAT", lists=lists)
    indexed = time.perf_counter() - started
    index = MilvusIndex(connection, COLLECTION, np.arange(count), dim=dim, lists=lists)
    probing = tune(index, lists=lists) if lists else ()
    path.with_suffix(".probing.json").write_text(json.dumps([[item.k, item.lists, item.recall] for item in probing]))
    return {
        "build_s": time.perf_counter() - started,
        "insert_s": inserted,
        "index_s": indexed - inserted,
        "build_peak_mb": peak_mb(),
        "build_cpu_s": time.process_time(),
    }


def opened(engine: str, path: Path, count: int, dim: int) -> VectorIndex:
    """The index, as a search opens it."""
    if engine == "faiss":
        return open_index(path)[0]
    from clipsearch.vectors.tuning import ProbeSettings

    connection = connect(str(path), local=True)
    connection.load(COLLECTION)
    probing = tuple(ProbeSettings(*item) for item in json.loads(path.with_suffix(".probing.json").read_text()))
    lists = LISTS_OF_FILE if count >= APPROXIMATE_FROM else 0
    return MilvusIndex(connection, COLLECTION, np.arange(count), dim=dim, lists=lists, probing=probing)


def search(engine: str, path: Path, truth: Path, count: int, dim: int, queries: int) -> Figures:
    """Opening, warm searches, recall against the true neighbours, and filters."""
    started = time.perf_counter()
    index = opened(engine, path, count, dim)
    wanted = synthetic_queries(dim)
    wanted = wanted[np.linspace(0, len(wanted) - 1, min(queries, len(wanted))).astype(int)]
    index.search(wanted[0], K)
    first = time.perf_counter() - started
    if not truth.exists():
        blocks = ((ids, vectors.astype(np.float16)) for ids, vectors in synthetic_vectors(count, dim))
        np.save(truth, nearest(blocks, wanted, min(K, count))[0])
    true_scores = np.load(truth)
    found = [index.search(query, K) for query in wanted]
    good = [int((answer.scores >= scores[-1] - 1e-5).sum()) for answer, scores in zip(found, true_scores, strict=True)]
    random = np.random.default_rng(3)

    def filtered(share: float) -> Callable[[int], object]:
        within = np.sort(random.choice(count, max(1, round(share * count)), replace=False))
        return lambda number: index.search(wanted[number], K, within=within)

    is_listed = isinstance(index, IvfIndex) or (engine != "faiss" and count >= APPROXIMATE_FROM)
    few = max(5, len(wanted) // 5)
    return {
        "kind": "IVF" if is_listed else "flat",
        "open_and_search_ms": 1000 * first,
        "recall_at_10": sum(good) / true_scores.size,
        "search": timed(lambda number: index.search(wanted[number], K), rounds=len(wanted)),
        "filtered": {f"{share:.2%}": timed(filtered(share), rounds=few) for share in SELECTIVITIES},
        "peak_mb": peak_mb(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--step", choices=("build", "search"), help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--truth", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "build":
        figures: dict[str, Any] = build(options.engine, options.path, options.count, options.dim)
    elif options.step == "search":
        figures = search(options.engine, options.path, options.truth, options.count, options.dim, options.queries)
    else:
        figures = measure_both(options.count, dim=options.dim, queries=options.queries)
    print(json.dumps(figures, indent=None if options.step else 2))


if __name__ == "__main__":
    main()
