"""No file takes a run down: each is indexed, passed over, or recorded with its reason."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.reports import IndexReport
from clipsearch.library import Library
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool
from tests.conftest import COLOURS, ColourEncoder, Notes, save_photo
from tests.hostile_kinds import KINDS, held_up
from tests.hostile_pictures import GOOD, INDEXED, PASSED_OVER, Kind, damaged, unfolding_png


@dataclass(frozen=True)
class Run:
    """One run over a folder that holds every kind, and some good photos."""

    folder: Path
    library: Library
    report: IndexReport
    notes: Notes
    told: list[str]
    indexed: set[Path]
    reasons: dict[Path, str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("hostile")
    for kind in KINDS:
        kind.write(folder)
    for colour in COLOURS:
        save_photo(folder / f"good {colour}.png", colour)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (10**9, 10**9))  # a file that has just changed may still be copied, and is read again
    notes = Notes()
    with Library.open(folder.parent / "library", create=True, encoder=ColourEncoder(), notify=notes) as library:
        report = library.index(folder)
        indexed = {result.path for result in library.search("red", k=10_000, group="none")}
        reasons = {failure.path: failure.reason for failure in report.failures}
        yield Run(folder, library, report, notes, list(notes), indexed, reasons)


def test_the_good_photos_are_found(run: Run) -> None:
    for colour in COLOURS:
        assert run.library.search(colour, k=1)[0].path == run.folder / f"good {colour}.png"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name[-60:])
def test_each_kind_has_its_outcome(run: Run, kind: Kind) -> None:
    path = run.folder / kind.name
    reason = run.reasons.get(path)
    outcome = reason or (INDEXED if path in run.indexed else PASSED_OVER)
    if kind.outcome in (INDEXED, PASSED_OVER):
        assert outcome == kind.outcome
    else:
        assert re.search(kind.outcome, outcome)
        assert path not in run.indexed


def test_the_table_is_long_enough() -> None:
    failing = [kind for kind in KINDS if kind.outcome not in (INDEXED, PASSED_OVER)]
    assert len(KINDS) >= 130 and len(failing) >= 45
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_each_failure_is_one_row_with_path_reason_and_time(run: Run) -> None:
    rows = run.library.maintenance.failures()
    assert {row.path: row.reason for row in rows} == run.reasons
    assert len(rows) == len({row.path for row in rows})
    for row in rows:
        assert row.failed_at is not None and row.failed_at.tzinfo is not None
        assert row.reason.isprintable() and len(row.reason) < 300
    assert len(run.told) == len(run.report.failures)  # each was told once


def test_a_second_run_reads_nothing_again(run: Run) -> None:
    run.notes.clear()
    again = run.library.index(run.folder)
    assert (again.embedded, again.reused, again.removed) == (0, 0, 0)
    assert again.unchanged == len(run.indexed)
    assert {failure.path: failure.reason for failure in again.failures} == run.reasons
    ever_new = ("link-to-", "read-error", "empty-in-proc")  # what is in /proc has always just changed
    assert [note for note in run.notes if not any(part in note for part in ever_new)] == []


def test_random_damage_stops_nothing(tmp_path: Path) -> None:
    files = []
    for suffix, content in GOOD.items():
        for seed in range(25):
            path = tmp_path / f"{seed:02}.{suffix}"
            path.write_bytes(damaged(content, seed))
            files.append(ScannedFile(tmp_path, path.name, 0, 0))
    with DecodingPool(ColourEncoder().transform, thumbnails=tmp_path / "library", workers=2) as pool:
        results = list(pool.read(files, wanted_from=lambda digest: 0, look_ahead=50))
    assert [result.file for result in results] == files
    for result in results:
        assert (result.failure is None) == (result.pixels is not None), result.file.relative_path
    assert any(result.failure for result in results) and any(result.metadata for result in results)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="leases and memory limits")
def test_hangs_bombs_and_crashes_in_one_run(
    tmp_path: Path, open_library: Callable[..., Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    for number in range(100):
        save_photo(photos / f"{number:02}.png", (number, 2 * number, 255 - number))
    (photos / "40 bomb.png").write_bytes(unfolding_png(16_000))
    killed: set[int] = set()
    others = child_processes()  # such as the servers of other tests

    class KillingEncoder(ColourEncoder):
        def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
            for process in child_processes() - others - killed:
                if len(killed) < 3:
                    os.kill(process, signal.SIGKILL)
                    killed.add(process)
            return super().encode_pixels(pixels)

    limits = {"time_limit_s": 3, "memory_limit_bytes": 512 * 2**20}
    monkeypatch.setattr("indexer.batches.DecodingPool", partial(DecodingPool, **limits))
    library = open_library(encoder=KillingEncoder())
    with held_up(save_photo(photos / "50 hangs.png", "red")):
        report = library.index(photos)
    assert {failure.path.name: failure.reason for failure in library.maintenance.failures()} == {
        "40 bomb.png": "decoding it needs more memory than there is",
        "50 hangs.png": "took longer than 3 seconds to decode",
    }
    assert report.embedded == 100
    assert len(killed) >= 2 and child_processes() <= others


def child_processes() -> set[int]:
    """Ids of the processes that any thread of this one has started."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(process) for listed in lists for process in listed.read_text(encoding="ascii").split()}
