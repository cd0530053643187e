"""The page in Chromium: servers over the demo's photographs, and pages that fail on errors and foreign requests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Locator, Page, expect, sync_playwright

from clipsearch.demo import copy_photographs
from clipsearch.library import Library
from tests.ui_process import Server, start_ui

INSTALL = "tests/browser/install_chromium.sh"

Settled: TypeAlias = Callable[[Page], None]
Shot: TypeAlias = Callable[..., Path]

DATES = {"coffee.png": "2019:03:01 10:00:00", "chelsea.png": "2021:06:15 10:00:00", "rocket.jpg": "2022:08:02 10:00:00"}
"""Photographs of the demo that get a date and a place, and become JPEGs."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_PROBE = re.compile(r"/[^/]+/_stcore/(?:health|host-config)")
"""Below a page's own path Streamlit looks for its server, does not find it, and says so on the console."""

_STILL_FRAMES = 5
"""For how many frames nothing may move until it is taken to be at rest."""

_START_LIMIT_MS = 120_000
"""What a page may take to be there on a machine that has other things to do."""


def _chromium() -> str:
    named = os.environ.get("CLIPSEARCH_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if named is None:
        pytest.fail(f"there is no Chromium for the browser tests; run {INSTALL}, or name one in CLIPSEARCH_CHROMIUM")
    return named


@pytest.fixture(scope="package")  # not session: until it ends no other test may run an event loop
def browser() -> Iterator[Browser]:
    """Chromium without a window, for which no name but this machine's leads anywhere."""
    executable = _chromium()
    expect.set_options(timeout=_START_LIMIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",  # which needs rights that containers lack
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of a test's own: over an empty place by default, with a cache of its own."""
    started: list[Server] = []

    def start(folder: Path | None = None, *options: str) -> Server:
        log = tmp_path / f"server-{len(started)}.log"
        server = start_ui(folder or tmp_path / "library", *options, cache=tmp_path / "cache", log=log)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's photographs, three of them with a date and a place."""
    folder = tmp_path_factory.mktemp("dated") / "photos"
    copy_photographs(folder)
    for name, day in DATES.items():
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = day
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2], gps[3], gps[4] = "N", (35.0, 18.0, 0.0), "E", (25.0, 6.0, 0.0)
        with Image.open(folder / name) as image:
            pixels = image.convert("RGB")
        (folder / name).unlink()
        pixels.save((folder / name).with_suffix(".jpg"), exif=exif, quality=95)
    return folder


@pytest.fixture(scope="package")
def dated_library(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of `photos`, embedded with the bundled model; read only."""
    folder = tmp_path_factory.mktemp("dated-library") / "library"
    with Library.open(folder, model="mini", create=True) as library:
        library.index(photos)
    return folder


@pytest.fixture(scope="package")
def dated_server(dated_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server over `dated_library` for all tests that change nothing."""
    place = tmp_path_factory.mktemp("dated-server")
    started = start_ui(dated_library, cache=place / "cache", log=place / "log")
    yield started
    assert started.stop() == 0


@pytest.fixture
def search(page: Page, dated_server: Server, settled: Settled) -> Page:
    """The search page of `dated_server`, with the newest pictures."""
    page.goto(dated_server.url)
    expect(cells(page).first).to_be_visible()
    settled(page)
    return page


@dataclass
class Watched:
    """What went wrong in pages while they were watched."""

    problems: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note errors of scripts, on the console and from outside, and whatever leaves this machine."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("request", lambda request: self._address(request.url))
        page.on("websocket", lambda socket: self._address(socket.url))

    def _console(self, message: ConsoleMessage) -> None:
        where = urlsplit(message.location.get("url", "")).path
        if message.type == "error" and not _PROBE.fullmatch(where):
            self.problems.append(f"console: {message.text} ({where})")

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.problems.append(f"request to {url}")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each a visitor of its own; options as for playwright's ``new_context``."""
    watched, contexts = Watched(), []

    def open_(**options: object) -> Page:
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        contexts.append(browser.new_context(**settings))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        page.set_default_timeout(_START_LIMIT_MS)
        watched.watch(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not watched.problems


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A window of 1280 × 800 pixels; the test fails on any console error and any request that leaves this machine."""
    return open_page()


@pytest.fixture
def settled() -> Callable[[Page], None]:
    """Waits until Streamlit has run its script, has drawn what came of it, and nothing moves any more."""

    def wait(page: Page) -> None:
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        page.wait_for_selector("[data-stale=true]", state="detached")
        page.wait_for_selector("[data-testid=stSkeleton]", state="detached")  # in place of a script on its way
        still_boxes(page.locator("[data-testid=stMainBlockContainer] [data-testid=stElementContainer]"))

    return wait


@pytest.fixture
def show_section(settled: Callable[[Page], None]) -> Callable[[Page, str], None]:
    """Opens a tab of a page and waits for what the server draws in it.

    A tab that is clicked while the server still draws the one before goes back to that one: Streamlit takes the
    server's late answer for a wish of the program's.
    """

    def show(page: Page, name: str) -> None:
        tab = page.get_by_role("tab", name=name)
        expect(tab).to_be_visible()
        settled(page)
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        panel = page.get_by_role("tabpanel", name=name)
        expect(panel.get_by_test_id("stElementContainer").first).to_be_attached()
        settled(page)

    return show


def cells(page: Page) -> Locator:
    """The results of the search page."""
    return page.locator(".st-key-search_grid a")


def ask(page: Page, line: str) -> None:
    """Enter a query."""
    box = page.locator(".st-key-search_line input")
    box.fill(line)
    box.press("Enter")


def params(page: Page) -> dict[str, str]:
    """The URL parameters of the page."""
    return params_of(page.url)


def params_of(url: str) -> dict[str, str]:
    """The parameters of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def expect_params(page: Page, **expected: str) -> None:
    """Wait until the URL has exactly these parameters."""
    page.wait_for_url(lambda url: params_of(url) == expected)


def drag(page: Page, over: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over an element; positions in shares of its width and height."""
    over.evaluate("element => element.scrollIntoView({block: 'center'})")
    (box,) = still_boxes(over)
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=4)
    page.mouse.up()


def still_boxes(found: Locator) -> list[FloatRect]:
    """Where elements are on the screen, all read at once when none of them has moved for a while."""
    boxes: list[FloatRect] = found.evaluate_all(
        """async (elements, [frames, limit]) => {
            const read = () => elements.map((each) => {
                const {x, y, width, height} = each.getBoundingClientRect()
                return {x, y, width, height}
            })
            const end = performance.now() + limit
            let boxes = read()
            for (let still = 0; still < frames; ) {
                if (performance.now() > end) throw new Error("it does not come to rest")
                await new Promise(requestAnimationFrame)
                const now = read()
                still = JSON.stringify(now) === JSON.stringify(boxes) ? still + 1 : 0
                boxes = now
            }
            return boxes
        }""",
        [_STILL_FRAMES, _START_LIMIT_MS],
    )
    return boxes


def until(page: Page, condition: str) -> None:
    """Wait for a condition, a JavaScript expression, at every frame; by no string that the page would have to run."""
    is_met: bool = page.evaluate(
        """async (limit) => {
            const end = performance.now() + limit
            while (!(CONDITION)) {
                if (performance.now() > end) return false
                await new Promise(requestAnimationFrame)
            }
            return true
        }""".replace("CONDITION", condition),
        _START_LIMIT_MS,
    )
    assert is_met, condition


@pytest.fixture
def shot(tmp_path: Path) -> Callable[..., Path]:
    """Saves a screenshot: into the folder that CLIPSEARCH_SCREENSHOTS names, or else the test's own."""

    def save(page: Page, name: str, *, full_page: bool = False) -> Path:
        folder = Path(os.environ.get("CLIPSEARCH_SCREENSHOTS") or tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=full_page, animations="disabled")
        return folder / f"{name}.png"

    return save
