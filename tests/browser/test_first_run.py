"""From nothing to a found photograph: a first visit, the demo, a search; and a folder of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.conftest import COLOURS, save_photo
from tests.ui_process import Server
from ui import strings
from ui import strings_search as search_strings

INDEXING_LIMIT_MS = 120_000


def results(page: Page) -> Locator:
    """The pictures that were found, the best first."""
    return page.locator("img[src^='/thumbnail/']")


def test_from_the_first_visit_to_a_found_photograph(
    start_server: Callable[..., Server], page: Page, shot: Callable[..., Path], settled: Callable[[Page], None]
) -> None:
    server = start_server()
    page.goto(server.url)
    expect(page.get_by_role("heading", name=strings.WELCOME)).to_be_visible()
    expect(page.get_by_role("textbox", name=strings.FOLDERS)).to_be_visible()
    settled(page)
    shot(page, "first-run")

    page.get_by_role("button", name=strings.DEMO_BUTTON).click()
    expect(page.get_by_role("heading", name=strings.INDEXING)).to_be_visible()
    shot(page, "first-run-indexing")
    expect(page.get_by_text(strings.IN_DEMO)).to_be_visible(timeout=INDEXING_LIMIT_MS)
    assert not server.folder.exists(), "the demo is kept apart from the user's own library"

    box = page.get_by_role("searchbox", name=search_strings.BOX)
    box.fill("a cat")
    box.press("Enter")
    expect(results(page).first).to_have_attribute("alt", re.compile("chelsea"))
    settled(page)
    shot(page, "first-run-found")

    page.get_by_role("button", name=strings.LEAVE_DEMO).click()
    expect(page.get_by_role("heading", name=strings.WELCOME)).to_be_visible()


def test_a_folder_of_ones_own_is_indexed(
    start_server: Callable[..., Server],
    page: Page,
    tmp_path: Path,
    settled: Callable[[Page], None],
    shot: Callable[..., Path],
) -> None:
    for colour in COLOURS:
        save_photo(tmp_path / "mine" / f"{colour}.png", colour)
    server = start_server()
    page.goto(f"{server.url}library")  # a link to any page leads here while there is nothing
    folders = page.get_by_role("textbox", name=strings.FOLDERS)
    folders.fill(str(tmp_path / "nowhere"))
    page.get_by_role("button", name=strings.INDEX_BUTTON).click()
    expect(page.get_by_text(strings.NOT_A_FOLDER.format(path=tmp_path / "nowhere"))).to_be_visible()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.jpg").write_bytes(b"no picture")
    settled(page)
    folders.fill(str(tmp_path / "broken"))
    page.get_by_role("button", name=strings.INDEX_BUTTON).click()
    expect(page.get_by_text(strings.NOTHING_READABLE.format(count="1 file"))).to_be_visible(timeout=INDEXING_LIMIT_MS)
    # the table is drawn on a canvas; this is what it gives to screen readers
    expect(page.locator("canvas td[role=gridcell]", has_text="broken.jpg")).to_have_count(1)
    settled(page)
    shot(page, "first-run-unreadable")
    folders.fill(str(tmp_path / "mine"))
    page.get_by_role("button", name=strings.INDEX_BUTTON).click()
    expect(page.get_by_role("link", name=strings.SEARCH_PAGE)).to_be_visible(timeout=INDEXING_LIMIT_MS)
    page.get_by_role("link", name=strings.SEARCH_PAGE).click()
    expect(results(page)).to_have_count(len(COLOURS))
