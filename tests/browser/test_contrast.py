"""Every letter on the page can be read, in either theme: WCAG 2.2 asks for a contrast of 4.5, of 3 for large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from clipsearch.library import Library
from tests.ui.test_explore_page import TRAVELS, save_travel
from tests.ui_process import Server, start_ui
from ui import strings_explore, strings_library
from ui import strings_search as strings

_POOR = """() => {
  const channels = (text) => {
    const [red, green, blue, alpha = 1] = text.match(/[\\d.]+/g).map(Number)
    return [red, green, blue, alpha]
  }
  const over = (top, under) => [0, 1, 2].map((at) => top[3] * top[at] + (1 - top[3]) * under[at])
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const above = (element) => element.parentElement ?? element.getRootNode().host ?? null
  const under = (element) => {
    if (!element) return [255, 255, 255]
    const colour = channels(getComputedStyle(element).backgroundColor)
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, under(above(element)))
  }
  const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(above(element)) : 1)
  const texts = (node) => node.nodeType === Node.TEXT_NODE ? [node]
    : [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].flatMap(texts)
  const poor = []
  for (const text of texts(document.body)) {
    const element = text.parentElement ?? text.getRootNode().host
    if (!text.data.trim() || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    if (element.closest("style, script, canvas, [disabled], [aria-disabled=true], [data-disabled]")) continue
    const { width, height } = element.getBoundingClientRect()
    if (width <= 1 || height <= 1) continue
    const style = getComputedStyle(element)
    // what a knob says hangs above the knob
    const ground = under(element.closest("[data-testid=stSliderThumbValue]")?.parentElement.parentElement ?? element)
    const letters = channels(style.color)
    letters[3] *= opacity(element)
    if (letters[3] === 0) continue // to be seen when it is pointed at
    const [lighter, darker] = [luminance(over(letters, ground)), luminance(ground)].sort((a, b) => b - a)
    const size = parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    const contrast = (lighter + 0.05) / (darker + 0.05)
    if (contrast < (large ? 3 : 4.5)) poor.push(`${text.data.trim().slice(0, 40)}: ${contrast.toFixed(2)}`)
  }
  return poor
}"""


@pytest.fixture(scope="module")
def travels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over pictures with dates, places, and copies."""
    place = tmp_path_factory.mktemp("travels")
    for travel in TRAVELS:
        save_travel(place / "photos", *travel)
    with Library.open(place / "library", model="mini", create=True) as library:
        library.index(place / "photos")
        library.saved.add("red things", "something red")
    started = start_ui(place / "library", cache=place / "cache", log=place / "log")
    yield started
    assert started.stop() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_letter_can_be_read(
    open_page: Callable[..., Page],
    travels: Server,
    theme: str,
    settled: Callable[[Page], None],
    show_section: Callable[[Page, str], None],
) -> None:
    page = open_page(color_scheme=theme)

    def readable() -> None:
        settled(page)
        assert page.evaluate(_POOR) == []

    page.goto(f"{travels.url}?q=something+red&f=ext:jpg+date:2021-06..2021-08&sort=date&fold=versions")
    expect(page.locator(".st-key-search_grid a").first).to_be_visible()
    readable()
    page.get_by_role("button", name=strings.SAVE_THIS).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    readable()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator(".st-key-search_grid a").first.click()
    expect(page.locator(".st-key-search_box img")).to_be_visible()
    page.get_by_role("button", name=strings.SELECT_PART).click()
    readable()
    page.goto(f"{travels.url}explore")
    expect(page.locator(".map canvas")).to_be_visible()
    readable()
    page.get_by_text(strings_explore.TIMELINE, exact=True).click()
    page.locator(".timeline button").first.click()
    expect(page.get_by_text(strings_explore.SELECTED)).to_be_visible()
    readable()
    page.goto(f"{travels.url}library")
    for section in (strings_library.FOLDERS, strings_library.SAVED, strings_library.MODEL, strings_library.DUPLICATES):
        show_section(page, section)
        readable()
    page.goto(f"{travels.url}learn")
    expect(page.get_by_role("tab").first).to_be_visible()
    readable()
