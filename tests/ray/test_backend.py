from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ray.cluster_utils import Cluster

import indexer.backends.ray.backend as ray_engine
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.reports import IndexProgress
from clipsearch.cli import cli
from clipsearch.errors import ConfigError, LibraryError, ModelError
from clipsearch.library import Library
from clipsearch.media.thumbnails import existing_thumbnail
from clipsearch.system.ray_settings import RaySettings
from indexer.backends.ray.backend import RayEngine
from indexer.backends.ray.cluster import Room, room_of
from indexer.backends.ray.rows import EmbeddedFile
from indexer.backends.ray.worker import WorkerSettings
from indexer.scan import ScannedFile
from tests.conftest import ROOT, ColourEncoder, Notes, save_photo
from tests.postgres.server import PostgresServer
from tests.ray.conftest import ONE_CORE, contents, many_photos
from tests.ray.encoders import CRASHES, HANGS, KILLS_WORKER, DeadlyEncoder, SlowEncoder
from tests.videos import write_video


def test_a_library_is_the_same_as_by_indexing_here(
    cluster: Cluster, photos: Path, libraries: tuple[Library, Library], notes: Notes
) -> None:
    shutil.copy(photos / "red.png", photos / "copy of red.png")
    save_photo(photos / "long.png", "green", size=(400, 40))
    (photos / "broken.jpg").write_bytes(b"no picture")
    local, distributed = libraries
    here, there = local.index(photos), distributed.index(photos, ray=ONE_CORE)
    assert (there.embedded, there.reused, there.indexed) == (here.embedded, here.reused, here.indexed) == (7, 1, 8)
    assert contents(distributed) == contents(local)
    assert len(contents(local)) == 9
    assert [result.path for result in distributed.search("red")] == [result.path for result in local.search("red")]
    for result in distributed.search("white"):
        here_too = existing_thumbnail(local.path, result.content_hash)
        preview = existing_thumbnail(distributed.path, result.content_hash)
        assert preview is not None and here_too is not None
        assert preview.read_bytes() == here_too.read_bytes()

    again = distributed.index(photos, ray=ONE_CORE)
    assert (again.indexed, again.unchanged, len(again.failures)) == (0, 8, 1)
    (photos / "red.png").rename(photos / "moved.png")
    moved = distributed.index(photos, ray=ONE_CORE)
    assert (moved.embedded, moved.reused, moved.moved, moved.removed) == (0, 1, 1, 0)
    assert "decode" not in {stage.stage for stage in moved.stages}  # the workers knew its content


def test_videos_are_the_same_as_by_indexing_here(
    cluster: Cluster, photos: Path, libraries: tuple[Library, Library]
) -> None:
    write_video(photos / "lights.mp4", [("red", 3), ("lime", 3), ("blue", 3)])
    write_video(photos / "long.mp4", [(f"hsl({18 * number}, 100%, 40%)", 1) for number in range(20)], keyframe_every=10)
    (photos / "broken.mp4").write_bytes((photos / "lights.mp4").read_bytes()[:500])
    local, distributed = libraries
    here, there = local.index(photos), distributed.index(photos, ray=ONE_CORE)
    assert there.embedded == here.embedded == 8
    assert [failure.path.name for failure in there.failures] == ["broken.mp4"]
    assert contents(distributed) == contents(local)
    for line in ("blue kind:video", "kind:video", "duration:>10s"):
        assert [(item.path, item.segment) for item in distributed.search(line)] == [
            (item.path, item.segment) for item in local.search(line)
        ]
    assert distributed.search("blue kind:video", k=1)[0].segment.start_s == 6.0
    assert distributed.index(photos, ray=ONE_CORE).indexed == 0


