"""The report as Markdown, made from its JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Report = dict[str, Any]
_MISSING = "–"


def to_markdown(report: Report) -> str:
    """All of a report: what was measured where, the aims, and a table or more for each section."""
    parts = [_HEADING, _machine(report), _aims(report["aims"])]
    for name, figures in report["sections"].items():
        title, render = _SECTIONS.get(name, (name, _any))
        parts.append(f"## {title}\n\nBegun {report['section_begun'][name]}{_elsewhere(report, name)}.\n")
        parts.append(_why_not(figures) or render(figures))
    return "\n".join(parts).rstrip() + "\n"


_HEADING = """# Benchmarks

Made by `make bench` from `tests/benchmarks/`; the same figures are in [benchmarks.json](benchmarks.json). To make it
again: `make bench` for all of it (more than an hour on two cores, as a million vectors are indexed three times),
`python -m tests.benchmarks --quick` to see that it works, `python -m tests.benchmarks --only queries` for one section.
Every program that is timed is kept to the same cores, and no network is used but to install the peer, once. The photos
are made by the suite. The architecture that is compared with the peer has random weights, the same in both programs,
as speed does not depend on them.
"""


def _why_not(figures: Report) -> str:
    """Why something is not in the report; empty if it is."""
    for key, word in (("failed", "Failed"), ("left_out", "Left out")):
        if key in figures:
            return f"{word}: {figures[key]}\n"
    return ""


def _machine(report: Report) -> str:
    machine = report["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    peer = report["peer"]
    with_what = _why_not(peer) or ", ".join(f"{name} {version}" for name, version in peer.items())
    lines = [
        f"- Machine: {_in_words(machine)}",
        f"- Python {machine['python']}, SQLite {machine['sqlite']}, {libraries}",
        f"- Peer: {with_what.rstrip()}",
        f"- Begun {report['begun']}, took {report['minutes']:.0f} minutes; load before it {machine['load_before']}",
    ]
    elsewhere = [name for name in report["sections"] if _elsewhere(report, name)]
    if elsewhere:
        lines.append(f"- Measured on another machine, which each says: {', '.join(elsewhere)}")
    if report["quick"]:
        lines.append("- **A quick run: few photos and rounds. The figures only show that the suite works.**")
    return "\n".join(lines) + "\n"


def _elsewhere(report: Report, section: str) -> str:
    """On which machine a section was measured, if on another than the newest."""
    machine = report["section_machine"].get(section, {})
    return f" on {_in_words(machine)}" if any(report["machine"].get(key) != machine[key] for key in machine) else ""


def _in_words(machine: Report) -> str:
    instructions = "".join(f", {' '.join(names)}" for names in [machine.get("instructions")] if names)
    memory = f"{machine['memory_gib']} GiB, {machine['system']}"
    return f"{machine['cpu']}{instructions}, {machine['cores']} cores, {memory}"


def _aims(aims: Sequence[dict[str, Any]]) -> str:
    rows = []
    for aim in aims:
        wanted = f"{'≤' if aim['at_most'] else '≥'} {_number(aim['wanted'])}{aim['unit']}"
        figure = _MISSING if aim["figure"] is None else f"{_number(aim['figure'])}{aim['unit']}"
        rows.append([aim["aim"], wanted, figure, {True: "✓", False: "✗", None: _MISSING}[aim["reached"]]])
    return "## Aims\n\n" + table(["", "wanted", "measured", ""], rows)


def _indexing(figures: Report) -> str:
    rows = []
    for size, found in figures["sizes"].items():
        ratios = found.get("ratio_to_rclip", {})
        weight = f"{size}, {found['photos']} photos, {found['bytes_per_pixel']} bytes/pixel"
        for name, rate in found["images_per_s"].items():
            inside = found["run_images_per_s"].get(name)
            rows.append([weight, name, rate, inside, ratios.get(name)])
        rows += [[weight, name, f"failed: {why}"] for name, why in found["failed_candidates"].items()]
    growth = figures["growth"]
    return (
        "New processes, median of the rounds, programs taking turns. *Whole process* includes the start of the "
        "program and the loading of its model, and is what is compared; *as reported* is the time that clipsearch says "
        "the run took. Of the photos of each size a few pictures are distinct; the others differ in their EXIF data, "
        "so that every program takes them for other contents.\n\n"
        + table(["photos", "program and model", "images/s, whole process", "as reported", "times rclip"], rows)
        + f"\nTime over number of photos ({_list(growth['photos'])}; mini, 0.3 MP): exponent {growth['exponent']}.\n"
    )


def _limits(figures: Report) -> str:
    rows = []
    for size, found in figures["sizes"].items():
        for name in found["decode_images_per_s"]:
            rows.append(
                [
                    size,
                    name,
                    found["read_images_per_s"],
                    *(found[f"{kind}_images_per_s"][name] for kind in ("decode", "decode_all")),
                ]
            )
    tried = [
        [*(form[key] for key in ("tower", "precision", "speed", "load_ms", "cosine", "overlap")), "✓" * form["kept"]]
        for form in figures["tried"]
    ]
    inference = [
        [f"{name}, {figures['precision'].get(name, '')}".rstrip(", "), batch, rate]
        for name in figures["inference_images_per_s"]
        for batch, rate in figures["inference_images_per_s"][name].items()
    ]
    return (
        "Each stage alone, images/s. *Decode* brings photos to the model's input; *with previews* writes previews and "
        "reads metadata and fingerprints as well, as indexing does. All of them share the cores: decoding and "
        "inference cannot both reach their limit at once, and of the slower one's no more can be reached than "
        "1 / (1 + slower / faster). The aims tell the share of both: of the slower limit, and of what both allow.\n\n"
        + table(["photos", "model", "read and hash, one thread", "decode", "decode with previews"], rows)
        + "\n"
        + table(["model", "batch", "inference"], inference)
        + f"\nCommits to the catalog: {_number(figures['commit_images_per_s'])} images/s.\n\n"
        + "What the compiler itself measured of the architecture's towers, one picture or text at a time for text, "
        + "eight for pictures; what it would have kept is marked. Random weights show parity or not by chance.\n\n"
        + table(["tower", "form", "per second", "opened in, ms", "cosine", "overlap", "kept"], tried)
    )


def _queries(figures: Report) -> str:
    cold, warm = [], []
    for count, found in figures["sizes"].items():
        ratios = found.get("rclip_over_clipsearch", {})
        for name, times in found["cold"].items():
            cold.append([f"{int(count):,}", name, times["p50_ms"], times["p95_ms"], times["runs"], ratios.get(name)])
        cold += [[f"{int(count):,}", name, f"failed: {why}"] for name, why in found["failed_candidates"].items()]
        for name, times in found["warm"].items():
            search, known, encode = times["search"], times["known"], times["encode_text"]
            fields = (search["p50_ms"], search["p95_ms"], known["p50_ms"], known["p95_ms"], encode["p50_ms"])
            warm.append([f"{int(count):,}", name, *fields, search["runs"]])
    growth = figures["growth"]
    return (
        "Libraries and the peer's database are filled with made-up rows and vectors, not indexed. *Cold* is a new "
        "process each time, the system's file cache being warm; the peer's look at the folder is switched off. *Warm* "
        "is `Library.search` in one process: of a new text, which the text tower is a part of, and of one that was "
        "searched for before.\n\n"
        + table(["vectors", "cold", "p50 ms", "p95 ms", "runs", "rclip's time over ours"], cold)
        + "\n"
        + table(
            ["vectors", "warm", "p50 ms", "p95 ms", "known text, p50 ms", "p95 ms", "text tower alone, p50 ms", "runs"],
            warm,
        )
        + f"\n`clipsearch --help`: {_number(figures['help']['p50_ms'])} ms. Exponents of the time over "
        + f"{_list(growth['cold']['vectors'])} vectors (mini): cold {growth['cold']['exponent']}, "
        + f"warm {growth['warm']['exponent']}.\n"
    )


def _rescan(figures: Report) -> str:
    rows = [
        [f"{int(count):,}", found["walk_files_per_s"], found["compare_files_per_s"], found["whole_run_files_per_s"]]
        for count, found in figures["sizes"].items()
    ]
    return (
        "A folder in which nothing has changed; files/s, median. The catalog is filled with what it would know of the "
        "files had it indexed them.\n\n"
        + table(["files", "walking alone", "compared with the catalog", "whole run"], rows)
        + f"\nExponent of the time over the number of files: {figures['growth']['exponent']}.\n"
    )


def _vector_index(figures: Report) -> str:
    rows = []
    for count, found in figures["sizes"].items():
        search = [found["search"]["p50_ms"], found["search"]["p95_ms"]]
        rest = [found["recall_at_10"], found["build_s"], found["open_ms"], found["peak_mb"]]
        rows.append([f"{int(count):,}", found["kind"], *search, *rest])
    shares = list(next(iter(figures["sizes"].values()))["filtered"])
    filtered = [
        [f"{int(count):,}", *(found["filtered"][share]["p50_ms"] for share in shares)]
        for count, found in figures["sizes"].items()
    ]
    head = ["vectors", "kind", "p50 ms", "p95 ms", "recall@10", "built in, s", "opened in, ms", "peak, MiB"]
    return (
        f"The index alone, {figures['dim']} dimensions, k = 10, vectors made as a model's lie.\n\n"
        + table(head, rows)
        + "\nFiltered searches, p50 ms, by the share of the vectors that passes:\n\n"
        + table(["vectors", *shares], filtered)
        + f"\nExponent of the time of a search over the number of vectors: {figures['growth']['exponent']}.\n"
    )


def _memory(figures: Report) -> str:
    rows = [
        [f"indexing {size}", name, peak]
        for size, peaks in figures["indexing_mib"].items()
        for name, peak in peaks.items()
    ]
    searching = figures["search_mib"]
    count = f"{searching['vectors']:,}"
    rows += [[f"searching {count} vectors", name, peak] for name, peak in searching.items() if name != "vectors"]
    return "The program and its child processes together, pages they share counted once.\n\n" + table(
        ["", "program and model", "peak, MiB"], rows
    )


def _quality(figures: Report) -> str:
    rows = [[name, *rates.values()] for name, rates in figures["hit_rates"].items()]
    note = f"Hit rates in percent on {figures['captions']}; the reference is the bundled model in fp32.\n\n"
    return note + table(["model", "@1", "@5", "@10"], rows)


def _footprint(figures: Report) -> str:
    catalogs = figures["catalog"]
    dims = list(next(iter(catalogs.values())))
    rows = [[f"{name} catalog", *sizes.values()] for name, sizes in catalogs.items()]
    preview = figures["preview"]
    return (
        f"Bytes a picture, of {figures['pictures']:,} with metadata as of a camera, by the dimension of the model.\n\n"
        + table(["", *(f"{dim} dimensions" for dim in dims)], rows)
        + f"\nA preview of {preview['longest_side']} pixels: {preview['bytes']:,} bytes, the mean of "
        + f"{preview['photographs']} photographs.\n"
    )


def _milvus(figures: Report) -> str:
    engines = {"FAISS": figures["faiss"], "Milvus Lite": figures["milvus-lite"]}
    rows = []
    for name, found in engines.items():
        search = [found["search"]["p50_ms"], found["search"]["p95_ms"], found["recall_at_10"]]
        rest = [found["build_s"], found["build_cpu_s"], found["size_mb"], found["open_and_search_ms"], found["peak_mb"]]
        rows.append([name, found["kind"], *search, *rest])
    shares = list(figures["faiss"]["filtered"])
    filtered = [[name, *(found["filtered"][share]["p50_ms"] for share in shares)] for name, found in engines.items()]
    head = ["engine", "kind", "p50 ms", "p95 ms", "recall@10", "built in, s", "processor, s", "on disk, MiB"]
    return (
        f"{figures['vectors']:,} vectors of {figures['dim']} dimensions, {figures['queries']} queries, k = 10; each "
        "engine builds and searches in processes of its own.\n\n"
        + table([*head, "opened and searched once, ms", "peak, MiB"], rows)
        + "\nFiltered searches, p50 ms, by the share of the vectors that passes:\n\n"
        + table(["engine", *shares], filtered)
    )


def _any(figures: Report) -> str:
    """Figures of no known form: one row for each."""
    return table(["", ""], [[name, value] for name, value in _leaves(figures)])


def _leaves(figures: Report, above: str = "") -> Iterable[tuple[str, object]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}, ")
        else:
            yield f"{above}{name}", _list(value) if isinstance(value, list) else value


_SECTIONS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "indexing": ("Indexing", _indexing),
    "limits": ("Bare limits of the stages", _limits),
    "rescan": ("Rescan", _rescan),
    "queries": ("Queries", _queries),
    "vector_index": ("Vector index", _vector_index),
    "memory": ("Memory", _memory),
    "quality": ("Quality of int8", _quality),
    "footprint": ("Footprint on disk", _footprint),
    "milvus": ("FAISS and Milvus Lite", _milvus),
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown; numbers are rounded to three places that count."""
    cells = [[_cell(value) for value in row] + [""] * (len(head) - len(row)) for row in rows]
    lines = [list(head), ["---"] * len(head), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return _MISSING
    return _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _list(values: Sequence[object]) -> str:
    return ", ".join(_cell(value) for value in values)
