"""A watched library follows its folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.reports import IndexReport, RootStatus
from clipsearch.library import Library
from indexer.watch import WatchOptions, changed_folders, watch_roots
from tests.conftest import ColourEncoder, Notes, save_photo
from tests.videos import write_video

PATIENCE_S = 60.0
"""How long a test waits for something that takes a second; only a hang reaches it."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.05)


class Watched:
    """A library that is watched by a thread."""

    def __init__(self, library: Library, notes: Notes) -> None:
        self.library = library
        self.catalog = Catalog(library.path)
        self.notes = notes
        self.reports: list[IndexReport] = []
        self.stop = threading.Event()
        options = WatchOptions(quiet_s=0.2, check_s=0.2)
        self._thread = threading.Thread(
            target=watch_roots,
            args=(library.roots.all, lambda folders, wait_s: library.index(*folders, wait_s=wait_s)),
            kwargs={"options": options, "stop": self.stop, "notify": notes, "indexed": self.reports.append},
        )
        self._thread.start()
        wait_until(lambda: bool(self.reports), "everything was indexed once")

    def names(self) -> set[str]:
        return {item.relative_path for item in self.catalog.files_in(1)}

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.catalog.close()


@pytest.fixture
def watched(library: Library, photos: Path, notes: Notes) -> Iterator[Watched]:
    library.index(photos)
    watched = Watched(library, notes)
    yield watched
    watched.end()


def test_new_changed_and_deleted_files_are_followed(watched: Watched, photos: Path, encoder: ColourEncoder) -> None:
    save_photo(photos / "new" / "pink.png", "pink")
    wait_until(lambda: "new/pink.png" in watched.names(), "the new file is in the catalog")
    (photos / "red.png").unlink()
    wait_until(lambda: "red.png" not in watched.names(), "the deleted file is out of it")
    before = encoder.embedded
    save_photo(photos / "blue.png", "cyan", size=(90, 20))
    wait_until(lambda: encoder.embedded > before, "the changed file is embedded")


@pytest.mark.long
def test_a_video_that_is_new_changed_or_deleted_is_followed(watched: Watched, photos: Path) -> None:
    def moment() -> tuple[str, float | None] | None:
        found = watched.library.search("blue kind:video", k=1)
        return (found[0].path.name, found[0].segment.start_s) if found else None

    video = photos / "lights.mp4"
    with tempfile.TemporaryDirectory(dir=photos.parent) as elsewhere:
        for scenes, start_s in (((("red", 2), ("blue", 3)), 2.0), ((("red", 4), ("blue", 3)), 4.0)):
            write_video(Path(elsewhere) / "lights.mp4", scenes).replace(video)
            wait_until(lambda start_s=start_s: moment() == ("lights.mp4", start_s), "the moment is found")  # type: ignore[misc]
    video.unlink()
    wait_until(lambda: moment() is None, "the deleted video is no result")


@pytest.mark.long
def test_a_moved_folder_is_followed_without_inference(watched: Watched, photos: Path, encoder: ColourEncoder) -> None:
    (photos / "grey").rename(photos / "monochrome")
    wait_until(
        lambda: (
            {"monochrome/white.jpg", "monochrome/black.webp"} <= watched.names()
            and not any(name.startswith("grey/") for name in watched.names())
        ),
        "the folder has its new name",
    )
    assert encoder.embedded == 6


@pytest.mark.long
def test_a_burst_is_indexed_in_few_runs(watched: Watched, photos: Path) -> None:
    runs = len(watched.reports)
    for number in range(150):
        save_photo(photos / "burst" / f"{number}.png", (number, 7, 200), size=(8, 8))
    wait_until(lambda: len(watched.names()) == 156, "all of the burst is in the catalog")
    assert len(watched.reports) - runs <= 10


@pytest.mark.long
def test_junk_and_hidden_folders_are_left_alone(watched: Watched, photos: Path) -> None:
    save_photo(photos / "@eaDir" / "thumb.png", "red")
    save_photo(photos / ".hidden" / "red.png", "red")
    save_photo(photos / "seen.png", "pink")
    wait_until(lambda: "seen.png" in watched.names(), "the picture beside the junk is in the catalog")
    assert len(watched.names()) == 7


@pytest.mark.long
def test_unmounting_and_mounting_again(watched: Watched, photos: Path, notes: Notes) -> None:
    photos.rename(photos.parent / "away")
    wait_until(lambda: any("is offline; it is watched again" in note for note in notes), "the drive is missed")
    save_photo(photos.parent / "away" / "meanwhile.png", "pink")
    (photos.parent / "away").rename(photos)
    wait_until(lambda: "meanwhile.png" in watched.names(), "what changed meanwhile is in the catalog")
    assert len(watched.names()) == 7
    save_photo(photos / "afterwards.png", "brown")
    wait_until(lambda: "afterwards.png" in watched.names(), "it is watched again")


def test_a_drive_that_goes_away_while_it_is_looked_for(tmp_path: Path, notes: Notes) -> None:
    gone, stop, looks = RootStatus(tmp_path / "gone", 1, online=True), threading.Event(), []

    def roots() -> list[RootStatus]:
        looks.append(gone)
        if len(looks) == 3:
            stop.set()
        return [gone]

    def index(folders: Collection[Path], wait_s: float) -> IndexReport:
        raise AssertionError("nothing is there to be indexed")

    options = WatchOptions(check_s=0.01)
    watch_roots(roots, index, options=options, stop=stop, notify=notes, indexed=lambda report: None)
    assert len(looks) == 3


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["a/x.jpg", "a/y.jpg"], ["a"]),
        (["x.jpg", "a/y.jpg"], [""]),
        (["a/b/x.jpg", "a/y.jpg", "c/z.jpg"], ["a", "c"]),
        (["gone/deep/x.jpg"], [""]),
        ([".git/x.jpg", "node_modules/a/x.jpg", "a/@eaDir/x.jpg"], []),
        ([""], [""]),
        ([f"many/{number}/x.jpg" for number in range(100)], [""]),
        (["../elsewhere/x.jpg"], []),
    ],
)
def test_changed_folders(tmp_path: Path, changed: list[str], expected: list[str]) -> None:
    root = tmp_path / "root"
    for folder in ["a/b", "c", *(f"many/{number}" for number in range(100))]:
        (root / folder).mkdir(parents=True)
    paths = [Path(os.path.normpath(root / path)) for path in changed]
    assert changed_folders(paths, [root]) == [root / path for path in expected]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_the_command_indexes_follows_and_ends_when_told(photos: Path, tmp_path: Path) -> None:
    kept, *others = sorted(photos.rglob("*.*"))
    for path in others[1:]:
        path.unlink()
    (photos / "broken.jpg").symlink_to("nowhere.jpg")
    library = tmp_path / "library"
    command = [sys.executable, "-m", "clipsearch", "--library", str(library), "watch", str(photos), "--quiet", "0.2"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            assert process.stdout.readline().endswith("2 indexed\n")
            first = []
            while not first or "watching 1 root" not in first[-1]:
                first.append(process.stderr.readline())
                assert first[-1], "it ended early"
            time.sleep(1.0)
            shutil.copy(kept, photos / "copy.png")
            assert process.stdout.readline().endswith("1 indexed\n")
        finally:
            process.send_signal(signal.SIGTERM)
        out, problems = process.communicate(timeout=PATIENCE_S)
    assert (out, process.returncode) == ("", 0)
    assert problems.endswith("stopped\n")
    assert "".join([*first, problems]).count("broken.jpg") == 1
