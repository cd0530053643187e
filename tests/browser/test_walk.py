"""From the first visit to every page, as a user goes; what each page does in depth is tested in `tests.ui`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clipsearch.system.optional_packages import has_extra
from tests.browser.conftest import (
    Server,
    Settled,
    Shot,
    ask,
    cells,
    drag,
    expect_params,
    params,
    params_of,
    until,
)
from ui import strings, strings_explore, strings_learn, strings_library
from ui import strings_search as search_strings

INDEXING_LIMIT_MS = 120_000

PAINTED = """(() => {
    const canvas = [...document.querySelectorAll(".st-key-explore_map *")]
        .map((each) => each.shadowRoot?.querySelector("canvas")).find(Boolean)
    if (!canvas?.width) return false
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    return new Set(new Uint32Array(data.buffer)).size > 10
})()"""
"""Whether the map has more than ten colors."""


@pytest.fixture
def walk(
    start_server: Callable[..., Server],  # before the page, which must close first
    page: Page,
    photos: Path,
    settled: Settled,
    show_section: Callable[[Page, str], None],
    shot: Shot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Walk:
    """A visitor of a new library, with a folder of pictures and a duplicate."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))  # on the file system of the trash
    shutil.copytree(photos, tmp_path / "pictures")
    shutil.copyfile(photos / "rocket.jpg", tmp_path / "pictures" / "rocket again.jpg")
    return Walk(page, start_server(), tmp_path, settled, show_section, shot)


