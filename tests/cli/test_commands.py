"""What index, search, similar, status and failures write: of real libraries, and of reports with given numbers."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from clipsearch.catalog.reports import FileFailure, IndexPreview, IndexReport, LibraryStatus, RootStatus, StageTime
from clipsearch.cli import cli
from clipsearch.cli.commands.failures import failure_to_json, format_failures
from clipsearch.cli.commands.status import format_status
from clipsearch.cli.output import write_results
from clipsearch.cli.report import format_preview, format_report, format_stages, preview_to_json, report_to_json
from clipsearch.cli.result_format import ResultsFormat
from clipsearch.config import LIBRARY_VARIABLE, library_place
from clipsearch.library import Library
from clipsearch.retrieval.results import SearchResult
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, LoadWith, save_photo

ODD = Path(os.fsdecode(b"/photos/caf\xe9\n.jpg"))

NOTHING_CLEAR = "nothing in this library clearly shows that; the closest:"
Run = Callable[..., Result]


def result(rank: int, path: Path, score: float = 0.25) -> SearchResult:
    return SearchResult(path, score, rank, width=640, height=480, format="JPEG", content_hash=f"{rank:032x}")


def run_cli(*arguments: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="clipsearch", **options)


@pytest.fixture(autouse=True)
def no_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)


@pytest.fixture
def loaded(load_with: LoadWith) -> list[tuple[str, dict[str, Any]]]:
    """Commands load the colour encoder; which specs they asked for, and how they were to run."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def load(spec: str, *, notify: object, **options: Any) -> ColourEncoder:
        asked.append((spec, options))
        return ColourEncoder()

    load_with(load)
    return asked


@pytest.fixture
def run(indexed: Library, loaded: object) -> Run:
    """Runs a command on a library of six photos."""
    return lambda *arguments, **options: run_cli("--library", indexed.path, *arguments, **options)


# ── search and similar ────────────────────────────────────────────────────────


