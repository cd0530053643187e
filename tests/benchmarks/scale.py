"""Tables computed from docs/benchmarks.json: the cost of a library at any size (docs/scale.md), figures for README.md.

    python -m tests.benchmarks.scale

Writes them into the documents, each between ``<!-- computed: NAME -->`` and ``<!-- end -->``. A test compares them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from clipsearch.models.presets import PRESETS
from tests.benchmarks.report import table
from tests.benchmarks.timing import CHECKOUT

DOCUMENTS = (CHECKOUT / "docs" / "scale.md", CHECKOUT / "README.md")
REPORT = CHECKOUT / "docs" / "benchmarks.json"

SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
MACHINES_GIB = (16, 64, 256)

PHOTOS = ("2 MP", "12 MP")
PUBLISHED_PER_GPU_HOUR = 100_000_000 / 20
"""Images: clip-retrieval says that one RTX 3080 embeds 100 million, with their texts, in 20 hours (ViT-B/32)."""

SHARE_FOR_VECTORS = 0.8
"""Of a machine's memory."""

_GB, _GIB = 1e9, 2**30
_SCALARS = 6 * 8
"""Bytes of a row's id and fields on Milvus, one root and extension each."""

Report = dict[str, Any]


def embedding(report: Report) -> str:
    """Processor time for a million pictures."""
    cores = report["machine"]["cores"]
    rows = [[model, photos, rate, core_hours(rate, cores)] for model, photos, rate in _rates(report)]
    return table(["model", "photos", f"images/s on {cores} cores", "core-hours per million"], rows)


def core_hours(rate: float, cores: int) -> float:
    """For a million pictures, of so many a second on so many cores."""
    return 1e6 / rate * cores / 3600


def _rates(report: Report) -> Iterator[tuple[str, str, float]]:
    for photos in PHOTOS:
        for model, rate in report["sections"]["indexing"]["sizes"][photos]["run_images_per_s"].items():
            yield model, photos, rate


def storage(report: Report) -> str:
    """Disk for a million pictures, by preset."""
    footprint = report["sections"]["footprint"]
    rows = []
    for preset in PRESETS.values():
        catalogs = [footprint["catalog"][kind][str(preset.dim)] / 1000 for kind in ("sqlite", "postgresql")]
        vectors = [faiss_bytes(report, preset.dim) / 1000, milvus_bytes(preset.dim) / 1000]
        rows.append([preset.name, preset.dim, *catalogs, footprint["preview"]["bytes"] / 1000, *vectors])
    head = ["preset", "dimension", "catalog, SQLite", "catalog, PostgreSQL", "previews", "FAISS", "Milvus"]
    return table(head, rows)


def faiss_bytes(report: Report, dim: int) -> float:
    """Of a vector in an inverted file: as in that of the benchmark, in proportion to the dimension."""
    measured = report["sections"]["vector_index"]
    largest = max(measured["sizes"], key=int)
    return float(measured["sizes"][largest]["file_mb"] * 2**20 / int(largest) * dim / measured["dim"])


def milvus_bytes(dim: int) -> float:
    """Of a row with IVF_FLAT: 4 a component, its id and its fields."""
    return 4 * dim + _SCALARS


def growth(report: Report) -> str:
    """A library with the preset base, at every size."""
    dim, footprint = PRESETS["base"].dim, report["sections"]["footprint"]
    cores = report["machine"]["cores"]
    rate = report["sections"]["indexing"]["sizes"]["12 MP"]["run_images_per_s"]["ViT-B-32-256 int8"]
    built = report["sections"]["vector_index"]["sizes"]["1000000"]["build_s"] / 3600
    rows: list[list[object]] = [
        ["catalog, PostgreSQL, GB", *(size * footprint["catalog"]["postgresql"][str(dim)] / _GB for size in SIZES)],
        ["previews, GB", *(size * footprint["preview"]["bytes"] / _GB for size in SIZES)],
        ["FAISS file, GB", *(size * faiss_bytes(report, dim) / _GB for size in SIZES)],
        [f"… build time on {cores} cores, h", *(size / 1e6 * built for size in SIZES)],
        ["Milvus, memory of all query nodes, GB", *(size * milvus_bytes(dim) / _GB for size in SIZES)],
        ["ids, per searching process, GB", *(size * 8 / _GB for size in SIZES)],
        ["embedding 12 MP photos, core-hours", *(size / 1e6 * core_hours(rate, cores) for size in SIZES)],
        ["… on 64 cores, days", *(size / 1e6 * core_hours(rate, cores) / 64 / 24 for size in SIZES)],
        ["embedding, GPU-hours as published", *(size / PUBLISHED_PER_GPU_HOUR for size in SIZES)],
    ]
    return table(["pictures", *(f"{size:,}" for size in SIZES)], rows)


