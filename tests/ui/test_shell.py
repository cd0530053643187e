"""The frame of the page and the first run, as `streamlit.testing` runs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clipsearch.library import Library
from tests.conftest import ColourEncoder, save_photo
from ui import indexing, server, shared, strings

LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process shares between its sessions begins anew."""
    work = indexing.BackgroundWork(lambda notify: shared.open_library(notify=notify, create=True))
    monkeypatch.setattr("ui.indexing.background", work)
    yield
    work.stop()
    work.wait(LIMIT_S)
    shared.configure()


@pytest.fixture
def empty(tmp_path: Path) -> AppTest:
    """The page over a place where there is no library."""
    return _app(tmp_path / "library")


def _app(library: Path) -> AppTest:
    shared.configure(library, encoder=ColourEncoder())  # type: ignore[arg-type]
    return AppTest.from_file(str(server._SCRIPT), default_timeout=LIMIT_S)


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def index(app: AppTest, folders: str) -> AppTest:
    app.text_area(key="first_run_folders").set_value(folders)
    (button,) = [button for button in app.button if button.label == strings.INDEX_BUTTON]
    button.click()
    return run(app)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_without_a_library_there_is_a_way_to_begin(empty: AppTest, tmp_path: Path) -> None:
    run(empty)
    assert [title.value for title in empty.title] == [strings.WELCOME]
    assert labels(empty) == [strings.INDEX_BUTTON, strings.DEMO_BUTTON]
    assert not empty.error
    assert not (tmp_path / "library").exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("folders", "message"),
    [("", strings.NO_FOLDER), ("  \n ", strings.NO_FOLDER), ("no/such/*folder*", r"no/such/\*folder\*")],
)
def test_a_missing_folder_is_an_error(empty: AppTest, tmp_path: Path, folders: str, message: str) -> None:
    index(run(empty), folders)
    (error,) = empty.error
    assert message.rstrip(".") in error.value
    assert not (tmp_path / "library").exists()


def test_folders_are_indexed_and_then_searched(empty: AppTest, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    index(run(empty), f"{photos}\n\n  {tmp_path / 'more'}  \n")
    indexing.background.wait(LIMIT_S)
    run(empty)
    assert strings.WELCOME not in [title.value for title in empty.title]
    assert strings.INDEX_BUTTON not in labels(empty)
    assert shared.library().browse.facets().total == 6


def test_a_folder_without_pictures_leads_back_to_the_beginning(empty: AppTest, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    index(run(empty), str(tmp_path / "nothing"))
    indexing.background.wait(LIMIT_S)
    run(empty)
    assert [warning.value for warning in empty.warning] == [strings.NOTHING_FOUND]
    assert strings.INDEX_BUTTON in labels(empty)


def test_files_that_could_not_be_read_are_told_with_their_reasons(
    empty: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("one.jpg", "two *bold*.png"):
        (folder / name).write_bytes(b"no picture")
    index(run(empty), str(folder))
    indexing.background.wait(LIMIT_S)

    def expect_failures(app: AppTest) -> None:
        assert [warning.value for warning in app.warning] == [strings.NOTHING_READABLE.format(count="2 files")]
        (table,) = app.dataframe
        assert table.value.iloc[:, 0].tolist() == ["one.jpg", "two *bold*.png"]
        assert all(table.value.iloc[:, 1])
        assert strings.INDEX_BUTTON in labels(app)

    expect_failures(run(empty))
    monkeypatch.setattr("ui.indexing.background", indexing.BackgroundWork(lambda _: shared.library()))
    expect_failures(run(_app(tmp_path / "library")))  # also in a new process


def test_files_that_can_be_read_by_now_are_tried_again(empty: AppTest, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = tmp_path / "photos" / "red.png"
    picture.write_bytes(b"no picture")
    index(run(empty), str(tmp_path / "photos"))
    indexing.background.wait(LIMIT_S)
    run(empty)
    save_photo(picture, "red")
    empty.button(key="first_run_retry").click()
    run(empty)
    indexing.background.wait(LIMIT_S)
    run(empty)
    assert shared.library().browse.facets().total == 1
    assert strings.WELCOME not in [title.value for title in empty.title]


def test_progress_is_shown_to_whoever_comes_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = indexing.WorkState(number=1, kind="index", running=True, done=3, total=12, messages=("one *odd* file",))
    monkeypatch.setattr(indexing.background, "state", lambda: state)
    app = run(_app(tmp_path / "library"))
    assert [title.value for title in app.title] == [strings.INDEXING]
    assert [caption.value for caption in app.caption] == [r"one \*odd\* file"]
    assert labels(app) == [strings.STOP], "nothing can be searched yet"


def test_a_library_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "catalog.sqlite3").write_bytes(b"something else entirely" * 100)
    app = run(_app(tmp_path / "library"))
    (error,) = app.error
    assert "is damaged" in error.value


def test_the_demo_is_marked_and_can_be_left(indexed: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shared, "DEMO_MODEL", None)
    shutil.copytree(indexed.path, shared.demo_dir() / "library")
    app = _app(tmp_path / "nothing here")
    shared.show_demo(True)
    run(app)
    assert strings.IN_DEMO in [caption.value for caption in app.caption]
    app.button(key="shell_leave_demo").click()
    run(app)
    assert [title.value for title in app.title] == [strings.WELCOME]


@pytest.mark.parametrize("position", ["first", "later"])
def test_a_library_with_pictures_opens_on_the_search_page(indexed: Library, position: str) -> None:
    app = run(_app(indexed.path))
    if position == "later":
        run(app)
    assert strings.WELCOME not in [title.value for title in app.title] and not app.error