def paths(done: Result) -> list[Path]:
    assert done.exit_code == 0, done.output
    return [Path(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("line", ["?!", "...", "-"])
def test_a_query_without_words_finds_nothing_and_says_so(run: Run, line: str) -> None:
    done = run("search", line, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (3, [])
    assert "there are no words in" in done.stderr


def test_a_filter_is_offered_on_stderr(run: Run) -> None:
    done = run("search", "red", "september", "2015", "--paths")
    assert len(paths(done)) == 6
    assert "'september 2015' looks like a date; to search by it: red date:2015-09" in done.stderr


def test_words_are_one_query(run: Run, indexed: Library, photos: Path) -> None:
    found = paths(run("search", "blue", "ext:png", "-k", "3", "--paths"))
    assert found == [item.path for item in indexed.search("blue ext:png", k=3)]
    assert found[0].name == "blue.png" and len(found) == 3


def test_pictures_are_compared_with_together(run: Run, indexed: Library, photos: Path) -> None:
    blue = f"~#{indexed.search('blue', k=1)[0].content_hash[:8]}"
    found = paths(run("similar", photos / "red.png", blue, "--paths", "-k", "4"))
    assert found == [item.path for item in indexed.similar([str(photos / "red.png"), blue], k=4)]
    assert not {"red.png", "blue.png"} & {path.name for path in found}


def test_piped_results_are_aligned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = [result(rank, tmp_path / f"{rank}.jpg", score=1 / rank - 0.2) for rank in range(1, 11)]
    write_results(found, k=10, results_format=ResultsFormat())
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:2] == [" 1   0.800  640×480  1.jpg", " 2   0.300  640×480  2.jpg"]
    assert shown.out.splitlines()[-1] == "10  -0.100  640×480  10.jpg"
    assert shown.err == ""


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_results([result(1, Path("/p/[red]x.jpg")), result(2, ODD)], k=2, results_format=ResultsFormat())
    shown = capsys.readouterr().out
    assert "Score" in shown and "0.250" in shown and "640×480" in shown
    assert "/p/[red]x.jpg" in shown and r"/photos/caf\xe9\n.jpg" in shown


def test_json_is_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    write_results([result(1, ODD, score=0.1234567)], k=1, results_format=ResultsFormat(as_json=True))
    written = json.loads(capsys.readouterr().out)
    assert written == [
        {
            "rank": 1,
            "score": 0.123457,
            "path": str(ODD),
            "width": 640,
            "height": 480,
            "format": "JPEG",
            "taken_at": None,
            "taken_source": None,
            "taken_precision": None,
            "latitude": None,
            "longitude": None,
            "position_source": None,
            "place": None,
            "segment": {"kind": "image", "start_s": None, "end_s": None, "at_s": None},
            "duration_s": None,
            "online": True,
            "content_hash": f"{1:032x}",
            "thumbnail": None,
            "copies": [],
            "match": None,
            "probability": None,
            "near_duplicates": [],
            "part": None,
            "stack": [],
            "matched": [],
        }
    ]
    assert os.fsencode(written[0]["path"]) == os.fsencode(ODD)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_paths_are_the_bytes_on_the_disk(run: Run, indexed: Library, photos: Path) -> None:
    odd = photos / ODD.name
    Image.open(photos / "red.png").save(photos / "copy.jpg")
    (photos / "copy.jpg").rename(odd)
    indexed.index(photos)
    for command, what in (("search", "red ext:jpg"), ("similar", photos / "red.png")):
        found = run(command, what, "--json", "-k", "2")
        names = [os.fsencode(item["path"]) for item in json.loads(found.stdout)]
        assert os.fsencode(odd) in names and len(names) == 2
        assert run(command, what, "-k", "2", "--paths").stdout_bytes == b"".join(name + b"\n" for name in names)
        for null in (["-0"], ["--paths", "--null"]):
            assert run(command, what, "-k", "2", *null).stdout_bytes == b"".join(name + b"\0" for name in names)


def test_fewer_results_than_wanted_is_said(run: Run) -> None:
    done = run("search", "ext:webp", "-k", "50")
    assert done.exit_code == 0
    assert done.stderr == "only 1 result\n"


def test_no_results_is_said(run: Run, photos: Path) -> None:
    done = run("similar", photos / "red.png", "--where", "ext:gif", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (3, [])
    assert done.stderr == "no results\n"


def test_results_of_which_none_is_possible_have_a_heading(run: Run) -> None:
    done = run("search", "deep hole")
    assert done.stderr.splitlines()[0] == NOTHING_CLEAR
    assert len(done.stdout.splitlines()) == 6
    for query in ("ext:png", "red"):
        assert NOTHING_CLEAR not in run("search", query).stderr


def test_an_empty_query_is_one_line(run: Run) -> None:
    done = run("search", "")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the query is empty" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("search",), "missing argument 'QUERY...'"),
        (("similar",), "missing argument 'PICTURE...'"),
        (("search", "x", "-k", "0"), "'-k': must be at least 1, not 0"),
        (("similar", "x", "-k", "-3"), "'-k': must be at least 1, not -3"),
        (("search", "x", "-k", "many"), "'many' is not a valid integer"),
        (("search", "x", "--json", "--paths"), "--json cannot be combined with --paths or -0"),
        (("failures", "--json", "-0"), "--json cannot be combined with --paths or -0"),
        (("search", "x", "--runtime", "abacus"), "'abacus' is not one of"),
        (("index", "--wait", "-1"), "-1.0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], part: str) -> None:
    done = run_cli(*arguments)
    assert done.exit_code == 2
    assert part in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


# ── options that hold everywhere ──────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "variable", "directory"),
    [
        (("search", "x"), None, None),
        (("search", "x"), "{}/env", "{}/env"),
        (("search", "x"), "~/env", "{}/env"),
        (("--library", "{}/lib", "search", "x"), None, "{}/lib"),
        (("--library", "{}/lib", "search", "x"), "{}/env", "{}/lib"),
        (("search", "x", "--library", "{}/lib"), "{}/env", "{}/lib"),
        (("--library", "{}/one", "search", "x", "--library", "{}/two"), None, "{}/two"),
    ],
)
def test_where_the_library_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    variable: str | None,
    directory: str | None,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    place = directory.format(tmp_path) if directory else library_place()
    done = run_cli(
        *(word.format(tmp_path) for word in arguments),
        env={LIBRARY_VARIABLE: variable.format(tmp_path) if variable else None},
    )
    assert done.exit_code == 1
    assert f"no library in {place};" in done.stderr


def test_model_runtime_and_device_reach_what_loads_the_model(
    loaded: list[tuple[str, dict[str, Any]]], photos: Path, tmp_path: Path
) -> None:
    library = ("--library", tmp_path / "library")
    run_cli(*library, "index", photos, "--model", "mini", "--runtime", "compiled", "--device", "cpu")
    run_cli(*library, "search", "red", "--runtime", "open-clip")
    assert loaded == [
        ("mini", {"runtime": "compiled", "device": "cpu", "many_images": True}),
        (ColourEncoder.spec, {"runtime": "open-clip", "device": "auto"}),
    ]


# ── index ─────────────────────────────────────────────────────────────────────


def test_a_report_for_people() -> None:
    empty = [FileFailure(Path(f"/p/{name}.jpg"), "the file is empty") for name in "ab"]
    failures = [FileFailure(Path("/p/c\n.jpg"), "damaged"), *empty]
    report = IndexReport(
        8, 2, 1234, moved=5, removed=3, missing=7, failures=failures, offline=[Path("/usb")], seconds=4.0
    )
    assert format_report(report).splitlines() == [
        "indexed    10 pictures in 4.0 s, 2.0 images/s (2 with reused embeddings)",
        "unchanged  1,234",
        "removed    3 (and 5 moved)",
        "missing    7 (kept; list them with: clipsearch index --dry-run)",
        "offline    /usb",
        "failed     3",
        "  2 × the file is empty",
        "  1 × damaged",
    ]
    assert format_report(IndexReport()).startswith("indexed    0 pictures in 0.0 s\n")


def test_a_report_as_json() -> None:
    report = IndexReport(
        1,
        2,
        3,
        moved=1,
        removed=4,
        failures=[FileFailure(ODD, "damaged")],
        offline=[Path("/usb")],
        seconds=1.23456,
        stages=(StageTime("decode", 0.12345, 2),),
        excluded=5,
        unread={"mp4": 2},
    )
    assert report_to_json(report) == {
        "indexed": 3,
        "embedded": 1,
        "reused": 2,
        "unchanged": 3,
        "sidecars": 0,
        "moved": 1,
        "removed": 4,
        "missing": 0,
        "excluded": 5,
        "unread": {"mp4": 2},
        "offline": ["/usb"],
        "skipped": [{"path": str(ODD), "reason": "damaged"}],
        "seconds": 1.235,
        "stages": [{"stage": "decode", "seconds": 0.123, "processes": 2}],
    }


def test_a_profile_shows_where_the_time_went() -> None:
    stages = (StageTime("decode", 3.0, 2), StageTime("embed", 1.0, 0), StageTime("commit", 0.0, 0))
    assert format_stages(IndexReport(30, 0, 0, seconds=4.0, stages=stages)).splitlines() == [
        "stage                 seconds       share  images/s",
        "decode *                 3.00         38%        20",
        "embed                    1.00         25%        30",
        "commit                   0.00          0%",
        "* in 2 decoding processes",
    ]


def test_index_sums_up(run: Run, indexed: Library, photos: Path, tmp_path: Path) -> None:
    indexed.saved.add("beach", "red")
    save_photo(tmp_path / "more" / "dark red.png", (230, 5, 5))
    (photos / "bad\n.jpg").write_bytes(b"")
    done = run("index", tmp_path / "more", photos, "--profile")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("indexed    1 picture in ")
    assert lines[1:5] == ["unchanged  6", "removed    0", "failed     1", "  1 × the file is empty"]
    assert "beach" in lines[5]
    assert "stage                 seconds       share  images/s" in lines
    assert rf"skipping {photos}/bad\n.jpg: the file is empty" in done.stderr.splitlines()
    save_photo(tmp_path / "more" / "darker red.png", (220, 5, 5))
    written = json.loads(run("index", "--json").stdout)
    assert (written["indexed"], written["unchanged"]) == (1, 7)
    assert [(match["name"], match["line"]) for match in written["new_matches"]] == [("beach", "red")]
    assert run("index").stdout.startswith("indexed    0 pictures in ")


def test_what_changed_under_the_same_size_and_time_is_found_by_reading(run: Run, photos: Path) -> None:
    picture = save_photo(photos / "x.bmp", "red")
    assert run("index").exit_code == 0
    before = picture.stat()
    save_photo(picture, "green")
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert picture.stat().st_size == before.st_size
    assert json.loads(run("index", "--json").stdout)["embedded"] == 0
    assert json.loads(run("index", "--verify", "--json").stdout)["embedded"] == 1


@pytest.mark.long
def test_another_writer_is_waited_for(run: Run, indexed: Library) -> None:
    locked = threading.Event()

    def write() -> None:
        with writer_lock(indexed.path):
            locked.set()
            time.sleep(2)

    writer = threading.Thread(target=write)
    writer.start()
    assert locked.wait(30)
    assert run("index", "--wait", "60").exit_code == 0
    writer.join()


def test_a_preview_for_people_and_programs() -> None:
    preview = IndexPreview([Path("/p/new.jpg")], 5, [ODD], [FileFailure(Path("/p/bad.jpg"), "damaged")])
    assert format_preview(preview).splitlines() == [
        r"missing    /photos/caf\xe9\n.jpg",
        "would index  1 new or changed file",
        "would remove 1 path of missing, renamed or moved files",
        "would skip   5 unchanged, 1 failed before",
    ]
    assert preview_to_json(preview) == {
        "to_read": ["/p/new.jpg"],
        "gone": [str(ODD)],
        "excluded": [],
        "unread": {},
        "unchanged": 5,
        "offline": [],
        "failures": [{"path": "/p/bad.jpg", "reason": "damaged"}],
    }


def test_a_dry_run_changes_nothing(
    run: Run, indexed: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    (photos / "red.png").rename(photos / "new.png")
    revision = indexed.revision()
    assert run("index", "-n").stdout.splitlines()[0] == "missing    red.png"
    written = json.loads(run("index", "--dry-run", "--json").stdout)
    assert (written["to_read"], written["gone"]) == ([str(photos / "new.png")], [str(photos / "red.png")])
    monkeypatch.chdir(photos.parent)
    relative = json.loads(run("index", photos.name, "--dry-run", "--json").stdout)
    assert relative == written, "a relative path is the same root, counted once"
    assert indexed.revision() == revision
    nowhere = run_cli("--library", tmp_path / "nowhere", "index", "-n", photos)
    assert nowhere.exit_code == 1 and not (tmp_path / "nowhere").exists()


# ── status and failures ───────────────────────────────────────────────────────


def test_a_status_for_people() -> None:
    state = LibraryStatus(
        path=Path("/data/library"),
        model="mini",
        precision="fp32/int8",
        dim=384,
        files=1200,
        images=1100,
        failures=1,
        interrupted=None,
        bytes_on_disk=2_000_000,
        roots=[RootStatus(Path("/photos"), 1199, True), RootStatus(Path("/usb"), 1, False)],
    )
    assert format_status(state).splitlines() == [
        "library    /data/library",
        "model      mini (fp32/int8, 384 dimensions)",
        "files      1,200 (1,100 distinct pictures)",
        "on disk    1.9 MiB",
        "failures   1 (see: clipsearch failures)",
        "root       /photos (1,199 files)",
        "root       /usb (1 file, offline)",
    ]


def test_status_of_a_new_library(library: Library) -> None:
    shown = run_cli("--library", library.path, "status").stdout
    assert "model      none yet\n" in shown
    assert "add one with: clipsearch index FOLDER" in shown


def test_status_for_people_and_programs(run: Run, indexed: Library, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    indexed.index(photos)
    photos.rename(photos.parent / "away")
    assert run("status").stdout == format_status(indexed.status()) + "\n"
    plain = json.loads(run("status", "--json").stdout)
    assert (plain["library"], plain["model"], plain["failures"]) == (str(indexed.path), "hf-hub:tests/colours", 1)
    assert plain["folders"] == [{"path": str(photos), "files": 6, "online": False}]


def test_failures_for_people_and_programs(
    run: Run, indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("failures").stdout == "no failures\n"
    failed = FileFailure(ODD, "damaged", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert format_failures([failed]).endswith(r"/photos/caf\xe9\n.jpg: damaged")
    assert failure_to_json(failed) == {"path": str(ODD), "reason": "damaged", "time": "2026-01-02T03:04:05+00:00"}
    bad = photos / "bad\n.jpg"
    bad.write_bytes(b"")
    indexed.index(photos)
    monkeypatch.chdir(photos)
    assert run("failures").stdout.endswith(r"  bad\n.jpg: the file is empty" + "\n")
    (listed,) = json.loads(run("failures", "--json").stdout)
    assert (listed["path"], listed["reason"]) == (str(bad), "the file is empty")
    assert run("failures", "-0").stdout_bytes == os.fsencode(bad) + b"\0"