def test_files_that_crash_or_hang_are_set_aside(
    cluster: Cluster, tmp_path: Path, open_library: Callable[..., Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_TIME_LIMIT_S", 2.0), ("_ATTEMPTS", 1), ("_ATTEMPTS_ALONE", 1)):
        monkeypatch.setattr(ray_engine, name, value)
    folder = many_photos(tmp_path / "many", 12)
    for name, colour in (("crashes", CRASHES), ("hangs", HANGS), ("kills", KILLS_WORKER)):
        save_photo(folder / f"{name}.png", colour)
    library = open_library(encoder=DeadlyEncoder())
    report = library.index(folder, ray=ONE_CORE)
    assert {failure.path.stem: failure.reason for failure in report.failures} == {
        "crashes": "crashed the decoder (signal 15)",
        "hangs": "took longer than 2 seconds to decode",
        "kills": "crashed the worker that embedded it",
    }
    assert report.embedded == 12
    assert len(library.index(folder, ray=ONE_CORE).failures) == 3  # known, and left alone


def test_a_node_that_dies_costs_nothing(cluster: Cluster, tmp_path: Path, open_library: Callable[..., Library]) -> None:
    folder = many_photos(tmp_path / "many", 500)
    doomed = cluster.add_node(num_cpus=1)
    died_at: list[int] = []

    def kill(progress: IndexProgress) -> None:
        if progress.done and not died_at:
            died_at.append(progress.done)
            cluster.remove_node(doomed, allow_graceful=False)

    encoder = SlowEncoder()
    distributed = open_library(tmp_path / "distributed", encoder=encoder)
    report = distributed.index(folder, ray=ONE_CORE, progress=kill)
    assert died_at and died_at[0] < 500
    assert report.embedded == 500 and not report.failures
    local = open_library(tmp_path / "local")
    local.index(folder)
    assert contents(distributed) == contents(local)
    assert encoder.embedded == 0  # nothing of it was done here


DRIVER = """
import signal
import sys
import time
import uuid
from clipsearch.library import Library
from clipsearch.system.ray_settings import RaySettings
from tests.ray.encoders import SlowEncoder

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell's background has it ignored
library, folder, address = sys.argv[1:]
with Library.open(library, create=True, encoder=SlowEncoder()) as opened:
    opened.index(
        folder,
        ray=RaySettings(address=address or None, worker_cpus=1),
        progress=lambda progress: progress.done and print(progress.done, flush=True),
    )
"""


def _driver(library: Path, folder: Path, address: str, **environment: str) -> subprocess.Popen[str]:
    """A program of its own that indexes; without an address it starts its own cluster."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(library), str(folder), address],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


FIRST_COMMIT = 2 * ray_engine._TASK
"""Files of the first commit with two workers; progress is told of files that are about to be committed."""


def _wait_for_commit(driver: subprocess.Popen[str]) -> None:
    """Until something is committed; nothing but progress is on stdout, whatever nodes have died before."""
    assert driver.stdout is not None
    while int(driver.stdout.readline()) <= FIRST_COMMIT:
        pass


def test_a_run_goes_on_after_its_driver_was_killed(
    cluster: Cluster, tmp_path: Path, open_library: Callable[..., Library], notes: Notes
) -> None:
    folder = many_photos(tmp_path / "many", 500)
    with _driver(tmp_path / "distributed", folder, str(cluster.address)) as driver:
        _wait_for_commit(driver)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    distributed, local = open_library(tmp_path / "distributed"), open_library(tmp_path / "local")
    assert distributed.status().interrupted is not None
    report = distributed.index(folder, ray=ONE_CORE)
    assert FIRST_COMMIT <= report.unchanged < 500
    assert report.embedded + report.unchanged == 500
    assert "was interrupted" in notes[0]
    local.index(folder)
    assert contents(distributed) == contents(local)


def _with_mark(mark: str) -> list[str]:
    """The command lines of all processes that have inherited a mark in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"CLIPSEARCH_MARK={mark}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environments of processes")
def test_ctrl_c_ends_a_run_and_leaves_nothing_running(tmp_path: Path) -> None:
    """With a cluster that the run has started; Ctrl-C goes to all processes of a terminal."""
    folder, mark = many_photos(tmp_path / "many", 500), uuid.uuid4().hex
    with _driver(tmp_path / "distributed", folder, "", CLIPSEARCH_MARK=mark) as driver:
        _wait_for_commit(driver)
        assert len(_with_mark(mark)) > 5
        os.killpg(driver.pid, signal.SIGINT)
        _, said = driver.communicate(timeout=60)
    assert driver.returncode == -signal.SIGINT, said
    assert said.rstrip().endswith("KeyboardInterrupt")
    until = time.monotonic() + 60  # Ray's own processes see by and by that their parent is gone
    while left := _with_mark(mark):
        assert time.monotonic() < until, left
        time.sleep(0.1)
    with Library.open(tmp_path / "distributed", encoder=ColourEncoder()) as library:
        assert FIRST_COMMIT <= library.status().files < 500


def test_the_command_with_the_bundled_model_says_nothing_of_ray(photos: Path, tmp_path: Path) -> None:
    """The workers load it by its name."""
    shards = ["--shards", str(tmp_path / "shards")]
    for library, arguments in (("local", []), ("distributed", ["--engine", "ray", *shards])):
        command = [sys.executable, "-m", "clipsearch", "--library", str(tmp_path / library), "index", str(photos)]
        done = subprocess.run(
            [*command, "--model", "mini", "--json", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["embedded"] == 6
        assert [line for line in done.stderr.splitlines() if not line.startswith("indexing: ")] == []
    assert (tmp_path / "shards" / "manifest.json").exists()
    with Library.open(tmp_path / "local") as local, Library.open(tmp_path / "distributed") as distributed:
        here, there = contents(local), contents(distributed)
    assert here.keys() == there.keys() and len(here) == 6
    for path, found in here.items():
        one, other = (np.frombuffer(values[4][0], "<f2").astype(np.float32) for values in (found, there[path]))
        assert one @ other > 0.999  # the last bit may depend on what is embedded together


def test_a_folder_that_workers_do_not_see_ends_the_run_and_marks_nothing(
    cluster: Cluster, photos: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(engine: RayEngine, files: Sequence[ScannedFile]) -> Iterator[EmbeddedFile]:
        """What a node answers on which nothing is mounted."""
        yield from (EmbeddedFile(file=file, failure="no such file or directory", host="node7") for file in files)

    monkeypatch.setattr(RayEngine, "_round", elsewhere)
    with pytest.raises(LibraryError, match=r"^node7 does not see .*\.(png|jpg|webp); every node"):
        library.index(photos, ray=ONE_CORE)
    assert library.maintenance.failures() == []
    assert library.status().files == 0


def test_a_worker_without_the_right_model_ends_the_run(
    cluster: Cluster, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(model: ModelRecord, *arguments: Any, **options: Any) -> WorkerSettings:
        return WorkerSettings(replace(model, fingerprint="other"), *arguments, **options)

    monkeypatch.setattr(ray_engine, "WorkerSettings", mistaken)
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        with pytest.raises(ModelError, match=r"^the worker on .* cannot go on: its mini .* is not the library's"):
            library.index(photos, ray=ONE_CORE)
        assert library.maintenance.failures() == []


def test_a_cluster_that_is_not_there_is_told(photos: Path, library: Library) -> None:
    """In a program of its own, as this one has joined a cluster."""
    command = [sys.executable, "-m", "clipsearch", "--library", str(library.path), "index", str(photos)]
    done = subprocess.run(
        [*command, "--model", "mini", "--engine", "ray", "--ray-address", "127.0.0.1:1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("clipsearch: the Ray cluster at 127.0.0.1:1 cannot be reached: ")
    assert done.stderr.count("\n") == 1


def test_a_store_is_read_by_the_workers(cluster: Cluster, photos: Path, libraries: tuple[Library, Library]) -> None:
    local, distributed = libraries
    local.index(f"local://{photos}")
    assert distributed.index(f"local://{photos}", ray=ONE_CORE).embedded == 6
    assert contents(distributed) == contents(local)
    assert len(contents(local)) == 6


@pytest.mark.parametrize(
    "arguments", [["--ray-cpus", "2"], ["--ray-gpus", "0.5"], ["--ray-address", "here:1"], ["--shards", "shards"]]
)
def test_options_of_ray_go_with_ray(arguments: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--library", str(tmp_path), "index", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert f"{arguments[0]} requires --engine ray" in done.stderr


@pytest.mark.parametrize(
    ("nodes", "settings", "room"),
    [
        ([{"CPU": 16.0}, {"CPU": 4.0}], RaySettings(), Room(4, 0, 5)),
        ([{"CPU": 64.0}], RaySettings(), Room(8, 0, 8)),
        ([{"CPU": 6.0}, {"CPU": 2.0}, {"memory": 1.0}], RaySettings(worker_cpus=3), Room(3, 0, 2)),
        ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 32.0}], RaySettings(worker_gpus=1), Room(8, 1, 2)),
        ([{"CPU": 16.0, "GPU": 1.0}], RaySettings(worker_gpus=0.25), Room(4, 0.25, 4)),
        ([{"CPU": 2.0, "GPU": 8.0}], RaySettings(worker_gpus=1), Room(1, 1, 2)),
    ],
)
def test_what_nodes_have_room_for(nodes: list[dict[str, float]], settings: RaySettings, room: Room) -> None:
    assert room_of(nodes, settings) == room


@pytest.mark.parametrize(
    ("nodes", "settings", "reason"),
    [
        ([{"CPU": 4.0}], RaySettings(worker_gpus=0.5), "no node of the Ray cluster has 0.5 GPUs"),
        ([{"CPU": 4.0}], RaySettings(worker_cpus=5), "no node of the Ray cluster has 5 cores; ask for fewer"),
        ([], RaySettings(), "no node of the Ray cluster has a core to give"),
    ],
)
def test_a_cluster_without_room_is_told(nodes: list[dict[str, float]], settings: RaySettings, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        room_of(nodes, settings)


def test_several_indexers_of_one_catalog_may_use_it(
    cluster: Cluster, photos: Path, open_library: Callable[..., Library], postgres_server: PostgresServer
) -> None:
    place = postgres_server.catalog()
    library = open_library(place)
    assert library.index(photos, ray=ONE_CORE).embedded == 6
    assert library.index(photos, ray=ONE_CORE).unchanged == 6
    assert len(contents(library, place)) == 6
