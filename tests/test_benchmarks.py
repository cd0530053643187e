"""The benchmark suite's own logic: what is measured is left to `make bench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from tests.benchmarks import __main__ as suite
from tests.benchmarks.aims import AIMS, judge
from tests.benchmarks.libraries import fill_library, made_up_files
from tests.benchmarks.machine import IDENTITY
from tests.benchmarks.memory import peak_mib
from tests.benchmarks.photos import PhotoSize, photo_folder
from tests.benchmarks.report import Report, to_markdown
from tests.benchmarks.rescan import measure as measure_rescan
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import BenchmarkError, alternate, growth_exponent, latency, offline, run
from tests.benchmarks.warm_queries import query_text
from tests.conftest import ColourEncoder


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(cache=tmp_path, scratch=tmp_path, quick=True)


@pytest.mark.parametrize(("power", "exponent"), [(0, 0), (1, 1), (2, 2)])
def test_growth_exponent(power: int, exponent: float) -> None:
    sizes = [10, 100, 1000]
    assert growth_exponent(sizes, [3.0 * size**power for size in sizes]) == exponent


def test_growth_needs_two_sizes() -> None:
    with pytest.raises(BenchmarkError):
        growth_exponent([10, 10], [1.0, 2.0])


def test_latency_is_told_in_milliseconds() -> None:
    figures = latency([number / 1000 for number in range(101)])
    assert figures == {"p50_ms": 50, "p95_ms": 95, "min_ms": 0, "runs": 101}


def test_candidates_take_turns() -> None:
    order: list[str] = []

    def measure(name: str, number: int) -> float:
        order.append(name)
        return number

    times, failed = alternate({name: lambda number, name=name: measure(name, number) for name in "ab"}, rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert times == {"a": [0, 1], "b": [0, 1]}
    assert not failed


def test_a_candidate_that_fails_costs_no_other() -> None:
    def fail_later(number: int) -> float:
        if number == 1:
            raise BenchmarkError("worn out")
        return 1.0

    times, failed = alternate({"a": fail_later, "b": float}, rounds=3)
    assert times == {"b": [0, 1, 2]}
    assert failed == {"a": "worn out"}


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('out of paper')"]
    with pytest.raises(BenchmarkError, match="status 1: out of paper"):
        run(command, environment=offline())


def test_queries_do_not_come_twice() -> None:
    assert len({query_text(number) for number in range(640)}) == 640


def test_photos_are_contents_of_their_own_with_exif(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path, PhotoSize("small", 160, 120), 30)
    paths = sorted(folder.iterdir())
    assert len({content_hash(path.read_bytes()) for path in paths}) == 30
    for path in (paths[0], paths[-1]):
        with Image.open(path) as image:
            assert image.size == (160, 120)
            assert image.getexif().get_ifd(0x8769)[0xA431] == f"{int(path.stem[-5:]):08}"
            image.load()
    before = paths[0].stat().st_mtime_ns
    assert photo_folder(tmp_path, PhotoSize("small", 160, 120), 30) == folder
    assert paths[0].stat().st_mtime_ns == before


def test_a_filled_library_is_searched_like_one_that_was_indexed(tmp_path: Path, encoder: ColourEncoder) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    fill_library(tmp_path / "library", root=root, files=made_up_files(50), count=50, encoder=encoder)
    with Library.open(tmp_path / "library", encoder=encoder) as library:
        results = library.search("red", k=50)
        assert len({result.path for result in results}) == 50
        assert results[0].path.is_relative_to(root)
        assert not any(finding.is_damage for finding in library.maintenance.check().findings)


def test_rescanned_files_are_unchanged(setting: Setting) -> None:
    figures = measure_rescan(setting)
    assert all(rates["whole_run_files_per_s"] > 0 for rates in figures["sizes"].values())  # type: ignore[attr-defined]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is measured on Linux only")
def test_memory_of_child_processes_counts() -> None:
    child = "import time; held = b'x' * 2**27; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert 128 < peak_mib([sys.executable, "-c", parent], environment=offline()) < 256


def test_a_section_that_fails_costs_no_other(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Setting) -> dict[str, object]:
        raise RuntimeError(f"no room in {tmp_path}")

    def whole(_: Setting) -> dict[str, object]:
        rates = {"mini": {"@1": 1.0, "@5": 2.0, "@10": 3.25}, "reference": {"@1": 1.0, "@5": 2.0, "@10": 3.5}}
        return {"captions": "a set", "hit_rates": rates}

    monkeypatch.setattr("tests.benchmarks.memory.measure", broken)
    monkeypatch.setattr("tests.benchmarks.quality.measure", whole)
    monkeypatch.setattr(suite, "_prepare", lambda _options, _report: None)
    monkeypatch.setattr(
        sys,
        "argv",
        ["", "--only", "memory", "--only", "quality", "--output", str(tmp_path / "out"), "--cache", str(tmp_path)],
    )
    assert suite.main() == 1
    report = json.loads((tmp_path / "out" / "benchmarks.json").read_text(encoding="utf-8"))
    assert report["sections"]["memory"] == {"failed": "RuntimeError: no room in CACHE"}
    assert report["sections"]["quality"]["hit_rates"]["mini"]["@10"] == 3.25
    markdown = (tmp_path / "out" / "benchmarks.md").read_text(encoding="utf-8")
    assert "Failed: RuntimeError: no room in CACHE" in markdown
    assert "| mini | 1 | 2 | 3.25 |" in markdown

    monkeypatch.setattr("tests.benchmarks.memory.measure", lambda _: {"left_out": "for now"})
    monkeypatch.setattr(
        sys, "argv", ["", "--only", "memory", "--output", str(tmp_path / "out"), "--cache", str(tmp_path)]
    )
    assert suite.main() == 0
    again = json.loads((tmp_path / "out" / "benchmarks.json").read_text(encoding="utf-8"))
    assert again["sections"] == {"memory": {"left_out": "for now"}, "quality": report["sections"]["quality"]}
    assert again["section_begun"]["quality"] == report["section_begun"]["quality"]
    assert "| hit rate @10 that int8 costs mini, points | ≤ 0.5 | 0.25 | ✓ |" in markdown


def report_of(machine: dict[str, object]) -> Report:
    return {
        "begun": "today",
        "minutes": 1.0,
        "quick": False,
        "machine": {"memory_gib": 4, "system": "Linux", "python": "3", "sqlite": "3", "libraries": {}} | machine,
        "peer": {"left_out": "for now"},
        "aims": [],
        "sections": {},
        "section_begun": {},
        "section_machine": {},
    }


def test_sections_of_another_machine_stay_and_say_so(tmp_path: Path) -> None:
    rescan = {"sizes": {}, "growth": {"files": [], "exponent": 1.0}}
    earlier = report_of({"cpu": "Old", "cores": 2, "load_before": 0.0})
    earlier |= {"sections": {"rescan": rescan, "limits": {"left_out": "for now"}}}
    earlier["section_begun"] = dict.fromkeys(earlier["sections"], "yesterday")
    (tmp_path / "benchmarks.json").write_text(json.dumps(earlier), encoding="utf-8")

    report = report_of({"cpu": "New", "instructions": ["AMX"], "cores": 2, "load_before": 0.0})
    suite.keep_earlier(report, tmp_path / "benchmarks.json")
    assert report["sections"] == earlier["sections"]
    assert report["section_machine"]["rescan"]["cpu"] == "Old"
    here = {key: report["machine"].get(key) for key in IDENTITY}
    report["sections"]["indexing"] = {"left_out": "for now"}
    report["section_begun"]["indexing"], report["section_machine"]["indexing"] = "today", here
    assert "limits" not in suite.comparable(report)  # a share of another machine's limits says nothing
    markdown = to_markdown(report)
    assert "- Machine: New, AMX, 2 cores" in markdown and "another machine, which each says: rescan, limits" in markdown
    assert "Begun yesterday on Old, 2 cores" in markdown and "Begun today.\n" in markdown

    report["section_machine"]["limits"] = here
    assert "limits" in suite.comparable(report)


def test_aims_that_were_not_measured_are_neither_reached_nor_missed() -> None:
    judged = judge({"indexing": {"failed": "no photos"}})
    assert len(judged) == len(AIMS)
    assert all(row["figure"] is None and row["reached"] is None for row in judged)
    rescan = {"sizes": {"100000": {"whole_run_files_per_s": 49_999}}}
    (row,) = [row for row in judge({"rescan": rescan}) if row["figure"] is not None]
    assert row["reached"] is False
