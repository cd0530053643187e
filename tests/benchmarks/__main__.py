"""Runs the suite and writes its report.

    python -m tests.benchmarks [--output DIR] [--quick] [--only SECTION]... [--data DIR] [--reference SPEC]
        [--cores N] [--cache DIR]

Prints the report as Markdown, or with --output writes ``benchmarks.json`` and ``benchmarks.md`` there, after each
section, so that nothing is lost of a run that is broken off. With --only, the sections that a report there has from an
earlier run stay in it; each says when it was begun, and on which machine if on another. A section that fails is in the
report with its reason; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from clipsearch.config import cache_dir
from tests.benchmarks.aims import judge
from tests.benchmarks.machine import IDENTITY, describe_machine, limit_cores
from tests.benchmarks.rclip_peer import Rclip, install
from tests.benchmarks.report import Report, to_markdown
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import CHECKOUT, BenchmarkError, Figures, LeftOut, offline, run, say

SECTIONS = (
    "indexing",
    "limits",
    "scaling",
    "cuda",
    "video",
    "rescan",
    "memory",
    "quality",
    "footprint",
    "queries",
    "vector_index",
    "milvus",
)
"""Modules of this package, each with ``measure(setting) -> dict``, in the report's order: the longest last."""


def main() -> int:
    """Run what is asked for; 0 if all of it could be measured."""
    options = _parse_options()
    limit_cores(options.cores)
    options.cache.mkdir(parents=True, exist_ok=True)
    report: Report = {
        "begun": _now(),
        "minutes": 0.0,
        "quick": options.quick,
        "machine": describe_machine(),
        "peer": {},
        "aims": [],
        "sections": {},
        "section_begun": {},
        "section_machine": {},
    }
    if options.only and options.output is not None:
        keep_earlier(report, options.output / "benchmarks.json")
    peer = _prepare(options, report)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=options.cache) as scratch:
        setting = Setting(
            cache=options.cache,
            scratch=Path(scratch),
            quick=options.quick,
            data=options.data,
            peer=peer,
            reference=options.reference,
        )
        measure_sections(options.only or SECTIONS, setting, report, output=options.output)
    if options.output is None:
        print(to_markdown(report))
    return int(any("failed" in figures for figures in report["sections"].values()) or "failed" in report["peer"])


def measure_sections(names: tuple[str, ...], setting: Setting, report: Report, *, output: Path | None) -> None:
    """Measure sections one after the other into a report, whatever becomes of each."""
    started = time.perf_counter()
    for name in names:
        say(name)
        begun = time.perf_counter()
        report["section_begun"][name] = _now()
        report["section_machine"][name] = {key: report["machine"][key] for key in IDENTITY}
        try:
            figures = import_module(f"tests.benchmarks.{name}").measure(setting)
        except LeftOut as error:
            figures = {"left_out": str(error)}
        except Exception as error:  # one section's fault must not cost the figures of the others
            traceback.print_exc()
            figures = {"failed": _reason(error, setting)}
        report["sections"][name] = figures
        report["sections"] = {each: report["sections"][each] for each in SECTIONS if each in report["sections"]}
        report["aims"] = judge(comparable(report))
        report["minutes"] = round((time.perf_counter() - started) / 60, 1)
        say(f"{name}: {time.perf_counter() - begun:.0f} s")
        if output is not None:
            write_report(report, output)


def keep_earlier(report: Report, path: Path) -> None:
    """Take over the sections of an earlier report that was made in the same way; each says on which machine."""
    if not path.is_file():
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if earlier["quick"] == report["quick"]:
        whole = {key: earlier["machine"].get(key) for key in IDENTITY}
        report["sections"] = earlier["sections"]
        report["section_begun"] = earlier["section_begun"]
        report["section_machine"] = {
            name: earlier.get("section_machine", {}).get(name, whole) for name in earlier["sections"]
        }


def comparable(report: Report) -> dict[str, Figures]:
    """The sections, without the bare limits if indexing was measured on another machine than these."""
    machines = report["section_machine"]
    together = "limits" not in machines or machines["limits"] == machines.get("indexing", machines["limits"])
    return {name: figures for name, figures in report["sections"].items() if together or name != "limits"}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def write_report(report: Report, folder: Path) -> None:
    """Write ``benchmarks.json`` and ``benchmarks.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / "benchmarks.json").write_text(text, encoding="utf-8")
    (folder / "benchmarks.md").write_text(to_markdown(report), encoding="utf-8")


def _prepare(options: argparse.Namespace, report: Report) -> Rclip | None:
    """Make the models and install the peer; unavailable ones are reported and skipped by their sections."""
    models = options.cache / "models"
    try:
        say("preparing the models (some minutes the first time)")
        run([sys.executable, "-m", "tests.benchmarks.models", str(models)], environment=offline())
        if options.no_peer:
            report["peer"] = {"left_out": "--no-peer"}
            return None
        say("installing rclip into an environment of its own, unless it is there")
        peer = install(options.cache, models)
        report["peer"] = peer.versions()
    except BenchmarkError as error:
        say(str(error))
        report["peer"] = {"failed": str(error)}
        return None
    return peer


def _reason(error: Exception, setting: Setting) -> str:
    """An error in one line that names no folder of this machine."""
    text = (str(error).strip().splitlines() or [""])[0]
    for folder, name in ((setting.cache, "CACHE"), (CHECKOUT, "CHECKOUT"), (Path.home(), "~")):
        text = text.replace(str(folder), name)
    return text if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {text}"


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the report there instead of printing it")
    parser.add_argument("--quick", action="store_true", help="few photos and rounds: only to see that all of it works")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section to measure; may be repeated")
    parser.add_argument("--data", type=Path, metavar="DIR", help="holds flickr8k/captions.tsv and flickr8k/images")
    parser.add_argument("--reference", metavar="SPEC", help="the bundled model in fp32, to compare its hit rates with")
    parser.add_argument("--cores", type=int, metavar="N", help="keep every program to so many cores (Linux)")
    parser.add_argument("--no-peer", action="store_true", help="leave rclip out")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", default=cache_dir() / "benchmarks", help="for photos, models and the peer"
    )
    options = parser.parse_args()
    options.cache = options.cache.absolute()
    options.data = options.data and options.data.absolute()
    options.only = tuple(options.only or ())
    return options


if __name__ == "__main__":
    sys.exit(main())
