"""What index, search, similar and status write, over a stand-in for the library."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from clipsearch.catalog.reports import StageTime
from clipsearch.cli import cli
from clipsearch.errors import QueryError
from clipsearch.library import (
    FileFailure,
    IndexPreview,
    IndexProgress,
    IndexReport,
    LibraryStatus,
    RootStatus,
    SearchResult,
)
from clipsearch.retrieval.results import SearchOptions
from clipsearch.retrieval.saved_searches import NewMatches

ODD = Path(os.fsdecode(b"/photos/caf\xe9\n.jpg"))


def result(rank: int, path: Path, score: float = 0.25) -> SearchResult:
    return SearchResult(path, score, rank, width=640, height=480, format="JPEG", content_hash=f"{rank:032x}")


@dataclass
class StubLibrary:
    """Answers as told, and remembers what it was asked."""

    results: list[SearchResult] = field(default_factory=list)
    report: IndexReport = field(default_factory=IndexReport)
    preview: IndexPreview = field(default_factory=IndexPreview)
    state: LibraryStatus | None = None
    failed: list[FileFailure] = field(default_factory=list)
    matches: list[NewMatches] = field(default_factory=list)
    opened: list[tuple[Path | None, dict[str, Any]]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def open(self, path: Path | None = None, *, notify: Any = None, **options: Any) -> Self:
        self.opened.append((path, options))
        self.notify = notify
        return self

    @property
    def saved(self) -> Self:
        return self

    @property
    def maintenance(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def index(self, *folders: Path, progress: Any, **options: Any) -> IndexReport:
        self.asked.append((folders, {name: value for name, value in options.items() if value}))
        progress(IndexProgress(1, 2, 3.0, 4.0))
        for failure in self.report.failures:
            self.notify(f"skipping {failure.path}: {failure.reason}")
        return self.report

    def preview_index(self, *folders: Path, **options: bool) -> IndexPreview:
        self.asked.append((folders, options))
        return self.preview

    def new_matches(self) -> list[NewMatches]:
        return self.matches

    def search(self, query: str, options: SearchOptions, **overrides: Any) -> list[SearchResult]:
        self.asked.append((query, options.k))
        if not query.strip():
            raise QueryError("the query is empty")
        return self.results[: options.k]

    def similar(self, pictures: Sequence[str], options: SearchOptions, **overrides: Any) -> list[SearchResult]:
        return self.search(", ".join(pictures), options)

    def status(self) -> LibraryStatus:
        assert self.state is not None
        return self.state

    def failures(self) -> list[FileFailure]:
        return self.failed


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> StubLibrary:
    stub = StubLibrary()
    monkeypatch.setattr("clipsearch.library.Library", stub)
    monkeypatch.delenv("CLIPSEARCH_LIBRARY", raising=False)
    return stub


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="clipsearch", **options)


# ── search and similar ────────────────────────────────────────────────────────


def test_words_are_one_query(library: StubLibrary) -> None:
    run("search", "two", "dogs", "-k", "7")
    run("similar", "a photo.jpg")
    run("similar", "a.jpg", "~#00ff00")
    assert library.asked == [("two dogs", 7), ("a photo.jpg", 10), ("a.jpg, ~#00ff00", 10)]


def test_piped_results_are_aligned(library: StubLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    library.results = [result(rank, tmp_path / f"{rank}.jpg", score=1 / rank - 0.2) for rank in range(1, 11)]
    done = run("search", "dogs")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [" 1   0.800  640×480  1.jpg", " 2   0.300  640×480  2.jpg"]
    assert done.stdout.splitlines()[-1] == "10  -0.100  640×480  10.jpg"
    assert done.stderr == ""


def test_a_terminal_gets_a_table(
    library: StubLibrary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from clipsearch.cli.output import write_results
    from clipsearch.cli.result_format import ResultsFormat

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_results([result(1, Path("/p/[red]x.jpg")), result(2, ODD)], k=2, results_format=ResultsFormat())
    shown = capsys.readouterr().out
    assert "Score" in shown and "0.250" in shown and "640×480" in shown
    assert "/p/[red]x.jpg" in shown and r"/photos/caf\xe9\n.jpg" in shown


def test_json_is_a_list_of_objects(library: StubLibrary) -> None:
    library.results = [result(1, ODD, score=0.1234567)]
    done = run("search", "dogs", "--json", "-k", "1")
    assert json.loads(done.stdout) == [
        {
            "rank": 1,
            "score": 0.123457,
            "path": str(ODD),
            "width": 640,
            "height": 480,
            "format": "JPEG",
            "taken_at": None,
            "online": True,
            "content_hash": f"{1:032x}",
            "thumbnail": None,
            "copies": [],
            "match": None,
            "probability": None,
            "near_duplicates": [],
            "part": None,
        }
    ]
    assert os.fsencode(json.loads(done.stdout)[0]["path"]) == os.fsencode(ODD)
    assert json.loads(run("search", "--json", "-k", "1", "dogs").stdout)


@pytest.mark.parametrize("command", ["search", "similar"])
def test_paths_are_the_bytes_on_the_disk(library: StubLibrary, command: str) -> None:
    library.results = [result(1, ODD), result(2, Path("/photos/b c.jpg"))]
    odd, plain = os.fsencode(ODD), os.fsencode(Path("/photos/b c.jpg"))
    assert run(command, "x", "--paths").stdout_bytes == odd + b"\n" + plain + b"\n"
    assert run(command, "x", "-0").stdout_bytes == odd + b"\0" + plain + b"\0"
    assert run(command, "x", "--paths", "--null").stdout_bytes == odd + b"\0" + plain + b"\0"


def test_fewer_results_than_wanted_is_said(library: StubLibrary) -> None:
    library.results = [result(1, Path("/a.jpg"))]
    done = run("search", "dogs", "-k", "50")
    assert done.exit_code == 0
    assert done.stderr == "1 result, not 50: no other picture passes\n"


def test_no_results_is_said(library: StubLibrary) -> None:
    done = run("similar", "x.jpg", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (3, [])
    assert done.stderr.startswith("nothing found: ")


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (("search",), 2, "Missing argument 'QUERY...'"),
        (("similar",), 2, "Missing argument 'PHOTO...'"),
        (("search", "x", "-k", "0"), 2, "'-k': must be at least 1, not 0"),
        (("similar", "x", "-k", "-3"), 2, "'-k': must be at least 1, not -3"),
        (("search", "x", "-k", "many"), 2, "'many' is not a valid integer"),
        (("search", "x", "--json", "--paths"), 2, "--json does not go with --paths or -0"),
        (("search", "x", "--runtime", "abacus"), 2, "'abacus' is not one of"),
        (("search", ""), 1, "the query is empty"),
        (("index", "--wait", "-1"), 2, "-1.0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(library: StubLibrary, arguments: tuple[str, ...], status: int, part: str) -> None:
    done = run(*arguments)
    assert done.exit_code == status
    assert part in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


# ── options that hold everywhere ──────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "variable", "directory"),
    [
        (("search", "x"), None, None),
        (("search", "x"), "/env", "/env"),
        (("--library", "/lib", "search", "x"), None, "/lib"),
        (("--library", "/lib", "search", "x"), "/env", "/lib"),
        (("search", "x", "--library", "/lib"), "/env", "/lib"),
        (("--library", "/one", "search", "x", "--library", "/two"), None, "/two"),
    ],
)
def test_where_the_library_is(
    library: StubLibrary, arguments: tuple[str, ...], variable: str | None, directory: str | None
) -> None:
    run(*arguments, env={"CLIPSEARCH_LIBRARY": variable})
    assert library.opened[0][0] == (Path(directory) if directory else None)


def test_a_tilde_in_the_variable_is_the_home_directory(library: StubLibrary) -> None:
    run("search", "x", env={"CLIPSEARCH_LIBRARY": "~/lib"})
    assert library.opened[0][0] == Path.home() / "lib"


def test_model_runtime_and_device_reach_the_library(library: StubLibrary) -> None:
    run("index", "a", "--model", "mini", "--runtime", "compiled", "--device", "cpu")
    run("search", "x", "--runtime", "open-clip")
    assert [options for _, options in library.opened] == [
        {"model": "mini", "runtime": "compiled", "device": "cpu", "create": True},
        {"model": None, "runtime": "open-clip", "device": "auto", "create": False},
    ]


# ── index ─────────────────────────────────────────────────────────────────────


def test_index_sums_up(library: StubLibrary) -> None:
    empty = [FileFailure(Path(f"/p/{name}.jpg"), "the file is empty") for name in "ab"]
    failures = [FileFailure(Path("/p/c\n.jpg"), "damaged"), *empty]
    library.report = IndexReport(
        8, 2, 1234, moved=5, removed=3, missing=7, failures=failures, offline=[Path("/usb")], seconds=4.0
    )
    done = run("index", "a", "b", "--verify", "--wait", "2.5")
    assert library.asked == [((Path("a"), Path("b")), {"verify": True, "wait_s": 2.5})]
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "indexed    10 pictures in 4.0 s, 2.0 images/s (2 of them moved, copied or restored: no inference needed)",
        "unchanged  1,234",
        "removed    3 (and 5 under their old names)",
        "missing    7 (kept; see: clipsearch index --dry-run)",
        "offline    /usb",
        "skipped    3",
        "  2 × the file is empty",
        "  1 × damaged",
    ]
    assert done.stderr.splitlines()[0] == r"skipping /p/c\n.jpg: damaged"


def test_index_json(library: StubLibrary) -> None:
    library.report = IndexReport(
        1,
        2,
        3,
        moved=1,
        removed=4,
        failures=[FileFailure(ODD, "damaged")],
        offline=[Path("/usb")],
        seconds=1.23456,
        stages=(StageTime("decode", 0.12345, 2),),
    )
    library.matches = [NewMatches("beach", "beach -people", 2)]
    assert json.loads(run("index", "a", "--json").stdout) == {
        "indexed": 3,
        "embedded": 1,
        "reused": 2,
        "unchanged": 3,
        "moved": 1,
        "removed": 4,
        "missing": 0,
        "offline": ["/usb"],
        "skipped": [{"path": str(ODD), "reason": "damaged"}],
        "seconds": 1.235,
        "stages": [{"stage": "decode", "seconds": 0.123, "processes": 2}],
        "new_matches": [{"name": "beach", "line": "beach -people", "count": 2}],
    }


def test_a_profile_shows_where_the_time_went(library: StubLibrary) -> None:
    stages = (StageTime("decode", 3.0, 2), StageTime("embed", 1.0, 0), StageTime("commit", 0.0, 0))
    library.report = IndexReport(30, 0, 0, seconds=4.0, stages=stages)
    assert run("index", "a", "--profile").stdout.splitlines()[-5:] == [
        "stage                 seconds  of the run  images/s",
        "decode *                 3.00         38%        20",
        "embed                    1.00         25%        30",
        "commit                   0.00          0%",
        "* shared by 2 decoding processes beside this one",
    ]


def test_a_dry_run_names_what_is_gone(library: StubLibrary) -> None:
    library.preview = IndexPreview([Path("/p/new.jpg")], 5, [ODD], [FileFailure(Path("/p/bad.jpg"), "damaged")])
    done = run("index", "-n")
    assert library.opened[-1][1]["create"] is False
    assert done.stdout.splitlines() == [
        r"gone       /photos/caf\xe9\n.jpg",
        "would read      1 new or changed file",
        "would remove    1 old name of files gone, renamed or moved",
        "would pass over 5 unchanged, 1 unreadable",
    ]
    assert json.loads(run("index", "--dry-run", "--json").stdout) == {
        "to_read": ["/p/new.jpg"],
        "gone": [str(ODD)],
        "unchanged": 5,
        "offline": [],
        "failures": [{"path": "/p/bad.jpg", "reason": "damaged"}],
    }


def test_nothing_to_do_is_a_summary_of_zeros(library: StubLibrary) -> None:
    done = run("index", "nothing-here")
    assert done.exit_code == 0
    assert done.stdout.startswith("indexed    0 pictures in 0.0 s\n")


def test_no_strong_match_is_said(library: StubLibrary) -> None:
    weak = [replace(result(rank, Path(f"/p/{rank}.jpg")), match="possible", probability=0.5) for rank in (1, 2)]
    library.results = weak
    done = run("search", "dogs")
    assert done.stderr == "no strong match; the nearest are:\n"
    assert done.stdout.splitlines()[0].endswith("/p/1.jpg  (possible)")
    library.results = [replace(weak[0], match="strong", probability=0.95), weak[1]]
    assert run("search", "dogs", "--min-match", "possible").stderr == ""
    assert library.asked[-1] == ("dogs", 10)


# ── status ────────────────────────────────────────────────────────────────────


def state(**changes: Any) -> LibraryStatus:
    values: dict[str, Any] = {
        "path": Path("/data/library"),
        "model": "mini",
        "precision": "fp32/int8",
        "dim": 384,
        "files": 1200,
        "images": 1100,
        "failures": 1,
        "interrupted": None,
        "bytes_on_disk": 2_000_000,
        "roots": [RootStatus(Path("/photos"), 1199, True), RootStatus(Path("/usb"), 1, False)],
    }
    return LibraryStatus(**{**values, **changes})


def test_status_for_people(library: StubLibrary) -> None:
    library.state = state()
    assert run("status").stdout.splitlines() == [
        "library    /data/library",
        "model      mini (fp32/int8, 384 dimensions)",
        "files      1,200 (1,100 distinct pictures)",
        "on disk    1.9 MiB",
        "failures   1 (see: clipsearch failures)",
        "folder     /photos (1,199 files)",
        "folder     /usb (1 file, offline)",
    ]


def test_status_of_a_new_library(library: StubLibrary) -> None:
    library.state = state(model=None, precision=None, dim=None, files=0, images=0, failures=0, roots=[])
    shown = run("status").stdout
    assert "model      none yet\n" in shown
    assert "add one with: clipsearch index FOLDER" in shown


def test_failures_for_people_and_programs(library: StubLibrary) -> None:
    library.failed = [FileFailure(ODD, "damaged", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))]
    assert run("failures").stdout.splitlines()[-1].endswith(r"/photos/caf\xe9\n.jpg: damaged")
    listed = json.loads(run("failures", "--json").stdout)
    assert listed == [{"path": str(ODD), "reason": "damaged", "time": "2026-01-02T03:04:05+00:00"}]
    assert run("failures", "-0").stdout_bytes == b"/photos/caf\xe9\n.jpg\0"
    assert run("failures", "--json", "-0").exit_code == 2
    library.failed = []
    assert run("failures").stdout == "every file could be read\n"


def test_status_json(library: StubLibrary) -> None:
    library.state, library.failed = state(), [FileFailure(ODD, "damaged")]
    plain = json.loads(run("status", "--json").stdout)
    assert plain["model"] == "mini" and plain["failures"] == 1
    assert plain["folders"][1] == {"path": "/usb", "files": 1, "online": False}
