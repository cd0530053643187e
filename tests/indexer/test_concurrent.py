"""One writer and many readers at once, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipsearch.errors import LibraryLockedError
from clipsearch.library import Library
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ROOT, ColourEncoder, save_photo

PHOTOS = 500
READERS = 8

CHECKOUT = ROOT

READERS_SCRIPT = """
# Forks the readers from one warm process; each checks every answer and ends with 0 if all were right.
import os, sys
from pathlib import Path

import numpy as np

from clipsearch.errors import QueryError
from clipsearch.media.decoding import load_image
from clipsearch.library import Library
from tests.conftest import ColourEncoder

library, photos, stop, readers = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
encoder = ColourEncoder()
paths = sorted(photos.rglob("*.png"))
query = encoder.encode_texts(["red"])[0]
right = dict(zip(paths, encoder.encode_images([load_image(path).image for path in paths]) @ query))

def read():
    answers = seen = 0
    while not stop.exists() or not answers:
        try:
            with Library.open(library, encoder=ColourEncoder(), notify=lambda line: None) as opened:
                for _ in range(3):  # the same reader later, and a new one
                    results = opened.search("red", k=1000)
                    scores = [result.score for result in results]
                    assert scores == sorted(scores, reverse=True)
                    assert len({result.path for result in results}) == len(results) >= seen, (len(results), seen)
                    for result in results:
                        assert abs(result.score - right[result.path]) < 2e-3, (result, right[result.path])
                    seen, answers = len(results), answers + 1
        except QueryError as error:
            assert "no pictures yet" in str(error)
    os.write(1, f"{answers} {seen}\\n".encode())  # in one piece, as all write to the same pipe

pids = []
for _ in range(readers):
    pid = os.fork()
    if pid == 0:
        try:
            read()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    pids.append(pid)
print("ready", flush=True)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="the readers are forked, which Windows cannot")
def test_eight_readers_search_while_a_writer_indexes(tmp_path: Path) -> None:
    photos, stop = tmp_path / "photos", tmp_path / "stop"
    for number in range(PHOTOS):
        save_photo(photos / f"{number:03}.png", (number % 256, number // 2, 99), size=(10, 10))

    class Slow(ColourEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            time.sleep(0.02)
            return super().encode_pixels(pixels)

    with Library.open(tmp_path / "library", create=True, encoder=Slow()) as library:
        readers = subprocess.Popen(
            [sys.executable, "-c", READERS_SCRIPT, str(library.path), str(photos), str(stop), str(READERS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        try:
            assert readers.stdout is not None
            assert readers.stdout.readline() == "ready\n"
            assert library.index(photos).embedded == PHOTOS
            (photos / "000.png").touch()
            library.index(photos)
        finally:
            stop.touch()
            out, problems = readers.communicate(timeout=120)
    assert readers.returncode == 0, problems
    ends = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert len(ends) == READERS
    assert min(answers for answers, _ in ends) >= 1
    assert max(seen for _, seen in ends) > 0


@pytest.mark.long
def test_a_second_writer_waits_for_the_first(tmp_path: Path, photos: Path) -> None:
    holder = """
import sys, time
from pathlib import Path
from clipsearch.system.file_lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(4.0)
"""
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        process = subprocess.Popen(
            [sys.executable, "-c", holder, str(library.path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            with pytest.raises(LibraryLockedError, match=f"process {process.pid} on"):
                library.index(photos)
            assert library.index(photos, wait_s=60).embedded == 6


@pytest.mark.long
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, photos: Path) -> None:
    holder = """
import os, signal, sys
from pathlib import Path
from clipsearch.system.file_lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        assert subprocess.run([sys.executable, "-c", holder, str(library.path)], check=False, cwd=CHECKOUT).returncode
        assert (library.path / "writer.json").exists()  # what a dead process left behind says nothing
        assert library.index(photos).embedded == 6
        with writer_lock(library.path), pytest.raises(LibraryLockedError):
            library.index(photos)
