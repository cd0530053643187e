from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.errors import LibraryError, LibraryLockedError
from clipsearch.system.file_lock import writer_lock

HOLD = "import sys,time; from pathlib import Path; from clipsearch.system.file_lock import writer_lock\n"
HOLD += "with writer_lock(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"


@pytest.fixture
def other_writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_named(tmp_path: Path, other_writer: subprocess.Popen[str]) -> None:
    named = f"process {other_writer.pid} on .* is writing"
    with pytest.raises(LibraryLockedError, match=named), writer_lock(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, other_writer: subprocess.Popen[str]) -> None:
    other_writer.kill()
    other_writer.wait()
    with writer_lock(tmp_path):
        pass


def test_waiting_for_the_lock(tmp_path: Path, other_writer: subprocess.Popen[str]) -> None:
    started = time.monotonic()
    with pytest.raises(LibraryLockedError), writer_lock(tmp_path, wait_s=0.3):
        pass
    assert time.monotonic() - started >= 0.3


def test_a_missing_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError), writer_lock(tmp_path / "file" / "library"):
        pass
