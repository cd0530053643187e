"""The library page, as `streamlit.testing` runs it: every section, and what its buttons do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from clipsearch.library import Library
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, LoadWith, OtherEncoder, save_photo
from tests.indexer.test_text_pass import save_receipt
from ui import indexing, shared
from ui import strings_library as strings
from ui.sections.library import duplicates as duplicates_section
from ui.sections.library.duplicate_review import DuplicatesHolder
from ui.sections.library.work import describe

LIMIT_S = 60.0


def script() -> None:
    from ui.pages.library import page

    page()


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process shares between its sessions begins anew."""
    monkeypatch.setattr(
        "ui.indexing.background",
        indexing.BackgroundWork(lambda notify: shared.open_library(notify=notify, create=True)),
    )
    monkeypatch.setattr("ui.sections.library.duplicates.duplicates_holder", DuplicatesHolder())
    yield
    indexing.background.stop()
    indexing.background.wait(LIMIT_S)
    shared.configure()


@pytest.fixture
def app(indexed: Library) -> AppTest:
    shared.configure(indexed.path, encoder=ColourEncoder())
    return AppTest.from_function(script, default_timeout=LIMIT_S)


def opened(app: AppTest, section: str) -> AppTest:
    app.session_state["library_section"] = section
    return well(app.run())


