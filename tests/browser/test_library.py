"""The library page in a real browser: indexing with progress and a stop, failures, duplicates and the trash."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clipsearch.demo import copy_photographs
from clipsearch.library import Library
from tests.browser.conftest import Server
from ui import strings_library as strings

HOSTILE = {
    "<script>alert(1)<b>.png": "<script>alert(1)<b>.png",
    "![x](x) **bold** :smile:.jpg": "![x](x) **bold** :smile:.jpg",
    "line\nbreak \u202egnp.png": "line\\nbreak \\u202egnp.png",
}
"""Names, and how they are shown."""

MANY = 1500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library, embedded with the bundled model: a few photographs, two copies, and files that are no pictures."""
    copy_photographs(tmp_path / "all")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        shutil.copyfile(tmp_path / "all" / name, photos / name)
    shutil.copyfile(photos / "coffee.png", photos / "copy *of* coffee.png")
    shutil.copyfile(photos / "rocket.jpg", photos / "rocket again.jpg")
    for name in HOSTILE:
        (photos / name).write_bytes(b"no picture")
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(photos)
    return tmp_path / "library"


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_failures_are_plain_text_and_duplicates_go_to_the_trash_when_confirmed(
    folder: Path,
    start_server: Callable[..., Server],
    page: Page,
    settled: Callable[[Page], None],
    show_section: Callable[[Page, str], None],
    shot: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # whose file system has the trash
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    server = start_server(folder)
    page.goto(f"{server.url}library")
    show_section(page, strings.FAILURES)
    for name in HOSTILE.values():
        # the table is drawn on a canvas; this is what it gives to screen readers
        expect(page.locator("canvas td[role=gridcell]", has_text=name)).to_have_count(1)
    shot(page, "library-failures")

    show_section(page, strings.DUPLICATES)
    button(page, strings.LOOK_FOR_DUPLICATES)
    expect(page.get_by_text("Suggested to be kept: ")).to_have_count(2)
    expect(page.get_by_alt_text("Preview of copy *of* coffee.png")).to_be_visible()
    expect(page.get_by_text("copy *of* coffee.png", exact=True)).to_be_visible()
    expect(page.get_by_text(strings.CHOOSE, exact=True)).to_have_count(4)
    page.set_viewport_size({"width": 1280, "height": 1300})
    settled(page)
    shot(page, "library-duplicates")
    button(page, strings.CHOOSE_OTHERS)
    button(page, "Move 2 files to the trash…")
    dialog = page.get_by_role("dialog")
    photos = folder.parent / "photos"
    for name in ("copy *of* coffee.png", "rocket again.jpg"):
        expect(dialog.get_by_text(str(photos / name))).to_be_visible()
    settled(page)
    shot(page, "library-trash")
    assert not (tmp_path / "data" / "Trash").exists()
    dialog.get_by_role("button", name=strings.TRASH_CONFIRM).click()
    expect(page.get_by_text(strings.NO_DUPLICATES)).to_be_visible()
    trashed = sorted(path.name for path in (tmp_path / "data" / "Trash" / "files").iterdir())
    assert trashed == ["copy *of* coffee.png", "rocket again.jpg"]
    assert sorted(path.name for path in photos.iterdir() if path.name not in HOSTILE) == [
        "chelsea.png",
        "coffee.png",
        "rocket.jpg",
    ]
    assert not dialogs


def test_a_folder_is_indexed_with_progress_and_stopped_in_the_middle(
    folder: Path,
    start_server: Callable[..., Server],
    page: Page,
    settled: Callable[[Page], None],
    shot: Callable[..., Path],
    tmp_path: Path,
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    content = (folder.parent / "photos" / "rocket.jpg").read_bytes()
    for number in range(MANY):
        (more / f"{number}.jpg").write_bytes(content + str(number).encode())  # which no decoder looks at
    server = start_server(folder)
    page.goto(f"{server.url}library")
    settled(page)
    shot(page, "library")
    page.get_by_role("textbox", name=strings.ADD_FOLDER).fill(str(more))
    button(page, strings.ADD_FOLDER_BUTTON)
    # from 50 on the first batch of 32 is committed
    told = re.compile(r"Indexing: (?:[5-9]\d|\d{3}|1,\d{3}) of 1,500 pictures · .+ images/s · about .+ left")
    expect(page.get_by_text(told)).to_be_visible()
    shot(page, "library-progress")
    button(page, strings.STOP)
    expect(page.get_by_text(strings.STOPPED["index"])).to_be_visible()
    settled(page)
    with Library.open(folder) as library:
        assert 5 < library.status().files < MANY
        assert library.maintenance.check().is_sound
    expect(page.get_by_role("button", name=strings.INDEX_NOW, exact=True)).to_be_enabled()
    shot(page, "library-stopped")


def test_the_page_fits_a_phone_and_searches_are_run_from_it(
    folder: Path,
    start_server: Callable[..., Server],
    open_page: Callable[..., Page],
    settled: Callable[[Page], None],
    show_section: Callable[[Page, str], None],
    shot: Callable[..., Path],
) -> None:
    with Library.open(folder) as library:
        library.saved.add("*drinks*", "a cup of coffee")
    page = open_page(viewport={"width": 390, "height": 844})
    server = start_server(folder)
    page.goto(f"{server.url}library")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "library-phone")
    show_section(page, strings.SAVED)
    expect(page.get_by_text("*drinks*", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    show_section(page, strings.MODEL)
    page.get_by_role("combobox").fill("no such *model*")
    page.get_by_role("combobox").press("Enter")
    button(page, strings.CHANGE_MODEL_BUTTON)
    expect(page.get_by_text(re.compile(r"no such \*model\*")).last).to_be_visible()
    show_section(page, strings.SAVED)
    page.get_by_test_id("stMain").get_by_role("button", name=strings.SAVED_RUN, exact=True).click()
    page.wait_for_url(re.compile(r"/\?.*q=a\+cup\+of\+coffee|/\?.*q=a%20cup%20of%20coffee"))
