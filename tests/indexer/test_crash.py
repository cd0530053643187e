"""Killing an indexing process at any moment costs at most the batch in flight."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.library import Library
from clipsearch.vectors.engine import current_index
from clipsearch.vectors.faiss.engine import index_path
from clipsearch.vectors.faiss.saved import open_index
from indexer.embedding import batch_sizes
from tests.conftest import ROOT, ColourEncoder, mostly_long, save_photo

PHOTOS = 600
RANDOM_KILLS = 50

COMMIT_POINTS = (
    "RootRepository.add",
    "JobRepository.begin",
    "Catalog.commit",
    "raise_revision",
    "current_index",
    "write_exact",
    "os.fsync",
    "Path.replace",
    "JobRepository.finish",
)
"""Where a run changes something that lasts; each is killed just before and just after it, early and late."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver forks, which Windows cannot")

DRIVER = """
# One warm process that forks a child for each run: starting Python fifty times would take longer than all the rest.
import json, os, shutil, signal, sys, time
from pathlib import Path

import clipsearch.catalog.catalog as image_store
import clipsearch.vectors.faiss.engine as cache
import indexer.run as run
from clipsearch.library import Library
from clipsearch.catalog.jobs import JobRepository
from clipsearch.catalog.roots import RootRepository
from tests.conftest import ColourEncoder
from tests.killing import kill_at

library, photos, log_path, plan = sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
OWNERS = {
    "RootRepository.add": RootRepository, "JobRepository.begin": JobRepository, "Catalog.commit": image_store.Catalog,
    "raise_revision": image_store, "current_index": run, "write_exact": cache,
    "os.fsync": os, "Path.replace": Path, "JobRepository.finish": JobRepository,
}

class Slow(ColourEncoder):
    def encode_pixels(self, pixels):
        with log_path.open("a") as log:
            log.writelines(f"{row.tobytes().hex()}\\n" for row in pixels)
        time.sleep(0.01)
        return super().encode_pixels(pixels)

def child(step):
    if "point" in step:
        kill_at(OWNERS[step["point"]], step["point"].split(".")[-1], step["nth"], after=step["after"])
    with Library.open(library, create=True, encoder=Slow()) as opened:
        opened.index(photos)

steps = list(reversed(plan))
while steps:
    step = steps.pop()
    with log_path.open("a") as log:
        log.write("run\\n")
    pid = os.fork()
    if pid == 0:
        child(step)
        os._exit(0)
    if "delay" in step:
        time.sleep(step["delay"])
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    _, status = os.waitpid(pid, 0)
    print("killed" if os.WIFSIGNALED(status) else f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
    if "delay" in step and not os.WIFSIGNALED(status):
        # the run was faster: begin anew, so that as many kills as were asked for hit a run at work
        shutil.rmtree(library)
        steps.append(step)
        with log_path.open("a") as log:
            log.write("anew\\n")
    # what is committed now must not be embedded again
    with log_path.open("a") as log:
        catalog = Path(library) / "catalog.sqlite3"
        if catalog.exists():
            import sqlite3
            connection = sqlite3.connect(catalog)
            try:
                log.writelines(f"have {row[0]}\\n" for row in connection.execute("SELECT content_hash FROM embeddings"))
            except sqlite3.OperationalError:
                pass  # killed before there were tables
            connection.close()
"""


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(PHOTOS):
        save_photo(folder / f"{number % 7}" / f"{number:03}.png", (number % 256, number // 3, 77), size=(12, 12))
    return folder


@pytest.fixture(scope="module")
def undisturbed(many_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    library = tmp_path_factory.mktemp("undisturbed")
    with Library.open(library, create=True, encoder=ColourEncoder()) as opened:
        opened.index(many_photos)
    return contents(library)


def contents(library: Path) -> dict[str, object]:
    """Every row that says something about the photos: nothing that depends on when or in which order it was written."""
    connection = sqlite3.connect(library / CATALOG_NAME)
    tables = {
        "roots": "SELECT path, volume_id, volume_path FROM roots ORDER BY path",
        "files": "SELECT root_id, relative_path, size, mtime_ns, content_hash FROM files ORDER BY 1, 2",
        "contents": "SELECT * FROM contents ORDER BY content_hash",
        "embeddings": "SELECT content_hash, model_id, vector FROM embeddings ORDER BY content_hash",
        "failures": "SELECT relative_path, reason FROM failures ORDER BY relative_path",
        "unfinished": "SELECT kind FROM jobs WHERE finished_at IS NULL",
    }
    found: dict[str, object] = {name: connection.execute(sql).fetchall() for name, sql in tables.items()}
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    return found


def drive(library: Path, photos: Path, log: Path, plan: list[dict[str, object]]) -> list[str]:
    """Run the indexer once for each step, killing it as the step says; returns how each run ended."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(library), str(photos), str(log), json.dumps(plan)],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def check_nothing_was_embedded_twice(log: Path, photos: Path) -> None:
    """A content that was committed is never embedded again; each kill costs at most what may be uncommitted."""
    from clipsearch.media.decoding import content_hash, load_image

    transform = ColourEncoder().transform
    pixels_of = {
        content_hash(path.read_bytes()): transform(load_image(path).image).tobytes().hex()
        for path in photos.rglob("*.png")
    }
    committed: set[str] = set()
    runs = embedded = 0
    begun = 1
    for line in log.read_text().splitlines():
        if line == "run":
            runs += 1
        elif line == "anew":
            begun += 1
            committed.clear()
        elif line.startswith("have "):
            committed.add(pixels_of[line.removeprefix("have ")])
        else:
            embedded += 1
            assert line not in committed
    sizes = batch_sizes(ColourEncoder())
    assert sizes.images * sizes.uncommitted == 32
    assert embedded <= begun * PHOTOS + runs * 32


def check_cache_agrees(library: Path) -> None:
    """The saved vectors are those of the catalog, and no temporary file is left to be taken for one."""
    with Library.open(library, encoder=ColourEncoder()) as opened, closing(Catalog(library)) as store:
        model = store.models.active()
        assert model is not None
        saved, stamp = open_index(index_path(library, model))
        revision, live = store.live_embedding_ids(model.id)
        assert stamp.revision == revision
        assert saved.ids().tolist() == live.tolist()
        notes: list[str] = []
        current_index(store, model, notify=notes.append)
        assert notes == []
        results = opened.search("red", k=PHOTOS)
        assert len(results) == PHOTOS


def finish_and_compare(library: Path, photos: Path, log: Path, undisturbed: dict[str, object]) -> None:
    assert drive(library, photos, log, [{}]) == ["ended 0"]
    assert contents(library) == undisturbed
    check_nothing_was_embedded_twice(log, photos)
    check_cache_agrees(library)


@pytest.mark.long
def test_fifty_kills_at_random_moments_change_nothing_in_the_end(
    many_photos: Path, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    import random

    library, log = tmp_path / "library", tmp_path / "log"
    random_ = random.Random(1)
    plan: list[dict[str, object]] = [{"delay": random_.uniform(0.0, 0.9)} for _ in range(RANDOM_KILLS)]
    ends = drive(library, many_photos, log, plan)
    assert ends.count("killed") == RANDOM_KILLS
    assert set(ends) <= {"killed", "ended 0"}
    finish_and_compare(library, many_photos, log, undisturbed)


@pytest.mark.parametrize("point", mostly_long(COMMIT_POINTS))
def test_a_kill_at_each_commit_point_changes_nothing_in_the_end(
    point: str, many_photos: Path, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    library, log = tmp_path / "library", tmp_path / "log"
    often = point in ("Catalog.commit", "raise_revision")
    plan: list[dict[str, object]] = [
        {"point": point, "after": after, "nth": nth} for nth in ((1, 4) if often else (1,)) for after in (False, True)
    ]
    ends = drive(library, many_photos, log, plan)
    assert ends[0] == "killed"
    assert ends.count("killed") >= len(plan) // 2
    finish_and_compare(library, many_photos, log, undisturbed)
