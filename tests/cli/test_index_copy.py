"""Moving a library between FAISS and Milvus, and what works as before on either."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from clipsearch.cli import cli
from clipsearch.library import Library
from clipsearch.media.segments import SegmentKind
from clipsearch.retrieval.results import ResultSegment
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.engine import library_engine
from clipsearch.vectors.faiss.engine import FaissEngine
from clipsearch.vectors.milvus.collections import space_prefix
from clipsearch.vectors.milvus.connection import MilvusConnection, connect
from clipsearch.vectors.milvus.engine import MilvusEngine
from tests.conftest import ColourEncoder, Notes, save_photo
from tests.videos import write_video

Run = Callable[..., Result]
QUERIES = ("red", "green -blue", "red blue ext:png", "white folder:grey or ext:webp", "yellow -ext:jpg")


@pytest.fixture
def run(indexed: Library) -> Iterator[Run]:
    def run_(*arguments: str | Path) -> Result:
        words = ["--library", str(indexed.path), *map(str, arguments)]
        return CliRunner().invoke(cli, words, prog_name="clipsearch")

    yield run_
    if (indexed.path / "vectors" / "milvus.db").exists():
        connect(str(indexed.path / "vectors" / "milvus.db"), local=True).close()


def connection_of(library: Path) -> MilvusConnection:
    engine = library_engine(library)
    assert isinstance(engine, MilvusEngine)
    return engine.connect(library)


def found(library: Path) -> list[list[tuple[str, float]]]:
    """What searches find, in a library that was opened for them."""
    with Library.open(library, encoder=ColourEncoder()) as opened:
        results = [opened.search(line, group=group) for line in QUERIES for group in ("none", "duplicates")]
        results.append(opened.similar(results[0][0].path))
    return [[(item.path.name, round(item.score or 0.0, 5)) for item in some] for some in results]


def test_there_and_back_everything_is_found_as_before(run: Run, indexed: Library) -> None:
    vectors, before = indexed.path / "vectors", found(indexed.path)
    there = run("index-copy", "--to", "milvus")
    assert (there.exit_code, there.stderr) == (0, "")
    assert there.stdout.startswith("copied     6 embeddings in ")
    assert there.stdout.splitlines()[1] == f"engine     milvus at {vectors / 'milvus.db'}"
    assert not list(vectors.glob("*.faiss"))
    assert found(indexed.path) == before
    assert not list(vectors.glob("*.faiss"))
    back = run("index-copy", "--to", "faiss", "--json")
    assert (back.exit_code, back.stderr) == (0, "")
    report = json.loads(back.stdout)
    assert (report["engine"], report["vectors"]) == ("faiss", 6)
    assert [path.suffix for path in vectors.iterdir()] == [".faiss"]
    assert found(indexed.path) == before


@pytest.mark.long
def test_videos_and_their_moments_are_found_as_before(
    run: Run, open_library: Callable[..., Library], photos: Path
) -> None:
    def moments() -> list[list[tuple[str, ResultSegment, float]]]:
        with open_library() as opened:
            results = [
                opened.search(line, moments=every)
                for line in ("blue kind:video", "kind:video red", "duration:>8.5s red", "kind:image red", "lime")
                for every in (False, True)
            ]
            results.append(opened.similar(photos / "signs.mkv", at_s=3.0))
        return [[(item.path.name, item.segment, round(item.score or 0.0, 4)) for item in some] for some in results]

    write_video(photos / "lights.mp4", [("red", 3), ("lime", 3), ("blue", 3)])
    write_video(photos / "signs.mkv", [("yellow", 2), ("red", 2), ("yellow", 2), ("red", 2)])
    with open_library() as opened:
        opened.index(photos)
    before = moments()
    assert run("index-copy", "--to", "milvus").exit_code == 0
    assert moments() == before
    assert before[0][0][:2] == ("lights.mp4", ResultSegment(SegmentKind.FRAME, 6.0, 9.0, 6.0))
    assert {name for name, *_ in before[4]} == {"lights.mp4"}
    (photos / "lights.mp4").unlink()
    write_video(photos / "more.mp4", [("white", 2), ("blue", 2)])
    with open_library() as opened:
        opened.index(photos)
        assert opened.search("blue kind:video", k=1)[0].path.name == "more.mp4"


@pytest.mark.long
def test_a_searching_library_finds_what_is_indexed_later(
    run: Run, open_library: Callable[..., Library], photos: Path
) -> None:
    assert run("index-copy", "--to", "milvus").exit_code == 0
    library = open_library()
    library.index(photos)
    save_photo(photos / "later.png", (255, 0, 250))
    (photos / "red.png").unlink()
    library.index(photos)
    names = [item.path.name for item in library.search("red", k=9)]
    assert "later.png" in names and "red.png" not in names
    assert not list(library.path.glob("vectors/*.faiss"))
    assert library.maintenance.compact().images == 1
    assert [item.path.name for item in library.search("red", k=9)] == names


def test_a_library_that_is_open_follows_to_the_other_engine(run: Run, indexed: Library) -> None:
    before = [item.path.name for item in indexed.search("red", group="duplicates")]
    assert run("index-copy", "--to", "milvus").exit_code == 0
    assert [item.path.name for item in indexed.search("red", group="duplicates")] == before
    connection, engine = connection_of(indexed.path), library_engine(indexed.path)
    assert isinstance(engine, MilvusEngine)
    (name,) = connection.collections(space_prefix(engine.space))
    connection.delete(name, connection.ids(name))
    assert indexed.search("red") == [], "it searches there, where nothing is left"
    assert run("index-copy", "--to", "faiss").exit_code == 0
    assert [item.path.name for item in indexed.search("red", group="duplicates")] == before


def test_to_another_local_file_and_on_to_the_librarys_own(run: Run, indexed: Library, tmp_path: Path) -> None:
    elsewhere = tmp_path / "fast disk" / "shared.db"
    assert run("index-copy", "--to", f"milvus:{elsewhere}").exit_code == 0
    first = library_engine(indexed.path)
    assert isinstance(first, MilvusEngine) and first.address(indexed.path) == str(elsewhere)
    before = found(indexed.path)
    assert run("index-copy", "--to", "milvus").exit_code == 0
    assert found(indexed.path) == before
    other = connect(str(elsewhere), local=True)
    assert other.collections(space_prefix(first.space)) == []  # the file may be others' too, and stays
    other.close()
    again = run("index-copy", "--to", "milvus")
    assert again.exit_code == 0
    assert len(connection_of(indexed.path).collections("clipsearch_")) == 1
    assert len(list((indexed.path / "vectors").glob("*.npy"))) == 1
    assert found(indexed.path) == before


def test_a_target_that_cannot_be_reached_changes_nothing(
    run: Run, indexed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.vectors.milvus.connection._CONNECT_S", 0.3)
    before = found(indexed.path)
    done = run("index-copy", "--to", "milvus:http://127.0.0.1:9")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Milvus at http://127.0.0.1:9" in done.stderr and len(done.stderr.splitlines()) == 1
    assert library_engine(indexed.path) == FaissEngine()
    assert found(indexed.path) == before


def test_a_server_that_is_gone_can_be_left(run: Run, indexed: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipsearch.vectors.milvus.connection._CONNECT_S", 0.3)
    before = found(indexed.path)
    setting = indexed.path / "vectors" / "engine.json"
    for content in ('{"engine": "milvus", "uri": "http://127.0.0.1:9", "space": "gone"}', "torn"):
        setting.write_text(content)
        done = run("index-copy", "--to", "faiss")
        assert done.exit_code == 0
        assert "stay" in done.stderr and len(done.stderr.splitlines()) == 1
        assert not setting.exists()
        assert found(indexed.path) == before


def test_what_it_refuses(run: Run, indexed: Library) -> None:
    assert run("index-copy").exit_code == 2
    unknown = run("index-copy", "--to", "annoy")
    assert (unknown.exit_code, unknown.stdout) == (1, "") and "faiss, milvus" in unknown.stderr
    (indexed.path / "file").write_text("in the way")
    blocked = run("index-copy", "--to", f"milvus:{indexed.path / 'file' / 'vectors.db'}")
    assert blocked.exit_code == 1 and blocked.stderr.startswith("clipsearch: cannot open ")
    with writer_lock(indexed.path):
        locked = run("index-copy", "--to", "milvus")
    assert locked.exit_code == 1 and "is writing to the library" in locked.stderr
    assert library_engine(indexed.path) == FaissEngine()


def test_a_library_without_pictures_chooses_for_later(open_library: Callable[..., Library], photos: Path) -> None:
    library = open_library()
    report = library.maintenance.copy_index("milvus")
    assert (report.model, report.vectors) == (None, 0)
    library.index(photos)
    assert library.search("red", k=1)[0].path.name == "red.png"
    assert not list(library.path.glob("vectors/*.faiss"))
    connection_of(library.path).close()


def test_a_checkup_looks_into_the_collection(run: Run, indexed: Library, notes: Notes) -> None:
    assert run("index-copy", "--to", "milvus").exit_code == 0
    assert run("check").exit_code == 0
    connection, engine = connection_of(indexed.path), library_engine(indexed.path)
    assert isinstance(engine, MilvusEngine)
    (name,) = connection.collections(space_prefix(engine.space))
    ids = connection.ids(name)
    stray = f"{space_prefix(engine.space)}other_1"
    connection.create(stray, 4)
    for damage in ("lost", "changed"):
        if damage == "lost":
            connection.delete(name, ids[:1])
        else:
            connection.upsert(name, [(ids[:1], np.ones((1, ColourEncoder().dim)))])
        done = run("check")
        assert done.exit_code == 1
        assert "1 vector cache" in done.stdout
        mended = run("check", "--repair")
        assert mended.exit_code == 0, mended.output
        assert run("check").exit_code == 0
        assert stray not in connection.collections("clipsearch_")
        (name,) = connection.collections(space_prefix(engine.space))
    connection.close()


@pytest.mark.long
def test_pymilvus_is_loaded_only_where_the_library_says_so(run: Run, indexed: Library) -> None:
    program = (
        "import sys\nfrom clipsearch.library import Library\nfrom tests.conftest import ColourEncoder\n"
        f"with Library.open({str(indexed.path)!r}, encoder=ColourEncoder()) as library:\n"
        "    assert len(library.search('red', k=3)) == 3\n"
        "print(*sorted({'pymilvus', 'milvus_lite', 'grpc', 'pandas'} & set(sys.modules)))\n"
    )
    for target, loaded in (("faiss", ""), ("milvus", "grpc milvus_lite pandas pymilvus")):
        assert run("index-copy", "--to", target).exit_code == 0
        if target == "milvus":
            connection_of(indexed.path).close()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (loaded, "")
