from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.errors import ClipSearchError
from clipsearch.media.thumbnails import thumbnail_path
from clipsearch.media.transform import ImageSpec, ImageTransform
from indexer.read import ReadFile, ReadOptions, read_content
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool
from tests.conftest import ROOT, save_photo
from tests.hostile_kinds import held_up
from tests.hostile_pictures import unfolding_png

TRANSFORM = ImageTransform(ImageSpec(size=(32, 32)))


def scanned(path: Path) -> ScannedFile:
    return ScannedFile(path.parent, path.name, path.stat().st_size, path.stat().st_mtime_ns)


def some_photos(folder: Path, count: int) -> list[ScannedFile]:
    colours = [(number * 37 % 256, number, 200) for number in range(count)]
    return [scanned(save_photo(folder / f"{number:03}.png", colour)) for number, colour in enumerate(colours)]


def everything(digest: str) -> int | None:
    return 0


def read_all(
    pool: DecodingPool,
    files: list[ScannedFile],
    *,
    wanted_from: Callable[[str], int | None] = everything,
    look_ahead: int = 96,
) -> list[ReadFile]:
    return list(pool.read(files, wanted_from=wanted_from, look_ahead=look_ahead))


@pytest.fixture
def pool() -> Iterator[DecodingPool]:
    with DecodingPool(TRANSFORM, thumbnails=None, workers=2) as opened:
        yield opened


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look_ahead", [1, 5, 96])
def test_results_are_those_of_reading_here_and_in_order(pool: DecodingPool, tmp_path: Path, look_ahead: int) -> None:
    files = some_photos(tmp_path, 40)
    results = read_all(pool, files, look_ahead=look_ahead)
    assert [result.file for result in results] == files
    for result in results:
        (here,) = read_content(result.file.path, ReadOptions(TRANSFORM, None), wanted_from=everything)
        assert result.pixels is not None and here.pixels is not None
        assert np.array_equal(result.pixels, here.pixels)
        assert result.seconds.keys() == here.seconds.keys()
        unlike = {"pixels": 0, "seconds": 0}
        assert vars(result) | unlike == vars(here) | unlike | {"file": result.file}


def test_processes_are_started_for_work_only_and_end_with_the_pool(pool: DecodingPool, tmp_path: Path) -> None:
    assert read_all(pool, []) == []
    assert pool.process_ids == []
    files = some_photos(tmp_path, 40)
    read_all(pool, files[:1])
    (only,) = pool.process_ids
    read_all(pool, files)
    both = pool.process_ids
    assert len(both) == 2 and only in both
    read_all(pool, files)
    assert pool.process_ids == both
    pool.close()
    assert pool.process_ids == []
    assert not any(is_alive(process) for process in both)


def test_what_is_embedded_already_is_not_decoded(pool: DecodingPool, tmp_path: Path) -> None:
    files = some_photos(tmp_path, 3)
    known = read_all(pool, files)[1].content_hash
    results = read_all(pool, files, wanted_from=lambda digest: None if digest == known else 0)
    assert [result.pixels is None for result in results] == [False, True, False]
    assert replace(results[1], seconds={}) == ReadFile(file=files[1], content_hash=known)
    assert "decode" not in results[1].seconds


def test_look_ahead_is_bounded(pool: DecodingPool, tmp_path: Path) -> None:
    taken = []
    files = some_photos(tmp_path, 20)
    results = pool.read((taken.append(file) or file for file in files), wanted_from=everything, look_ahead=4)
    for number, _ in enumerate(results):
        assert len(taken) <= number + 4
    assert len(taken) == 20


def test_previews_are_written(tmp_path: Path) -> None:
    photo = scanned(save_photo(tmp_path / "photos" / "large.jpg", "red", size=(1600, 1200)))
    broken = tmp_path / "photos" / "broken.jpg"
    broken.write_bytes(photo.path.read_bytes()[:300])
    with DecodingPool(TRANSFORM, thumbnails=tmp_path / "library", workers=1) as pool:
        good, bad = read_all(pool, [photo, scanned(broken)])
    assert bad.failure is not None
    assert good.content_hash is not None
    with Image.open(thumbnail_path(tmp_path / "library", good.content_hash)) as preview:
        assert preview.size == (384, 288)  # though the model takes 32 × 32
    assert len(list((tmp_path / "library").rglob("*.*"))) == 1