def well(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    return app


def when_done(app: AppTest) -> AppTest:
    indexing.background.wait(LIMIT_S)
    return well(app.run())


def click(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    assert not button.disabled
    return well(button.click().run())


def texts(app: AppTest) -> str:
    kinds = (app.text, app.caption, app.markdown, app.info, app.success, app.warning, app.error, app.toast)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_what_the_library_holds(app: AppTest, photos: Path) -> None:
    opened(app, strings.FOLDERS)
    assert [(metric.label, metric.value) for metric in app.metric][:3] == [
        (strings.PICTURES, "6"),
        (strings.FILES, "6"),
        (strings.UNREADABLE, "0"),
    ]
    assert app.metric[3].value.endswith("KiB")
    assert str(photos) in texts(app)
    assert strings.ONLINE in texts(app)


def test_a_drive_that_is_not_there(app: AppTest, photos: Path) -> None:
    photos.rename(photos.parent / "away")
    opened(app, strings.FOLDERS)
    assert strings.OFFLINE in texts(app)


def test_index_now_tells_what_was_done_and_what_is_new(app: AppTest, photos: Path, indexed: Library) -> None:
    indexed.saved.add("*reds*", "red")
    save_photo(photos / "dark.png", (230, 5, 5))
    opened(app, strings.FOLDERS)
    click(app, strings.INDEX_NOW)
    when_done(app)
    assert app.success[0].value.startswith("Indexed 1 picture in ")
    assert "6 unchanged" in app.success[0].value
    assert app.metric[0].value == "7"
    assert "1 new match of the saved search “\\*reds\\*”" in [button.label for button in app.button]


@pytest.mark.long
def test_the_text_in_pictures_is_read(app: AppTest, photos: Path, indexed: Library) -> None:
    pytest.importorskip("rapidocr")
    save_receipt(photos / "bill.png", "IKEA Heraklion")
    indexed.index(photos)
    opened(app, strings.FOLDERS)
    click(app, strings.READ_TEXT)
    when_done(app)
    assert app.success[0].value.startswith("Read 7 pictures in ") and "; 1 have text" in app.success[0].value
    assert "Text was looked for in 7 of 7 pictures; 1 have some." in texts(app)
    assert app.button(key="library_read_text").disabled


def test_progress_with_a_stop_button(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(app, strings.FOLDERS)
    running = indexing.WorkState(
        1, "index", running=True, done=1234, total=5000, images_per_second=45.2, remaining_s=83
    )
    monkeypatch.setattr(indexing.background, "state", lambda: running)
    well(app.run())
    assert app.button[0].label == strings.STOP
    (progress,) = app.get("progress")
    assert progress.text == "Indexing: 1,234 of 5,000 pictures · 45.2 images/s · about 1 min 23 s left"
    assert strings.INDEX_NOW not in [button.label for button in app.button]


def test_progress_says_what_it_counts() -> None:
    state = indexing.WorkState(1, "migrate", running=True, done=2, total=5)
    assert describe(state) == "Migrating: 2 of 5 pictures"
    assert describe(replace(state, of="concept")) == "Refitting concepts: 2 of 5"


def test_another_process_that_writes_is_no_alarm(app: AppTest, indexed: Library, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("ui.indexing._WAIT_FOR_WRITER_S", 0.0)
    opened(app, strings.FOLDERS)
    with writer_lock(indexed.path):
        click(app, strings.INDEX_NOW)
        when_done(app)
    assert [info.value for info in app.info] == [strings.LOCKED]
    assert not app.error


def test_a_folder_is_added_and_indexed(app: AppTest, tmp_path: Path) -> None:
    save_photo(tmp_path / "more" / "a.png", "pink")
    opened(app, strings.FOLDERS)
    app.text_input(key="library_add_path").input(str(tmp_path / "no *where*"))
    click(app, strings.ADD_FOLDER_BUTTON)
    assert "\\*where\\*" in app.error[0].value
    app.text_input(key="library_add_path").input(str(tmp_path / "more"))
    click(app, strings.ADD_FOLDER_BUTTON)
    when_done(app)
    assert app.metric[0].value == "7"
    assert str(tmp_path / "more") in texts(app)


def moving() -> None:
    """The dialog alone: `AppTest` runs the whole script for a click in it, and so would close it."""
    from ui.sections.library.folders import _move
    from ui.shared import library

    _move(library().roots.all()[0])


def removing() -> None:
    from ui.sections.library.folders import _remove
    from ui.shared import library

    for root in library().roots.all():
        _remove(root)


def trashing() -> None:
    from ui.sections.library import duplicates
    from ui.shared import library

    found = duplicates.duplicates_holder.latest(library())
    if found is not None and found.groups:
        # a section cannot open it here, for the reason above, and no other module calls it
        duplicates._confirm([file for group in found.groups for file in group.others], 0)


def test_a_folder_that_moved(app: AppTest, photos: Path, indexed: Library) -> None:
    opened(app, strings.FOLDERS)
    click(app, strings.MOVED)
    assert strings.MOVED_TEXT in texts(app)
    photos.rename(photos.parent / "elsewhere")
    dialog = well(AppTest.from_function(moving, default_timeout=LIMIT_S).run())
    dialog.text_input(key="library_move_to").input(str(photos.parent / "nowhere")).run()
    click(dialog, strings.MOVED_BUTTON)
    assert "does not exist" in dialog.error[0].value
    dialog.text_input(key="library_move_to").input(str(photos.parent / "elsewhere")).run()
    click(dialog, strings.MOVED_BUTTON)
    assert [root.path for root in indexed.roots.all()] == [photos.parent / "elsewhere"]
    assert strings.ONLINE in texts(well(app.run()))


def test_a_root_is_removed_only_after_a_confirmation(app: AppTest, indexed: Library, photos: Path) -> None:
    opened(app, strings.FOLDERS)
    click(app, strings.REMOVE)
    assert "Removes 6 files from the library, not from disk." in texts(app)
    assert indexed.roots.all()
    click(well(AppTest.from_function(removing, default_timeout=LIMIT_S).run()), strings.REMOVE_BUTTON)
    assert not indexed.roots.all()
    assert (photos / "red.png").exists()
    well(app.run())
    assert app.metric[0].value == "0"
    assert strings.NO_FOLDERS in texts(app)


def test_failures_are_shown_as_they_are_and_can_be_narrowed(app: AppTest, photos: Path) -> None:
    (photos / "<script>alert(1)</script>.png".replace("/", "∕")).write_bytes(b"no picture")
    (photos / "line\nbreak \u202egnp.png").write_bytes(b"")
    opened(app, strings.FAILURES)
    assert strings.NO_FAILURES in texts(app)
    click(app, strings.INDEX_NOW)
    when_done(app)
    table = app.dataframe[0].value
    assert sorted(table[strings.FAILURE_FILE]) == ["<script>alert(1)<∕script>.png", "line\\nbreak \\u202egnp.png"]
    assert all(table[strings.FAILURE_REASON])
    assert "2 of 2" in texts(app)
    well(app.text_input(key="library_failures_filter").input("SCRIPT").run())
    assert len(app.dataframe[0].value) == 1
    Image.new("RGB", (9, 9)).save(photos / "mended.png")
    shutil.copyfile(photos / "mended.png", photos / "line\nbreak \u202egnp.png")
    click(app, strings.RETRY)
    when_done(app)
    assert app.metric[2].value == "1"


def test_the_model_in_use_and_a_change_of_it(app: AppTest, indexed: Library, load_with: LoadWith) -> None:
    opened(app, strings.MODEL)
    assert "Model: hf-hub:tests/colours" in texts(app)
    load_with(lambda *_, **__: OtherEncoder())
    app.selectbox(key="library_new_model").set_value("mini")
    click(app, strings.CHANGE_MODEL_BUTTON)
    when_done(app)
    assert "Searches use the new model. Embedded 6 pictures" in app.success[0].value
    assert indexed.status().model == "hf-hub:tests/other-colours"
    assert strings.SPACE_READY in texts(app)
    assert strings.SPACE_USE in [button.label for button in app.button]


@pytest.fixture
def copies(photos: Path, indexed: Library, tmp_path: Path) -> list[Path]:
    """Two files with the same bytes besides one of the library's, and three of another."""
    made = [photos / "copy of red.png", photos / "blue *copy*.png", photos / "blue again.png"]
    shutil.copyfile(photos / "red.png", made[0])
    shutil.copyfile(photos / "blue.png", made[1])
    shutil.copyfile(photos / "blue.png", made[2])
    indexed.index(photos)
    return made


def test_duplicates_are_moved_to_the_trash_after_a_confirmation_that_names_them(
    app: AppTest, copies: list[Path], photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trash = tmp_path / "trash"
    trash.mkdir()
    monkeypatch.setattr("send2trash.send2trash", lambda path: shutil.move(path, trash))
    opened(app, strings.DUPLICATES)
    assert not app.checkbox
    click(app, strings.LOOK_FOR_DUPLICATES)
    assert len(app.checkbox) == 5
    assert not any(box.value for box in app.checkbox)
    click(app, strings.CHOOSE_OTHERS)
    assert sum(box.value for box in app.checkbox) == 3
    assert not list(trash.iterdir())
    click(app, "Move 3 files to the trash…")
    assert "3 files, " in texts(app)
    shown = "\n".join(text.value for text in app.text)
    assert all(str(path) in shown for path in copies)
    assert all(path.exists() for path in copies)
    click(well(AppTest.from_function(trashing, default_timeout=LIMIT_S).run()), strings.TRASH_CONFIRM)
    well(app.run())
    assert sorted(path.name for path in trash.iterdir()) == sorted(path.name for path in copies)
    assert (photos / "red.png").exists() and (photos / "blue.png").exists()
    assert strings.NO_DUPLICATES in texts(app)
    assert app.metric[1].value == "6"


def test_choosing_every_version_is_warned_of_and_cancelling_moves_nothing(
    app: AppTest, copies: list[Path], photos: Path
) -> None:
    opened(app, strings.DUPLICATES)
    click(app, strings.LOOK_FOR_DUPLICATES)
    for box in app.checkbox:
        box.check()
    well(app.run())
    click(app, "Move 5 files to the trash…")
    assert "Every file of 2 pictures is selected" in app.warning[0].value
    click(app, strings.CANCEL)
    assert all(path.exists() for path in [*copies, photos / "red.png", photos / "blue.png"])


def test_what_cannot_be_moved_cannot_be_chosen(app: AppTest, copies: list[Path], photos: Path) -> None:
    opened(app, strings.DUPLICATES)
    click(app, strings.LOOK_FOR_DUPLICATES)
    save_photo(copies[0], "orange")
    copies[1].unlink()
    well(app.run())
    assert len(app.checkbox) == 3
    assert strings.HINDRANCES["changed"] in texts(app) and strings.HINDRANCES["gone"] in texts(app)
    (photos / "blue.png").unlink()  # the best, so that nothing of its group is chosen for being another
    well(app.run())
    click(app, strings.CHOOSE_OTHERS)
    assert not any(box.value for box in app.checkbox)
    photos.rename(photos.parent / "away")
    well(app.run())
    assert not app.checkbox
    assert strings.HINDRANCES["offline"] in texts(app)


@pytest.mark.long
def test_many_groups_are_paged_and_what_was_chosen_on_a_page_stays_chosen(
    app: AppTest, photos: Path, indexed: Library
) -> None:
    for number in range(7):
        save_photo(photos / f"{number}.png", (30 * number, 255 - 30 * number, 100))
        shutil.copyfile(photos / f"{number}.png", photos / f"{number} copy.png")
    indexed.index(photos)
    opened(app, strings.DUPLICATES)
    click(app, strings.LOOK_FOR_DUPLICATES)
    assert len(app.checkbox) == 2 * duplicates_section._GROUPS_ON_PAGE
    click(app, strings.CHOOSE_OTHERS)
    app.session_state["library_duplicates_page"] = 2
    well(app.run())
    assert len(app.checkbox) == 4
    assert "Move 5 files to the trash…" in [button.label for button in app.button]
    app.session_state["library_duplicates_page"] = 1
    well(app.run())
    assert sum(box.value for box in app.checkbox) == 5
    click(app, strings.CHOOSE_NONE)
    assert not any(box.value for box in app.checkbox)


def test_searches_are_saved_shown_and_removed(app: AppTest, photos: Path, indexed: Library) -> None:
    opened(app, strings.SAVED)
    assert strings.NO_SAVED in texts(app)
    app.text_input(key="library_save_name").input("reds")
    app.text_input(key="library_save_line").input("red camera:")
    click(app, strings.SAVE_BUTTON)
    assert app.error
    app.text_input(key="library_save_line").input("red")
    click(app, strings.SAVE_BUTTON)
    assert [record.line for record in indexed.saved.all()] == ["red"]
    save_photo(photos / "dark <b>.png", (230, 5, 5))
    indexed.index(photos)
    well(app.run())
    assert strings.SAVED_NEW.format(count=1) in texts(app)
    click(app, strings.SAVED_SHOW_NEW)
    assert "New matches of “reds”" in texts(app) and "dark <b>.png" in [text.value for text in app.text]
    assert strings.SAVED_SHOW_NEW not in [button.label for button in app.button]
    click(app, strings.NEW_CLOSE)
    click(app, strings.SAVED_REMOVE)
    assert not indexed.saved.all()