def memory(report: Report) -> str:
    """How many vectors fit into a machine, by preset."""
    rows = [
        [
            preset.name,
            preset.dim,
            *(
                f"{SHARE_FOR_VECTORS * gib * _GIB / faiss_bytes(report, preset.dim) / 1e6:,.0f} million"
                for gib in MACHINES_GIB
            ),
        ]
        for preset in PRESETS.values()
    ]
    return table(["preset", "dimension", *(f"{gib} GiB" for gib in MACHINES_GIB)], rows)


def engines(report: Report) -> str:
    """FAISS and Milvus Lite side by side."""
    found = report["sections"]["milvus"]
    faiss, lite = found["faiss"], found["milvus-lite"]
    rows: list[list[object]] = [
        ["index", faiss["kind"], lite["kind"]],
        ["build time, s", faiss["build_s"], lite["build_s"]],
        ["… CPU time, s", faiss["build_cpu_s"], lite["build_cpu_s"]],
        ["on disk, MiB", faiss["size_mb"], lite["size_mb"]],
        ["open and first search, ms", faiss["open_and_search_ms"], lite["open_and_search_ms"]],
        ["search, p50 ms", faiss["search"]["p50_ms"], lite["search"]["p50_ms"]],
        ["search, p95 ms", faiss["search"]["p95_ms"], lite["search"]["p95_ms"]],
        ["recall@10", faiss["recall_at_10"], lite["recall_at_10"]],
        *(
            [f"{share} of vectors pass the filter, p50 ms", faiss["filtered"][share]["p50_ms"], times["p50_ms"]]
            for share, times in lite["filtered"].items()
        ),
        ["memory, MiB", faiss["peak_mb"], lite["peak_mb"]],
    ]
    return table([f"{found['vectors']:,} vectors, {found['dim']} dimensions", "FAISS", "Milvus Lite"], rows)


def numbers(report: Report) -> str:
    """Speed and memory of the usual models and of the peer."""
    indexing, queries, memory = (report["sections"][name] for name in ("indexing", "queries", "memory"))
    columns = ("mini", "ViT-B-32-256 int8", "rclip")
    rows: list[list[object]] = []
    for photos in PHOTOS:
        rates = indexing["sizes"][photos]["images_per_s"]
        rows.append([f"indexing {photos} photos, images/s", *(rates.get(name) for name in columns)])
    for size, found in queries["sizes"].items():
        times = [[found["cold"].get(name), found["warm"].get(name, {}).get("search")] for name in columns]
        rows.append([f"text query among {int(size):,} pictures, ms: new / running process", *map(_both, times)])
    memories = [[memory["indexing_mib"]["12 MP"].get(name), memory["search_mib"].get(name)] for name in columns]
    what = f"indexing 12 MP photos / searching {memory['search_mib']['vectors']:,} pictures"
    rows.append([f"peak memory, MiB: {what}", *(f"{first:.0f} / {second:.0f}" for first, second in memories)])
    peer = f"rclip {report['peer'].get('rclip', '')} (ViT-B-32-256)"
    return table([f"{report['machine']['cores']} cores, no GPU", "`mini`", "`base` architecture, int8", peer], rows)


def _both(times: list[dict[str, float] | None]) -> str:
    """Two medians in milliseconds, a dash for what was not measured."""
    return " / ".join(f"{found['p50_ms']:,.0f}" if found else "–" for found in times)


BLOCKS: dict[str, tuple[Callable[[Report], str], set[str]]] = {
    "embedding": (embedding, {"indexing"}),
    "storage": (storage, {"footprint", "vector_index"}),
    "growth": (growth, {"footprint", "indexing", "vector_index"}),
    "memory": (memory, {"vector_index"}),
    "engines": (engines, {"milvus"}),
    "numbers": (numbers, {"indexing", "queries", "memory"}),
}
"""What makes each table, and of which sections of the report."""


def filled(text: str, report: Report) -> str:
    """The document with every table computed anew."""
    measured = {name for name, found in report["sections"].items() if not {"failed", "left_out"} & set(found)}

    def block(match: re.Match[str]) -> str:
        compute, needed = BLOCKS[match["name"]]
        lacking = ", ".join(sorted(needed - measured))
        content = f"Not measured: the report lacks {lacking}.\n" if lacking else compute(report)
        return f"<!-- computed: {match['name']} -->\n\n{content}\n<!-- end -->"

    return re.sub(r"<!-- computed: (?P<name>\w+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


def main() -> None:
    """Write the documents."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(encoding="utf-8"), report), encoding="utf-8")


if __name__ == "__main__":
    main()
