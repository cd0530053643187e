"""The keyboard: focus, shortcuts and the keys of the components."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Settled, cells, expect_params, until
from ui import strings_explore
from ui import strings_search as strings


def listens(page: Page, key: str) -> None:
    """Wait until the script of a component has loaded, a moment after it is visible."""
    until(
        page,
        f"""[...document.querySelectorAll(".st-key-{key} *")].flatMap((each) => [
            each, each.shadowRoot, ...(each.shadowRoot?.querySelectorAll("*") ?? [])
        ]).some((each) => each?.listening)""",
    )


def expect_focus(page: Page, label: str) -> None:
    """Wait until the focused element, inside of components too, has this label."""
    until(
        page,
        f"""(() => {{
            let at = document.activeElement
            while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
            return (at?.getAttribute("aria-label") ?? "") === {json.dumps(label)}
        }})()""",
    )


def test_search_results_and_pictures(search: Page, settled: Settled) -> None:
    listens(search, "search_hotkeys")
    search.keyboard.press("/")
    expect_focus(search, strings.BOX)
    search.keyboard.type("a cat")
    search.keyboard.press("Enter")
    expect(cells(search).first).to_have_attribute("aria-label", "chelsea.jpg, taken 2021-06-15, strong match")
    settled(search)
    labels = [cell.get_attribute("aria-label") or "" for cell in cells(search).all()]
    listens(search, "search_grid")
    search.keyboard.press("ArrowDown")
    expect_focus(search, labels[0])
    search.keyboard.press("ArrowRight")
    expect_focus(search, labels[1])
    search.keyboard.press("ArrowDown")
    search.keyboard.press("ArrowUp")
    expect_focus(search, labels[1])
    search.keyboard.press("Enter")
    expect(search.locator(".st-key-search_box img")).to_have_attribute("alt", labels[1])
    settled(search)
    search.keyboard.press("ArrowLeft")
    expect(search.locator(".st-key-search_box img")).to_have_attribute("alt", labels[0])
    settled(search)
    search.keyboard.press("Escape")
    expect(cells(search).first).to_be_visible()
    expect_focus(search, labels[0])
    expect_params(search, q="a cat")


def test_map_and_timeline(page: Page, dated_server: Server, settled: Settled) -> None:
    page.goto(f"{dated_server.url}explore")
    canvas = page.locator(".map canvas")
    expect(canvas).to_be_visible()
    settled(page)

    def view(name: str) -> float:
        value: float = page.locator(".map").evaluate(f"map => map.view.{name}")
        return value

    assert view("zoom") == 1
    canvas.press("+")
    assert view("zoom") > 1
    before = view("x")
    canvas.press("ArrowRight")
    assert view("x") > before
    canvas.press("0")
    assert view("zoom") == 1

    page.get_by_text(strings_explore.TIMELINE, exact=True).click()
    bars = page.locator(".timeline button")
    expect(bars.first).to_be_visible()
    settled(page)
    bars.nth(1).press("ArrowLeft")
    bars.first.press("Enter")
    expect(page.get_by_role("button", name=strings_explore.SHOW_SELECTED_ONE)).to_be_visible()
    settled(page)
    bars.first.press("Enter")  # clears the selection
    expect(page.get_by_text(strings_explore.SELECTED)).to_have_count(0)
