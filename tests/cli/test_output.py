"""The forms of results: data for scripts, copies and links, and what the document promises of them."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from clipsearch.cli.copy_results import Collected, collect
from clipsearch.cli.output import write_results
from clipsearch.cli.result_format import ResultsFormat
from clipsearch.errors import ClipSearchError, ConfigError
from clipsearch.retrieval.results import RESULT_FIELDS, SearchResult, result_to_json
from tests.conftest import ROOT, Notes, save_photo

DOCUMENT = (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
ODD = Path(os.fsdecode(b"/photos/caf\xe9.jpg"))
FULL = SearchResult(
    path=ODD,
    score=0.12345678,
    rank=1,
    width=640,
    height=480,
    format="JPEG",
    content_hash="0123456789abcdef" * 2,
    taken_at=datetime(2021, 6, 15, 12, 30, 1),
    online=False,
    thumbnail=Path("/library/thumbnails/01/0123.jpg"),
    copies=(Path("/photos/copy, of it.jpg"),),
)
BARE = SearchResult(Path('/photos/a "b".png'), None, 2, 1, 2, "PNG", content_hash="0" * 32)


# --- data for scripts -------------------------------------------------------------------------------------


def _schema() -> dict[str, Any]:
    (block,) = re.findall(r"^```json\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    schema: dict[str, Any] = json.loads(block)
    return schema


def test_the_documented_fields_are_those_of_a_result() -> None:
    section = DOCUMENT.partition("## A result as JSON")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    schema = _schema()
    assert (
        listed == list(result_to_json(FULL)) == list(RESULT_FIELDS) == schema["required"] == list(schema["properties"])
    )


@pytest.mark.parametrize("result", [FULL, BARE])
def test_a_result_is_as_the_schema_says(result: SearchResult) -> None:
    types = {"integer": int, "number": float, "string": str, "boolean": bool, "array": list, "null": type(None)}
    types |= {"object": dict}
    for name, value in result_to_json(result).items():
        rules = _schema()["properties"][name]
        allowed = rules["type"] if isinstance(rules["type"], list) else [rules["type"]]
        assert type(value) in [types[kind] for kind in allowed], name
        assert re.search(rules.get("pattern", ""), str(value))
        assert not isinstance(value, int) or value >= rules.get("minimum", value)


def _written(capsysbinary: pytest.CaptureFixture[bytes], **form: bool) -> bytes:
    write_results([FULL, BARE], k=None, results_format=ResultsFormat(**form))
    return capsysbinary.readouterr().out


def test_jsonl_is_the_elements_of_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = _written(capsysbinary, as_jsonl=True).decode("ascii").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(_written(capsysbinary, as_json=True))
    assert json.loads(lines[0])["path"] == str(ODD)


def test_csv_is_rfc_4180(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    written = _written(capsysbinary, as_csv=True).decode("utf-8")
    assert written.count("\r\n") == written.count("\n") == 3
    assert '"/photos/a ""b"".png"' in written
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert rows[0]["path"] == r"/photos/caf\udce9.jpg"
    assert json.loads(f'"{rows[0]["path"]}"') == str(ODD)
    assert json.loads(rows[0]["copies"]) == [str(path) for path in FULL.copies]
    assert (rows[0]["online"], rows[0]["taken_at"]) == ("false", "2021-06-15T12:30:01")
    assert (rows[1]["score"], rows[1]["taken_at"], rows[1]["thumbnail"], rows[1]["copies"]) == ("", "", "", "")


def test_csv_of_nothing_is_the_header(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_results([], k=None, results_format=ResultsFormat(as_csv=True))
    assert capsysbinary.readouterr().out == ",".join(RESULT_FIELDS).encode() + b"\r\n"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"as_json": True, "null": True}, "--json cannot be combined with --paths or -0"),
        ({"as_json": True, "as_jsonl": True}, "--json cannot be combined with --jsonl"),
        (
            {"as_jsonl": True, "as_csv": True, "as_paths": True},
            "--jsonl cannot be combined with --csv and --paths or -0",
        ),
    ],
)
def test_one_form_at_a_time(form: dict[str, bool], message: str) -> None:
    with pytest.raises(click.UsageError, match=re.escape(message)):
        ResultsFormat(**form)  # type: ignore[arg-type]


# --- copies and links -------------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> list[SearchResult]:
    """Three files, two of the same name."""
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "a" / "y.png"]
    colours = ("red", "green", "blue")
    return [
        replace(BARE, path=save_photo(path, colour), rank=rank)
        for rank, (path, colour) in enumerate(zip(paths, colours, strict=True), start=1)
    ]


@pytest.mark.parametrize("link", [False, True])
def test_nothing_is_overwritten_and_again_adds_nothing(
    found: list[SearchResult], tmp_path: Path, notes: Notes, link: bool
) -> None:
    folder = tmp_path / "to" / "here"
    folder.mkdir(parents=True)
    (folder / "y.png").write_text("mine")
    assert collect(found, folder, link=link, notify=notes) == Collected(3, 0, 0, 0)
    assert {path.name for path in folder.iterdir()} == {"x.png", "x-2.png", "y.png", "y-2.png"}
    assert (folder / "y.png").read_text() == "mine"
    assert (folder / "x-2.png").read_bytes() == found[1].path.read_bytes()
    assert all(path.is_symlink() == (link and path.name != "y.png") for path in folder.iterdir())
    assert collect(found, folder, link=link, notify=notes) == Collected(0, 3, 0, 0)
    assert len(list(folder.iterdir())) == 4
    assert notes == []


def test_a_copy_has_the_time_of_its_file(found: list[SearchResult], tmp_path: Path, notes: Notes) -> None:
    os.utime(found[0].path, (1_000_000_000, 1_000_000_000))
    collect(found[:1], tmp_path / "to", link=False, notify=notes)
    assert (tmp_path / "to" / "x.png").stat().st_mtime == 1_000_000_000


def test_what_is_offline_or_gone_is_told(found: list[SearchResult], tmp_path: Path, notes: Notes) -> None:
    found[1].path.unlink()
    results = [replace(found[0], online=False), *found[1:]]
    assert collect(results, tmp_path / "to", link=False, notify=notes) == Collected(1, 0, 1, 1)
    assert notes == [f"offline: {found[0].path}", f"cannot copy {found[1].path}: the file no longer exists"]


def test_a_copy_that_breaks_off_leaves_nothing(
    found: list[SearchResult], tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(read: io.BufferedReader, written: io.BufferedWriter) -> None:
        written.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", copy)
    with pytest.raises(OSError, match="No space"):
        collect(found, tmp_path / "to", link=False, notify=notes)
    assert list((tmp_path / "to").iterdir()) == []


def test_where_links_cannot_be_made_copying_is_named(
    found: list[SearchResult], tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def symlink_to(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", symlink_to)
    with pytest.raises(ConfigError, match=r"cannot create symbolic links in .*use --copy-to"):
        collect(found, tmp_path / "to", link=True, notify=notes)


def test_a_file_in_the_way_of_the_folder(found: list[SearchResult], notes: Notes) -> None:
    with pytest.raises(ConfigError, match="cannot create the folder"):
        collect(found, found[0].path / "to", link=False, notify=notes)


# --- over a real library ----------------------------------------------------------------------------------


def test_forms_go_with_each_other(run: Any, tmp_path: Path) -> None:
    to = tmp_path / "to"
    done = run("search", "red", "-k", "2", "--jsonl", "--copy-to", to, "--html", tmp_path / "sheet.html")
    assert done.exit_code == 0, done.stderr
    assert [json.loads(line)["rank"] for line in done.stdout.splitlines()] == [1, 2]
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["wrote", "copied"]
    assert "copied 2 pictures to" in done.stderr
    assert len(list(to.iterdir())) == 2 and (tmp_path / "sheet.html").is_file()
    again = run("search", "red", "-k", "2", "--paths", "--copy-to", to)
    assert "copied 0 pictures to" in again.stderr and "2 already present" in again.stderr


def test_a_failed_copy_is_an_error_after_all_else(run: Any, tmp_path: Path, photos: Path) -> None:
    (photos / "red.png").unlink()
    done = run("search", "red", "-k", "3", "--copy-to", tmp_path / "to")
    assert done.exit_code == 1
    assert "clipsearch: 1 picture could not be copied or linked" in done.stderr
    assert len(list((tmp_path / "to").iterdir())) == 2
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("command", [("search", "red"), ("similar", "red.png")])
def test_targets_are_looked_at_first(run: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "notes.html").write_text("<p>mine")
    done = run(*command, "--html", tmp_path / "notes.html")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is not a contact sheet" in done.stderr
    done = run(*command, "--link-to", tmp_path / "notes.html")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is not a folder" in done.stderr


def test_open_opens_the_best_or_the_sheet(
    run: Any, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", lambda path: bool(opened.append(path)))
    assert run("search", "red", "--open", "--sort", "path").exit_code == 0
    assert run("search", "red", "--open", "--html", tmp_path / "sheet.html").exit_code == 0
    assert opened == [str(photos / "red.png"), str(tmp_path / "sheet.html")]
    monkeypatch.setattr("click.launch", lambda path: 1)
    done = run("search", "red", "--open")
    assert done.exit_code == 1 and "no program can open" in done.stderr


def test_nothing_found_opens_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("click.launch", lambda path: pytest.fail("opened"))
    write_results([], k=None, results_format=ResultsFormat(open_best=True))
    assert capsys.readouterr().err.startswith("no results")


def test_what_is_offline_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.launch", lambda path: pytest.fail("opened"))
    with pytest.raises(ClipSearchError, match="it is offline"):
        write_results([FULL], k=None, results_format=ResultsFormat(open_best=True, as_json=True))