def test_what_the_question_raises_is_raised_in_its_turn(pool: DecodingPool, tmp_path: Path) -> None:
    files = some_photos(tmp_path, 4)
    last = read_all(pool, files)[-1].content_hash

    def fails(digest: str) -> int | None:
        if digest == last:
            raise ZeroDivisionError
        return True

    results = pool.read(files, wanted_from=fails, look_ahead=10)
    assert [next(results).file for _ in range(3)] == files[:3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(read_all(pool, files)) == 4


# --- files that take their process down -------------------------------------------------------------------


def slow_picture(path: Path) -> ScannedFile:
    path.write_bytes(unfolding_png(16_000))
    return scanned(path)


def test_a_file_that_takes_too_long_fails(tmp_path: Path) -> None:
    slow = slow_picture(tmp_path / "slow.png")
    with DecodingPool(TRANSFORM, thumbnails=None, workers=1, time_limit_s=0.1) as pool:
        assert [result.failure for result in read_all(pool, [slow])] == ["took longer than 0.1 seconds to decode"]
        assert pool.process_ids == []


LEASES = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases, which hold up who opens a file")


@pytest.mark.long
@LEASES
def test_a_file_that_cannot_even_be_opened_fails_in_time(tmp_path: Path) -> None:
    files = some_photos(tmp_path, 3)
    with held_up(files[1].path), DecodingPool(TRANSFORM, thumbnails=None, workers=1, time_limit_s=3) as pool:
        results = read_all(pool, files)
    assert [result.failure for result in results] == [None, "took longer than 3 seconds to decode", None]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux heeds a limit of the address space")
def test_a_file_that_takes_too_much_memory_fails(tmp_path: Path) -> None:
    files = [*some_photos(tmp_path, 2), slow_picture(tmp_path / "bomb.png")]
    with DecodingPool(TRANSFORM, thumbnails=None, workers=1, memory_limit_bytes=512 * 2**20) as pool:
        (process,) = {tuple(pool.process_ids) for _ in pool.read(files, wanted_from=everything, look_ahead=1)}
        assert [result.failure for result in read_all(pool, files[::-1])] == [
            "decoding it needs more memory than there is",
            None,
            None,
        ]
        assert tuple(pool.process_ids) == process  # it has survived


def test_a_file_that_crashes_its_process_twice_fails_and_the_run_goes_on(pool: DecodingPool, tmp_path: Path) -> None:
    files = some_photos(tmp_path, 30)
    deadly = read_all(pool, files)[7].content_hash
    killed: set[int] = set()

    def kill_whoever_reads_it(digest: str) -> int | None:
        if digest == deadly:
            for process in set(pool.process_ids) - killed:
                os.kill(process, signal.SIGTERM)
                killed.add(process)
        return 0

    results = read_all(pool, files, wanted_from=kill_whoever_reads_it, look_ahead=1)
    failures = {number: result.failure for number, result in enumerate(results) if result.failure is not None}
    assert list(failures) == [7]
    assert failures[7].startswith("crashed the decoder (signal 15)" if os.name == "posix" else "crashed the decoder (")
    assert len(killed) >= 2 and not killed & set(pool.process_ids)


def test_a_process_that_dies_once_costs_no_file(pool: DecodingPool, tmp_path: Path) -> None:
    """Regression: the system ends a process when another one takes all memory; the file it was at is innocent."""
    files = some_photos(tmp_path, 60)
    killed: set[int] = set()
    for number, result in enumerate(pool.read(files, wanted_from=everything, look_ahead=30)):
        assert result.failure is None
        if number % 20 == 10:
            killed.add(next(process for process in pool.process_ids if process not in killed))
            for process in killed & set(pool.process_ids):
                os.kill(process, signal.SIGTERM)
    assert len(killed) == 3


# --- ending -----------------------------------------------------------------------------------------------


def is_alive(process: int) -> bool:
    if sys.platform == "linux":  # where a process may wait for ever for somebody to take note of its end
        try:
            return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        except OSError:
            return False
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def wait_until_ended(processes: list[int]) -> None:
    until = time.monotonic() + 20
    while any(is_alive(process) for process in processes):
        assert time.monotonic() < until, "a process has survived"
        time.sleep(0.02)


def test_closing_early_breaks_off_what_is_under_way(pool: DecodingPool, tmp_path: Path) -> None:
    asked: list[str] = []
    files = [*some_photos(tmp_path, 1), slow_picture(tmp_path / "slow.png"), *some_photos(tmp_path / "more", 40)]

    def note(digest: str) -> int | None:
        asked.append(digest)
        return 0

    results = pool.read(files, wanted_from=note, look_ahead=30)
    next(results)
    results.close()
    count = len(asked)
    assert len(read_all(pool, files[:1])) == 1
    assert len(asked) == count < 40


def test_an_interrupt_ends_all_processes(tmp_path: Path) -> None:
    files = some_photos(tmp_path, 40)
    processes: list[int] = []
    with (
        pytest.raises(KeyboardInterrupt),
        DecodingPool(TRANSFORM, thumbnails=None, workers=2) as pool,
    ):
        for _ in pool.read(files, wanted_from=everything, look_ahead=30):
            processes = pool.process_ids
            raise KeyboardInterrupt
    assert processes
    assert not any(is_alive(process) for process in processes)


SCRIPT = """
import os, signal, sys
from pathlib import Path
from clipsearch.media.transform import ImageSpec, ImageTransform
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
files = [ScannedFile(path.parent, path.name, 0, 0) for path in map(Path, sys.argv[2:])]
with DecodingPool(ImageTransform(ImageSpec(size=(32, 32))), thumbnails=None, workers=1) as pool:
    for result in pool.read(files, wanted_from=lambda digest: 0, look_ahead=int(sys.argv[1])):
        print(*pool.process_ids, result.failure, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def running_script(tmp_path: Path, files: list[ScannedFile], *, look_ahead: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A plain script that reads files, started in a folder whose modules are traps."""
    (tmp_path / "cwd" / "indexer").mkdir(parents=True)
    for trap in ("indexer/__init__.py", "clipsearch.py", "PIL.py", "numpy.py"):
        (tmp_path / "cwd" / trap).write_text("raise SystemExit('imported from the working directory')", "utf-8")
    (tmp_path / "script").mkdir()
    script = tmp_path / "script" / "plain.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script, str(look_ahead), *(file.path for file in files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path / "cwd",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_plain_script_in_any_folder_can_index(tmp_path: Path) -> None:
    with running_script(tmp_path, some_photos(tmp_path / "photos", 3)) as process:
        output, errors = process.communicate(timeout=60)
    assert [line.split()[1:] for line in output.splitlines()] == [["None"]] * 3
    assert (process.returncode, errors) == (0, "")


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    with running_script(tmp_path, some_photos(tmp_path / "photos", 1)) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline().split()[0])
        assert is_alive(worker)
        process.kill()
    wait_until_ended([worker])