class Walk:
    """The stations of the walk, in order; each begins where the one before ended."""

    def __init__(
        self,
        page: Page,
        server: Server,
        folder: Path,
        settled: Settled,
        show_section: Callable[[Page, str], None],
        shot: Shot,
    ) -> None:
        self.page, self.server, self.folder = page, server, folder
        self._settled, self.show_section, self._shot = settled, show_section, shot

    def shot(self, name: str) -> None:
        self._settled(self.page)
        self._shot(self.page, name)

    def button(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def open(self, title: str) -> None:
        self._settled(self.page)
        self.page.get_by_role("link", name=title, exact=True).click()
        self.page.wait_for_url(f"**/{title.lower()}")
        self._settled(self.page)

    def first_visit(self) -> None:
        self.page.goto(self.server.url)
        expect(self.page.get_by_role("heading", name=strings.WELCOME)).to_be_visible()
        self.shot("first-run")
        self.page.get_by_role("textbox", name=strings.FOLDERS).fill(str(self.folder / "pictures"))
        self.button(strings.INDEX_BUTTON)
        expect(self.page.get_by_role("link", name=strings.LIBRARY_PAGE)).to_be_visible(timeout=INDEXING_LIMIT_MS)
        expect(cells(self.page).first).to_be_visible()
        self.shot("search-newest")

    def search(self) -> None:
        ask(self.page, "a cat")
        expect(cells(self.page).first).to_have_attribute("aria-label", "chelsea.jpg, taken 2021-06-15, strong match")
        expect_params(self.page, q="a cat")
        image = self.page.locator(".st-key-search_grid img").first
        expect(image).to_have_js_property("complete", value=True)
        self.shot("search-results")

    def view_picture(self) -> None:
        cells(self.page).first.click()
        expect(self.page.locator(".st-key-search_box img")).to_have_js_property("complete", value=True)
        expect(self.page.locator("table")).to_contain_text("2021-06-15")
        if has_extra("map", "plotly"):
            expect(self.page.locator(".st-key-search_map")).to_be_visible()
        self._settled(self.page)
        self.button(search_strings.SHOW_WHERE)
        expect(self.page.get_by_role("img", name=search_strings.HEAT)).to_be_visible()
        self.shot("picture")

    def search_region(self) -> None:
        self.button(search_strings.SELECT_PART)
        drag(self.page, self.page.locator(".st-key-search_box .stage"), (0.25, 0.25), (0.75, 0.5))
        width = self.page.get_by_label(search_strings.BOX_SIDES["width"])
        expect(width).to_have_value(re.compile(r"(49|50)\.\d"))
        self._shot(self.page, "picture-region")
        width.fill("40")
        width.press("Enter")
        expect(self.page.get_by_text("Similar to the region")).to_be_visible()
        assert params(self.page)["box"].split(",")[2] == "40%"
        expect(cells(self.page).first).to_be_visible()
        expect(cells(self.page).filter(has_text="chelsea.jpg")).to_have_count(0)
        self._settled(self.page)
        self.page.go_back()
        expect(self.page.locator(".st-key-search_box img")).to_be_visible()

    def save_search(self) -> None:
        self.page.goto(f"{self.server.url}?q=a+cat&f=ext:jpg&sort=path")
        expect(cells(self.page).first).to_be_visible()
        self._settled(self.page)
        self.button(search_strings.SAVE_THIS)
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("textbox", name=strings_library.SAVE_NAME).fill("cats")
        self._settled(self.page)
        dialog.get_by_role("button", name=strings_library.SAVE_BUTTON, exact=True).click()
        expect(self.page.get_by_text(strings_library.SAVE_DONE.format(name="cats"))).to_be_visible()
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def manage_library(self) -> None:
        self.open(strings.LIBRARY_PAGE)
        self.shot("library")
        self.show_section(self.page, strings_library.SAVED)
        expect(self.page.get_by_text("a cat ext:jpg")).to_be_visible()
        self.show_section(self.page, strings_library.DUPLICATES)
        self.button(strings_library.LOOK_FOR_DUPLICATES)
        expect(self.page.get_by_text(strings_library.CHOOSE, exact=True).first).to_be_visible()
        self.page.get_by_text(strings_library.CHOOSE, exact=True).first.scroll_into_view_if_needed()
        self.shot("library-duplicates")
        self.button(strings_library.CHOOSE_OTHERS)
        self.page.get_by_role("button", name=re.compile("Move .* to the trash…")).click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog.get_by_text("rocket")).to_be_visible()
        self.shot("library-trash")
        dialog.get_by_role("button", name=strings_library.TRASH_CONFIRM).click()
        expect(self.page.get_by_text(strings_library.NO_DUPLICATES)).to_be_visible()
        trashed = {path.name for path in (self.folder / "data" / "Trash" / "files").iterdir()}
        assert len(trashed & {"rocket.jpg", "rocket again.jpg"}) == 1

    def explore(self) -> None:
        self.page.set_viewport_size({"width": 1280, "height": 1080})
        self.open(strings.EXPLORE_PAGE)
        expect(self.page.locator(".map canvas")).to_be_visible()
        until(self.page, PAINTED)
        self.shot("explore-map")
        drag(self.page, self.page.locator(".map canvas"), (0.02, 0.02), (0.98, 0.98))
        expect(self.page.get_by_text(strings_explore.SELECTED)).to_be_visible()
        self._settled(self.page)
        self.page.get_by_text(strings_explore.TIMELINE, exact=True).click()
        drag(self.page, self.page.locator(".timeline .bars"), (0.01, 0.5), (0.3, 0.6))
        expect(self.page.get_by_text(strings_explore.SELECTED)).to_be_visible()
        self.shot("explore-timeline")
        self.page.get_by_role("button", name=strings_explore.SHOW_SELECTED.format(count=2)).click()
        self.page.wait_for_url(lambda url: params_of(url).get("q", "").startswith("date:2011"))
        expect(cells(self.page)).to_have_count(2)  # two of the demo's photographs have a date of their own

    def teach(self) -> None:
        self.open(strings.LEARN_PAGE)
        self.page.get_by_label(strings_learn.ADD_NAME, exact=True).fill("chelsea")
        examples = self.page.get_by_label(re.compile(f"^{strings_learn.ADD_EXAMPLES}"))
        examples.fill(str(self.folder / "pictures" / "chelsea.jpg"))
        self.button(strings_learn.ADD_BUTTON)
        self.button(strings_learn.CONCEPT_SUGGEST)
        reject = self.page.get_by_role("button", name=strings_learn.REJECT, exact=True)
        expect(reject.first).to_be_visible()
        self._settled(self.page)
        reject.first.click()
        counts = strings_learn.CONCEPT_COUNTS.format(positives=1, negatives=1)
        expect(self.page.get_by_text(counts)).to_be_visible()
        self.shot("learn")
        self.button(strings_learn.CONCEPT_SEARCH)
        expect(self.page).to_have_url(re.compile("q=%40chelsea"))
        expect(cells(self.page).first).to_contain_text("chelsea.jpg")


def test_a_user_goes_through_every_page(walk: Walk) -> None:
    walk.first_visit()
    walk.search()
    walk.view_picture()
    walk.search_region()
    walk.save_search()
    walk.manage_library()
    walk.explore()
    walk.teach()
