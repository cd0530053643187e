"""Background work of the page: start, progress, stop, failure and end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.catalog.reports import IndexReport, MigrationReport
from clipsearch.errors import ConfigError, LibraryLockedError
from clipsearch.library import Library
from clipsearch.system.file_lock import writer_lock
from clipsearch.text import Notify
from tests.conftest import ROOT, ColourEncoder, OtherEncoder, save_photo
from ui.indexing import BackgroundWork, WorkState

LIMIT_S = 60.0


class Gate(ColourEncoder):
    """Waits, before it embeds for the second time, until it is let through."""

    def __init__(self, *, dim: int = 16) -> None:
        super().__init__(dim=dim)
        self.reached, self.opened = threading.Event(), threading.Event()

    def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
        if self.embedded:
            self.reached.set()
            assert self.opened.wait(LIMIT_S)
        return super().encode_pixels(pixels)


def work_on(directory: Path, encoder: ColourEncoder) -> BackgroundWork:
    return BackgroundWork(lambda notify: Library.open(directory, create=True, encoder=encoder, notify=notify))


def ended(work: BackgroundWork) -> WorkState:
    work.wait(LIMIT_S)
    state = work.state()
    assert not state.running and not state.stopping
    return state


def once_committed(work: BackgroundWork) -> WorkState:
    """The state of a run as soon as its first batch is committed, which is after the next one's embedding begins."""
    end = time.monotonic() + LIMIT_S
    while not (state := work.state()).done:
        assert time.monotonic() < end, "no batch is committed"
        time.sleep(0.01)
    return state


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.progress_meter._EVERY_S", 0.0)
    monkeypatch.setattr("ui.indexing._WAIT_FOR_WRITER_S", 0.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(50):
        save_photo(tmp_path / "many" / f"{number}.png", (number, 3 * number, 255 - number), size=(8, 8))
    return tmp_path / "many"


def test_indexing_tells_its_progress_and_its_report(directory: Path, many: Path) -> None:
    encoder = Gate()
    work = work_on(directory, encoder)
    assert work.state() == WorkState()
    assert work.start_indexing([many])
    assert encoder.reached.wait(LIMIT_S)
    state = once_committed(work)
    assert (state.kind, state.running, state.total, state.number) == ("index", True, 50, 1)
    assert state.done < 50
    assert state.images_per_second > 0 and state.remaining_s is not None
    assert not work.start_indexing([many]) and not work.start_migration("hf-hub:tests/other-colours")  # one at a time
    encoder.opened.set()
    state = ended(work)
    assert state.number == 1
    assert isinstance(state.report, IndexReport)
    assert (state.report.embedded, state.done, state.total, state.error) == (50, 50, 50, None)


@pytest.mark.long
def test_stopped_in_the_middle_the_catalog_is_sound_and_the_next_run_completes_it(directory: Path, many: Path) -> None:
    encoder = Gate()
    work = work_on(directory, encoder)
    work.start_indexing([many])
    assert encoder.reached.wait(LIMIT_S)
    work.stop()
    assert work.state().stopping
    encoder.opened.set()
    state = ended(work)
    assert state.stopped and state.report is None and state.error is None
    assert not [thread for thread in threading.enumerate() if thread.name in ("decoding", "decoded", "index")]
    with Library.open(directory, encoder=ColourEncoder()) as library:
        assert library.maintenance.check(full=True).is_sound
        files = library.status().files
        assert files < 50
    assert work.start_indexing([])
    report = ended(work).report
    assert isinstance(report, IndexReport) and report.unchanged == files and report.embedded == 50 - files
    with Library.open(directory, encoder=ColourEncoder()) as library:
        assert library.maintenance.check(full=True).is_sound
        assert library.status().interrupted is None


def test_many_sessions_start_at_once_and_one_wins(directory: Path, many: Path) -> None:
    work = work_on(directory, ColourEncoder())
    started: list[bool] = []
    sessions = [threading.Thread(target=lambda: started.append(work.start_indexing([many]))) for _ in range(8)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    assert ended(work).error is None
    assert sum(started) == 1


@pytest.mark.long
def test_what_goes_wrong_is_told(directory: Path, many: Path) -> None:
    work = work_on(directory, ColourEncoder())
    work.start_indexing([many / "nowhere"])
    assert isinstance(ended(work).error, ConfigError)
    with Library.open(directory, create=True) as library, writer_lock(library.path):
        work.start_indexing([many])
        assert isinstance(ended(work).error, LibraryLockedError)
    work.start_indexing([many])
    assert ended(work).error is None


def test_a_fault_of_the_program_is_told_too_and_logged(
    directory: Path, many: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ColourEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            raise ZeroDivisionError("of all things")

    work = work_on(directory, Broken())
    work.start_indexing([many])
    assert isinstance(ended(work).error, ZeroDivisionError)
    assert "of all things" in caplog.text
    work = work_on(directory, ColourEncoder())
    work.start_indexing([many])
    assert ended(work).error is None


def test_what_a_person_should_know_is_kept_and_saved_searches_tell_what_is_new(
    open_library: Callable[..., Library], directory: Path, photos: Path
) -> None:
    library = open_library(directory)
    library.index(photos)
    library.saved.add("reds", "red")
    save_photo(photos / "dark.png", (230, 5, 5))
    for number in range(30):
        (photos / f"broken{number}.png").write_bytes(b"no picture")
    work = work_on(directory, ColourEncoder())
    work.start_indexing([])
    state = ended(work)
    assert [(match.name, match.count) for match in state.new_matches] == [("reds", 1)]
    assert len(state.messages) == 20
    assert all("broken" in message for message in state.messages)
    assert isinstance(state.report, IndexReport) and len(state.report.failures) == 30
    assert library.search("red", k=2)[1].path.name == "dark.png"  # which other sessions see at once


def test_failed_files_are_tried_again_when_asked(directory: Path, photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    os.utime(photos / "broken.png", (1, 1))  # a file that has just changed may still be copied, and is read again
    work = work_on(directory, ColourEncoder())
    work.start_indexing([photos])
    assert ended(work).total == 7
    work.start_indexing([])
    assert ended(work).total == 0
    work.start_indexing([], retry_failed=True)
    assert ended(work).total == 1


@pytest.mark.long
def test_a_migration_stops_goes_on_and_switches(directory: Path, many: Path) -> None:
    with Library.open(directory, create=True, encoder=ColourEncoder()) as library:
        library.index(many)

    class OtherGate(OtherEncoder, Gate):
        pass

    other = OtherGate()

    def open_library(notify: Notify) -> Library:
        return Library.open(directory, encoder=ColourEncoder(), load_encoder=lambda _: other, notify=notify)

    work = BackgroundWork(open_library)
    work.start_migration("hf-hub:tests/other-colours")
    assert other.reached.wait(LIMIT_S)
    assert (work.state().kind, work.state().total) == ("migrate", 50)
    work.stop()
    other.opened.set()
    assert ended(work).stopped
    with Library.open(directory, encoder=ColourEncoder()) as library:
        assert library.maintenance.check(full=True).is_sound
        assert library.status().model == "hf-hub:tests/colours"
    work.start_migration("hf-hub:tests/other-colours")
    report = ended(work).report
    assert isinstance(report, MigrationReport) and report.switched


ENDS = """
# The process comes to its end while it indexes.
import sys, threading
from pathlib import Path

from clipsearch.library import Library
from tests.conftest import ColourEncoder
from ui import indexing, shared

class Slow(ColourEncoder):
    def encode_pixels(self, pixels):
        begun.set()
        return super().encode_pixels(pixels)

begun = threading.Event()
shared.configure(Path(sys.argv[1]), encoder=Slow())
assert indexing.background.start_indexing([Path(sys.argv[2])])
assert begun.wait(60)
print("over")
"""


@pytest.mark.long
def test_the_process_may_end_at_any_time(directory: Path, many: Path) -> None:
    command = [sys.executable, "-c", ENDS, str(directory), str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
    with Library.open(directory, encoder=ColourEncoder()) as library:
        assert library.maintenance.check(full=True).is_sound
        library.index(many)
        assert library.status().files == 50