@LEASES
def test_not_even_one_that_hangs(tmp_path: Path) -> None:
    files = some_photos(tmp_path / "photos", 2)
    with held_up(files[1].path):
        with running_script(tmp_path, files, look_ahead=2) as process:
            assert process.stdout is not None
            worker = int(process.stdout.readline().split()[0])
            process.kill()
        wait_until_ended([worker])


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_ctrl_c_is_left_to_the_parent(tmp_path: Path) -> None:
    with running_script(tmp_path, some_photos(tmp_path / "photos", 1)) as process:
        assert process.stdout is not None and process.stderr is not None
        worker = int(process.stdout.readline().split()[0])
        os.killpg(process.pid, signal.SIGINT)
        errors = process.stderr.read()
        assert process.wait() != 0
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    wait_until_ended([worker])


def test_a_process_that_cannot_be_started_is_told(
    pool: DecodingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = some_photos(tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "nowhere"))
        with pytest.raises(ClipSearchError, match="no process for decoding can be started: no such file"):
            read_all(pool, files)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path)])
        with pytest.raises(ClipSearchError, match="does not start: ModuleNotFoundError: No module named"):
            read_all(pool, files)
    assert len(read_all(pool, files)) == 2


# --- memory -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_memory_is_kept_from_one_picture_to_the_next(tmp_path: Path) -> None:
    first = save_photo(tmp_path / "first.jpg", "red", size=(1024, 768))
    files = [scanned(first)]
    for number in range(29):
        files.append(scanned(Path(shutil.copy(first, tmp_path / f"{number}.jpg"))))
    transform = ImageTransform(ImageSpec(size=(256, 256)))
    with DecodingPool(transform, thumbnails=tmp_path / "library", workers=1) as pool:
        read_all(pool, files[:10], look_ahead=1)
        (process,) = pool.process_ids
        before = page_faults(process)
        assert all(item.is_decoded for item in read_all(pool, files[10:], look_ahead=1))
        assert page_faults(process) - before < 20 * 100  # hardly any; 350 for each where it is given back


def page_faults(process_id: int) -> int:
    """Of the kind that needs no disk, so far; Linux, proc(5)."""
    return int(Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[7])
