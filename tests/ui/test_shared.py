"""What sessions share: one library in many threads, current while it changes; and the demo's beside the user's own."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.errors import LibraryError
from clipsearch.library import Library
from tests.conftest import COLOURS, ColourEncoder, LoadWith, save_photo
from ui import shared


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    yield
    shared.configure()


@pytest.fixture
def shown(indexed: Library) -> Library:
    shared.configure(indexed.path, encoder=ColourEncoder())
    return shared.library()


def test_all_threads_get_the_same_library(indexed: Library) -> None:
    shared.configure(indexed.path, encoder=ColourEncoder())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: shared.library(), range(64)))
    assert len(set(map(id, found))) == 1


@pytest.mark.long
def test_searches_in_many_threads_answer_as_alone(shown: Library) -> None:
    lines = [*COLOURS, "red -blue", "green ext:png", "ext:jpg", "red folder:grey"]
    alone = {line: [result.path for result in shown.search(line)] for line in lines}
    with ThreadPoolExecutor(8) as pool:
        for line, paths in pool.map(lambda line: (line, [found.path for found in shown.search(line)]), lines * 30):
            assert paths == alone[line]


def test_what_is_indexed_meanwhile_is_found_at_once(shown: Library, photos: Path) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []

    def search_on() -> None:
        try:
            while not stop.is_set():
                assert shown.search("purple", k=3)
                assert shown.browse.facets().total >= 6
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=search_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with shared.open_library(notify=lambda line: None) as library:
            for number in range(3):
                new = save_photo(photos / f"new{number}.png", "purple", size=(48 + number, 32))
                library.index()
                assert new in [result.path for result in shown.search("purple", k=number + 1)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed


def test_a_missing_library_is_none_until_it_is_there(tmp_path: Path, photos: Path) -> None:
    shared.configure(tmp_path / "library", encoder=ColourEncoder())
    assert not shared.library_exists() and not shared.has_pictures()
    with pytest.raises(LibraryError, match="there is no library"):
        shared.library()
    assert not (tmp_path / "library").exists()
    with shared.open_library(notify=lambda line: None, create=True) as library:
        assert shared.library_exists() and not shared.has_pictures()
        library.index(photos)
    assert shared.has_pictures() and shared.library().search("red", k=1)


def test_the_demo_and_the_own_library_stand_side_by_side(
    indexed: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shared, "DEMO_MODEL", None)
    shutil.copytree(indexed.path, shared.demo_dir() / "library")
    shared.configure(indexed.path, encoder=ColourEncoder())
    own = shared.library()
    shared.show_demo(True)
    demo = shared.library()
    assert demo is not own and demo.path == shared.shown_place() != shared.own_place() == own.path
    assert own.search("red", k=1), "a session that is at work with it goes on"
    shared.show_demo(False)
    assert shared.library() is own


def test_the_model_is_loaded_once_for_searches_and_for_work_in_the_background(
    indexed: Library, photos: Path, load_with: LoadWith
) -> None:
    loaded: list[ColourEncoder] = []

    def load(spec: str, **options: object) -> ColourEncoder:
        loaded.append(ColourEncoder())
        return loaded[-1]

    load_with(load)
    shared.configure(indexed.path)
    assert shared.library().search("red", k=1)
    save_photo(photos / "new.png", "purple")
    with shared.open_library(notify=lambda line: None) as library:
        assert library.index().indexed == 1
    assert shared.library().search("purple", k=1)
    assert len(loaded) == 1


def test_a_library_that_is_being_made_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.configure(tmp_path / "library", encoder=ColourEncoder())
    half_made, goes_on = threading.Event(), threading.Event()
    opened = Library.open

    def slowly(path: Path, *, create: bool, **options: Any) -> Library:
        if create:
            path.mkdir()
            (path / CATALOG_NAME).touch()
            half_made.set()
            goes_on.wait()
        return opened(path, create=create, **options)

    monkeypatch.setattr(Library, "open", slowly)
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(lambda: shared.open_library(notify=lambda line: None, create=True))
        half_made.wait()
        looked_at = pool.submit(shared.has_pictures)
        goes_on.set()
        made.result().close()
        assert not looked_at.result()
