"""The map of a large library, in a real browser: how soon it is there, what the server keeps, how smoothly it zooms.

    python -m tests.benchmarks.web_map [--pictures N] [--wait SECONDS] [--chromium PATH]

Prints a JSON object: the seconds from the visit until the first map is painted and until it is on a second visit; the
server's memory before, after the first map, and at the end, in MiB; the seconds until the better map is there, null if
that is longer than is waited for; and the time of a frame while the map is zoomed in and out, in milliseconds. The
library is made up. Chromium draws without a graphics card here, so that a frame takes as long as it ever does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.benchmarks.timing import latency
from tests.benchmarks.web_page import make_library, resident_mib, served
from ui import strings_explore as strings

_LIMIT_MS = 600_000

_PAUSE_MS = 2_000
_AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"

_PAINTED = """async () => {
  const canvas = () => [...document.querySelectorAll(".st-key-explore_map *")]
    .map((each) => each.shadowRoot?.querySelector("canvas")).find(Boolean)
  const isPainted = (found) => {
    if (!found?.width) return false
    const { data } = found.getContext("2d").getImageData(0, 0, found.width, found.height)
    return new Set(new Uint32Array(data.buffer)).size > 10
  }
  while (!isPainted(canvas())) await new Promise((done) => setTimeout(done, 20))
}"""

_FRAMES = """async () => {
  const canvas = [...document.querySelectorAll(".st-key-explore_map *")]
    .map((each) => each.shadowRoot?.querySelector("canvas")).find(Boolean)
  const { left, top, width, height } = canvas.getBoundingClientRect()
  const frames = []
  let before = await new Promise(requestAnimationFrame)
  for (let at = 0; at < 60; at++) {
    const deltaY = at % 20 < 10 ? -100 : 100
    const place = { clientX: left + width / 3, clientY: top + height / 3 }
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, cancelable: true, ...place }))
    const now = await new Promise(requestAnimationFrame)
    frames.push((now - before) / 1000)
    before = now
  }
  return frames
}"""


def main() -> None:
    """Make the library, serve it, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--wait", type=float, default=3600.0, help="seconds, for the better map")
    parser.add_argument("--chromium", default=os.environ.get("CLIPSEARCH_CHROMIUM") or shutil.which("chromium"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipsearch-map-") as folder:
        library = Path(folder) / "library"
        make_library(library, root=Path(folder) / "photos", count=options.pictures, searches=1)
        with served(library) as (url, process):
            found = measure(url, process, wait_s=options.wait, chromium=options.chromium)
            print(json.dumps(found, indent=2))


def measure(url: str, process: int, *, wait_s: float, chromium: str) -> dict[str, Any]:
    """Visit the map, wait for the better one, and zoom."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(_LIMIT_MS)
        page.goto(url)
        expect(page.locator(".st-key-search_grid a").first).to_be_visible(timeout=_LIMIT_MS)
        memory = {"before": resident_mib(process)}
        first = _visit(page, url)
        memory["first map"] = resident_mib(process)
        began = time.perf_counter()
        look_again = page.get_by_role("button", name=strings.LOOK_AGAIN)
        while look_again.count() and time.perf_counter() - began < wait_s:
            look_again.click()
            page.wait_for_timeout(_PAUSE_MS)
            page.wait_for_selector(_AT_REST)  # before that, the button may be about to go away
        better = None if look_again.count() else round(time.perf_counter() - began, 1)
        memory["at the end"] = resident_mib(process)
        again = _visit(page, url)
        frames = page.evaluate(_FRAMES)
        browser.close()
    return {
        "first_map_s": round(first, 2),
        "second_visit_s": round(again, 2),
        "better_map_s": better,
        "server_mib": memory,
        "frames_while_zooming": latency(frames),
    }


def _visit(page: Page, url: str) -> float:
    """Seconds until the map is painted."""
    started = time.perf_counter()
    page.goto(f"{url}explore")
    page.evaluate(_PAINTED)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
