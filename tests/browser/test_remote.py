"""The page over the library of a server, in a real browser: previews and pictures come through the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.server.processes import serving
from ui import strings_search as strings


def test_words_find_pictures_of_a_server_and_one_is_looked_at(
    start_server: Callable[..., Server],
    page: Page,
    demo_library: Path,
    settled: Callable[[Page], None],
    shot: Callable[..., Path],
    tmp_path: Path,
) -> None:
    with serving(demo_library, log=tmp_path / "serve.log") as served:
        server = start_server(None, "--server", served.url)
        page.goto(server.url)
        cells = page.locator(".st-key-search_grid a")
        expect(cells.first).to_be_visible()
        expect(page.get_by_text(f"127.0.0.1:{urlsplit(served.url).port}, where")).to_be_visible()
        box = page.locator(".st-key-search_line input")
        box.fill("a cat")
        box.press("Enter")
        expect(cells.first).to_have_attribute("aria-label", "chelsea.png, date unknown, strong match")
        image = page.locator(".st-key-search_grid img").first
        expect(image).to_have_js_property("complete", value=True)
        assert image.evaluate("image => image.naturalWidth") > 100
        cells.first.click()
        expect(page.locator(".st-key-search_box img")).to_have_js_property("complete", value=True)
        expect(page.get_by_text("A strong match")).to_be_visible()
        page.get_by_role("button", name=strings.SHOW_WHERE).click()
        expect(page.get_by_text(strings.HEAT)).to_be_visible()
        settled(page)
        shot(page, "picture-of-a-server")
