"""What remove, check, compact, export and import write, over a real library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.cli import cli
from clipsearch.cli.commands.check import format_check
from clipsearch.library import Library
from clipsearch.maintenance.check import CheckReport, Finding
from clipsearch.system.file_lock import writer_lock


@pytest.fixture
def run(indexed: Library) -> Callable[..., Result]:
    indexed.close()

    def run_(*arguments: str | Path, library: Path = indexed.path) -> Result:
        words = ["--library", str(library), *map(str, arguments)]
        return CliRunner().invoke(cli, words, prog_name="clipsearch")

    return run_


Run = Callable[..., Result]


# --- check ------------------------------------------------------------------------------------------------


def test_a_sound_library(run: Run) -> None:
    done = run("check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == ("checked    6 files (6 distinct pictures), 6 embeddings, 6 previews\nresult     no damage\n")
    assert json.loads(run("check", "--json", "--full").stdout) == {
        "sound": True,
        "files": 6,
        "images": 6,
        "embeddings": 6,
        "previews": 6,
        "sample": None,
        "stopped": False,
        "findings": [],
        "mended": [],
    }


def test_damage_is_reported_then_repaired(run: Run, indexed: Library) -> None:
    (cache,) = (indexed.path / "vectors").glob("*.faiss")
    cache.write_bytes(b"")
    done = run("check")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[1] == f"damage     1 vector cache (it is truncated): vectors/{cache.name}"
    assert lines[2].startswith("           → repairing rebuilds it")
    assert lines[-1] == "result     damaged; repair it with: clipsearch check --repair"
    found = json.loads(run("check", "--json").stdout)
    assert found["sound"] is False
    assert found["findings"][0]["code"] == "cache-damaged" and found["findings"][0]["repairable"] is True
    done = run("check", "--repair")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        f"repaired   1 vector cache (it is truncated): vectors/{cache.name}",
        "result     no damage",
    ]
    assert run("check").exit_code == 0


def test_unrepairable_damage_is_reported_without_a_traceback(run: Run, indexed: Library) -> None:
    catalog = indexed.path / CATALOG_NAME
    catalog.write_bytes(catalog.read_bytes()[: 3 * catalog.stat().st_size // 4])
    for arguments in (["check"], ["check", "--repair"]):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "Traceback" not in done.output and "restore" in done.output
    catalog.write_bytes(b"\x00" * catalog.stat().st_size)
    done = run("check", "--repair")
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.startswith("clipsearch: ") and len(done.stderr.splitlines()) == 1


def test_names_of_pictures_cannot_steer_the_terminal() -> None:
    finding = Finding("x", 1200, "picture", "lost", "a\nb\x1b[31m", "look\nout", is_damage=True, repairable=False)
    shown = format_check(CheckReport(1, 1, 1, 1, 1000, [finding]), repaired=False)
    assert shown.splitlines()[1:] == [
        r"damage     1,200 pictures lost: a\nb\x1b[31m",
        r"           → look\nout",
        "result     damaged; see the remedies above",
    ]


# --- remove and compact -----------------------------------------------------------------------------------


def test_remove_then_compact(run: Run, photos: Path) -> None:
    done = run("remove", photos / "grey", photos / "red.png")
    assert (done.exit_code, done.stdout) == (0, "removed    3 files from the library\n")
    assert json.loads(run("remove", photos / "blue.png", "--json").stdout) == {"removed": 1}
    done = run("compact")
    lines = done.stdout.splitlines()
    assert lines[0] == "deleted    4 pictures, 4 embeddings, 4 previews"
    assert lines[1].startswith("on disk    ") and " before, " in lines[1]
    again = json.loads(run("compact", "--json").stdout)
    assert again["images"] == again["embeddings"] == again["previews"] == 0
    assert again["bytes_after"] > 0
    assert run("check").exit_code == 0
    assert len(list(photos.rglob("*.*"))) == 6


# --- export and import ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_export_then_import(run: Run, tmp_path: Path, form: str) -> None:
    done = run("export", tmp_path / "out", "--format", form)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("exported   6 pictures, 6 embeddings, 6 files to ")
    done = run("import", tmp_path / "out", library=tmp_path / "new")
    assert (done.exit_code, done.stdout) == (0, "imported   6 pictures, 6 embeddings, 6 files\n")
    done = run("import", tmp_path / "out", library=tmp_path / "new")
    assert done.stdout == "imported   0 pictures, 0 embeddings, 0 files (6 more were in the library already)\n"
    assert json.loads(run("import", tmp_path / "out", "--json", library=tmp_path / "newer").stdout) == {
        "images": 6,
        "embeddings": 6,
        "files": 6,
        "known_files": 0,
        "concepts": 0,
    }
    assert run("check", library=tmp_path / "new").exit_code == 0


def test_export_json(run: Run, tmp_path: Path) -> None:
    report: dict[str, Any] = json.loads(run("export", tmp_path / "out", "--json").stdout)
    assert report == {"images": 6, "embeddings": 6, "files": 6, "concepts": 0}


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["remove"], 2, "missing argument 'PATH...'"),
        (["remove", "/nowhere/at/all"], 1, "the library has no file or folder /nowhere/at/all"),
        (["export"], 2, "missing argument 'DIR'"),
        (["export", "out", "--format", "csv"], 2, "'csv' is not one of"),
        (["export", "."], 1, "there is something at"),
        (["import"], 2, "missing argument 'DIR'"),
        (["import", "/nowhere/at/all"], 1, "is not an export"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], status: int, part: str) -> None:
    done = run(*arguments)
    assert done.exit_code == status
    assert part in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["remove", "photos"], ["compact"], ["check", "--repair"]])
def test_another_writer_is_named(run: Run, indexed: Library, arguments: list[str]) -> None:
    with writer_lock(indexed.path):
        done = run(*arguments)
    assert done.exit_code == 1
    assert "is writing to the library" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["remove", "x"], ["compact"], ["check"], ["export", "x"]])
def test_without_a_library_none_is_made(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, library=tmp_path / "none")
    assert done.exit_code == 1
    assert "clipsearch index FOLDER" in done.stderr
    assert not (tmp_path / "none").exists()
