"""The explore page in a real browser: the map is drawn and selected from, and a stretch of time becomes a filter."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from clipsearch.library import Library
from tests.browser.conftest import still_boxes, until
from tests.ui.test_explore_page import TRAVELS, save_travel
from tests.ui_process import Server
from ui import strings_explore as strings

Settled = Callable[[Page], None]
Shot = Callable[..., Path]

_MAP_LIMIT_S = 120.0


@pytest.fixture
def travels(tmp_path: Path, start_server: Callable[..., Server]) -> Server:
    """A server over pictures with dates and places."""
    for travel in TRAVELS:
        save_travel(tmp_path / "photos", *travel)
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(tmp_path / "photos")
    return start_server(tmp_path / "library")


@pytest.fixture
def mapped(demo_library: Path, server: Server) -> Server:
    """The server over the demo's photographs, whose map is drawn: no other takes its place while it is looked at."""
    with Library.open(demo_library) as library:
        assert library.browse.embedding_map(wait_s=_MAP_LIMIT_S).complete
    return server


_PAINTED = """(() => {
    const canvas = [...document.querySelectorAll(".st-key-explore_map *")]
        .map((each) => each.shadowRoot?.querySelector("canvas")).find(Boolean)
    if (!canvas?.width) return false
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    return new Set(new Uint32Array(data.buffer)).size > 10
})()"""
"""Whether there is more than one colour on the map."""


def drag(page: Page, over: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """In shares of the width and height of what is dragged over."""
    over.evaluate("element => element.scrollIntoView({block: 'center'})")
    (box,) = still_boxes(over)
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=4)
    page.mouse.up()


def test_a_part_of_the_map_is_searched(page: Page, mapped: Server, settled: Settled, shot: Shot) -> None:
    page.set_viewport_size({"width": 1280, "height": 1080})  # all of it
    page.goto(f"{mapped.url}explore")
    expect(page.locator(".map canvas")).to_be_visible()
    settled(page)
    until(page, _PAINTED)
    expect(page.locator(".map canvas")).to_have_attribute("aria-label", re.compile("Map of 21 pictures in .* groups"))
    shot(page, "explore-map")
    drag(page, page.locator(".map canvas"), (0.02, 0.02), (0.98, 0.98))
    button = page.get_by_role("button", name=strings.SHOW_SELECTED.format(count=21))
    expect(button).to_be_visible()
    settled(page)
    expect(page.locator(".grid img")).to_have_count(21)
    shot(page, "explore-selected")
    button.click()
    expect(page).to_have_url(re.compile(r"[?&]q=region"))
    settled(page)
    expect(page.locator(".grid img")).to_have_count(21)


def test_the_map_is_zoomed_and_moved_by_keys(page: Page, mapped: Server, settled: Settled) -> None:
    page.goto(f"{mapped.url}explore")
    canvas = page.locator(".map canvas")
    expect(canvas).to_be_visible()
    settled(page)

    def zoom() -> float:
        found: float = page.locator(".map").evaluate("map => map.view.zoom")
        return found

    assert zoom() == 1
    canvas.press("+")
    assert zoom() > 1
    before = page.locator(".map").evaluate("map => map.view.x")
    canvas.press("ArrowRight")
    assert page.locator(".map").evaluate("map => map.view.x") > before
    canvas.press("0")
    assert zoom() == 1


def test_months_become_a_filter_of_the_search(travels: Server, page: Page, settled: Settled, shot: Shot) -> None:
    page.goto(f"{travels.url}explore")
    settled(page)
    page.get_by_text(strings.TIMELINE, exact=True).click()
    bars = page.locator(".timeline button")
    expect(bars).to_have_count(8)
    settled(page)
    shot(page, "explore-timeline")

    drag(page, page.locator(".timeline .bars"), (0.01, 0.5), (0.3, 0.6))  # three months
    expect(page.get_by_text("2021-06 to 2021-08: 2")).to_be_visible()
    settled(page)
    bars.last.click()
    expect(page.get_by_text("2022-01: 1", exact=True)).to_be_visible()
    settled(page)
    bars.last.click()  # which lets it go
    expect(page.get_by_text(strings.SELECTED)).to_have_count(0)
    settled(page)
    bars.nth(1).press("ArrowLeft")
    bars.first.press("Enter")
    page.get_by_role("button", name=strings.SHOW_SELECTED.format(count=2)).click()
    expect(page).to_have_url(re.compile("[?&]q=date%3A2021-06(&|$)"))
    settled(page)
    expect(page.locator(".grid img")).to_have_count(2)


def test_places_are_on_the_world_also_in_a_small_window(
    travels: Server, open_page: Callable[..., Page], settled: Settled, shot: Shot
) -> None:
    page = open_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto(f"{travels.url}explore")
    settled(page)
    shot(page, "explore-map-phone")
    page.get_by_text(strings.WORLD, exact=True).click()
    expect(page.locator(".js-plotly-plot .scatterlayer .point")).to_have_count(2)
    settled(page)
    page.get_by_role("combobox", name=strings.PLACE).click()
    page.get_by_role("option").first.click()
    expect(page.get_by_role("button", name=strings.SHOW_SELECTED.format(count=2))).to_be_visible()
    shot(page, "explore-world-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
