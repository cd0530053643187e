"""URLs: the state of a search, access tokens, and pages over the library of a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Settled, Shot, ask, cells, expect_params
from tests.server.processes import serving
from ui import strings_search as strings

TOKEN = "correct horse battery staple"


def test_a_url_restores_filters(search: Page, settled: Settled, shot: Shot) -> None:
    slider = search.get_by_role("slider").first
    slider.focus()
    slider.press("PageUp")  # one key: the page may answer between two and reset the slider
    chip = search.get_by_role("button", name=re.compile(r"^date:2012-.*\.\.2022-08$"))  # from 2011-08
    expect(chip).to_be_visible()
    expect(cells(search)).to_have_count(3)
    settled(search)
    shot(search, "search-filtered")
    url = search.url
    search.goto("about:blank")
    search.goto(url)
    expect(cells(search)).to_have_count(3)
    chip.click()
    expect(cells(search)).not_to_have_count(3)
    expect_params(search)


def test_a_url_with_a_token_opens_the_page_once_and_hides_the_token(
    start_server: Callable[..., Server], open_page: Callable[..., Page], dated_library: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    server = start_server(dated_library, "--token-file", str(tmp_path / "token"))
    page = open_page()
    page.goto(f"{server.url}?token={TOKEN.replace(' ', '+')}&q=a+cat")
    expect(cells(page).first).to_be_visible()
    expect_params(page, q="a cat")
    page.goto(server.url)
    expect(cells(page).first).to_be_visible()


def test_a_page_over_a_server_shows_its_pictures(
    start_server: Callable[..., Server], page: Page, dated_library: Path, settled: Settled, shot: Shot, tmp_path: Path
) -> None:
    with serving(dated_library, log=tmp_path / "serve.log") as served:
        page.goto(start_server(None, "--server", served.url).url)
        expect(cells(page).first).to_be_visible()
        expect(page.get_by_text(f"127.0.0.1:{urlsplit(served.url).port}.")).to_be_visible()
        ask(page, "a cat")
        expect(cells(page).first).to_have_attribute("aria-label", "chelsea.jpg, taken 2021-06-15, strong match")
        image = page.locator(".st-key-search_grid img").first
        expect(image).to_have_js_property("complete", value=True)
        assert image.evaluate("image => image.naturalWidth") > 100
        settled(page)  # a click while the page is drawn is taken back by what is drawn
        cells(page).first.click()
        expect(page.locator(".st-key-search_box img")).to_have_js_property("complete", value=True)
        settled(page)
        page.get_by_role("button", name=strings.SHOW_WHERE).click()
        expect(page.get_by_text(strings.HEAT)).to_be_visible()
        settled(page)
        shot(page, "picture-of-a-server")
