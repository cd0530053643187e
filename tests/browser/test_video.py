"""Videos on the page: the badge, the player that starts at the moment, the strip with the match curve."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from clipsearch.library import Library
from tests.browser.conftest import Server, Settled, Shot, ask, cells, params
from tests.videos import write_slides
from ui import strings_search as strings


def test_a_moment_is_found_and_played(
    start_server: Callable[..., Server], page: Page, photos: Path, settled: Settled, shot: Shot, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    slides = [photos / "coffee.jpg", photos / "chelsea.jpg", photos / "rocket.jpg", photos / "astronaut.png"]
    write_slides(folder / "slides.webm", slides)
    for name in ("motorcycle_left.png", "moon.png"):
        shutil.copy(photos / name, folder)
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(folder)
    page.goto(start_server(tmp_path / "library").url)
    expect(cells(page).first).to_be_visible()
    ask(page, "a cat")
    found = cells(page).filter(has_text="slides.webm")
    expect(found.locator(".badge.video")).to_have_text(strings.MOMENT.format(start="0:03", duration="0:12"))
    found.locator("img").evaluate("image => image.decode()")
    settled(page)
    shot(page, "video-found")
    found.click()
    video = page.locator("video")
    expect(video).to_be_visible()
    page.wait_for_function("document.querySelector('.st-key-search_player') !== null")
    video.evaluate("video => new Promise(done => video.readyState > 1 ? done() : (video.oncanplay = done))")
    assert 2.9 <= video.evaluate("video => video.currentTime") <= 3.2
    assert video.evaluate("video => video.duration") > 11
    strip = page.get_by_role("slider", name=strings.STRIP)
    expect(strip.locator(".curve")).to_be_attached()
    moment = strip.locator(".moment").evaluate("each => [each.style.left, each.style.width].map(parseFloat)")
    assert 24 <= moment[0] <= 26 and 24 <= moment[1] <= 26
    strip.locator("img").first.evaluate("image => image.decode()")
    settled(page)
    shot(page, "video-player")
    strip.focus()
    page.keyboard.press("ArrowLeft")
    expect(strip).to_have_attribute("aria-valuetext", "0:02")
    box = strip.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.92, box["y"] + 10)
    expect(strip).to_have_attribute("aria-valuetext", "0:11")
    page.get_by_role("button", name=strings.LIKE_MOMENT).click()
    page.wait_for_url(lambda url: "at=" in url)
    assert float(params(page)["at"]) > 10.5
    expect(cells(page).first).to_be_visible()
