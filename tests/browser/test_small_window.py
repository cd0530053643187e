"""Every page fits the window of a phone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Settled, Shot, cells, still_boxes
from ui import strings_explore, strings_library

WIDTH = 390


def test_every_page_fits_a_phone(
    open_page: Callable[..., Page],
    dated_server: Server,
    settled: Settled,
    show_section: Callable[[Page, str], None],
    shot: Shot,
) -> None:
    page = open_page(viewport={"width": WIDTH, "height": 844}, is_mobile=True, has_touch=True, color_scheme="dark")

    def fits(name: str) -> None:
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH, name
        shot(page, f"phone-{name}")

    page.goto(f"{dated_server.url}?q=a+cat")
    expect(cells(page).first).to_be_visible()
    settled(page)
    first, second, *_ = still_boxes(cells(page))
    assert first["y"] == second["y"] and second["x"] + second["width"] <= WIDTH, "two pictures side by side"
    fits("results")
    cells(page).first.tap()
    expect(page.locator(".st-key-search_box img")).to_be_visible()
    fits("picture")
    page.goto(f"{dated_server.url}explore")
    expect(page.locator(".map canvas")).to_be_visible()
    fits("map")
    page.get_by_text(strings_explore.WORLD, exact=True).click()
    expect(page.locator(".js-plotly-plot .scatterlayer .point")).to_have_count(1)
    fits("world")
    page.goto(f"{dated_server.url}learn")
    fits("learn")
    page.goto(f"{dated_server.url}library")
    for section in (strings_library.FOLDERS, strings_library.DUPLICATES, strings_library.SAVED, strings_library.MODEL):
        show_section(page, section)
        fits(f"library-{section}".lower().replace(" ", "-"))
