"""The search page over a large library, in a real browser: how soon results are there, and what the server keeps.

    python -m tests.benchmarks.web_page [--pictures N] [--searches N] [--chromium PATH]

Prints a JSON object: the time from Enter to the first preview on the page, and to all that are in the window, for
searches by words and for such with a filter; the server's memory after the first searches and at the end, in MiB; and
the longest that a frame took while the results were scrolled, in milliseconds. The library is made up, embeddings and
metadata, with previews of what the queries will find.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.library import Library
from clipsearch.media.thumbnails import existing_thumbnail, write_thumbnail
from clipsearch.models.loading import load_encoder
from tests.benchmarks.libraries import fill_library, made_up_files
from tests.benchmarks.timing import clipsearch_command, latency, offline
from tests.benchmarks.warm_queries import query_text

WARM_UP = 5
_FILTER = "camera:a7"
_PAGE = 60

_METADATA = """
UPDATE contents SET
    taken_at = CASE WHEN rowid % 20 THEN datetime('2010-01-01', '+' || (rowid % 5400) || ' days') END,
    camera = CASE rowid % 7 WHEN 0 THEN NULL WHEN 1 THEN 'FUJIFILM X-T4' WHEN 2 THEN 'SONY A7 III'
        ELSE 'Canon EOS R' || (rowid % 40) END,
    lens = 'Lens ' || (rowid % 60) || 'mm',
    rating = rowid % 6,
    latitude = CASE WHEN rowid % 3 THEN rowid % 120 - 60.0 END,
    longitude = CASE WHEN rowid % 3 THEN rowid % 360 - 180.0 END
"""

_FRAMES = """async () => {
  const scroller = document.querySelector("[data-testid=stMain]")
  let longest = 0, before = performance.now()
  for (let at = 0; at < 60; at++) {
    scroller.scrollBy(0, 60)
    const now = await new Promise(requestAnimationFrame)
    longest = Math.max(longest, now - before)
    before = now
  }
  return longest
}"""

_FIRST_PREVIEW = """(wanted) => {
  const images = [...document.querySelectorAll(".st-key-search_grid *")]
    .flatMap((each) => [...(each.shadowRoot?.querySelectorAll("img") ?? [])])
  const seen = images.filter((image) => image.getBoundingClientRect().top < innerHeight)
  const made = images.map((image) => image.src).join()
  return made !== wanted.shown && seen.length > 0 && (wanted.all ? seen : seen.slice(0, 1)).every((i) => i.complete)
}"""

_SHOWN = """() => [...document.querySelectorAll(".st-key-search_grid *")]
  .flatMap((each) => [...(each.shadowRoot?.querySelectorAll("img") ?? [])]).map((image) => image.src).join()"""


def main() -> None:
    """Make the library, serve it, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--chromium", default=os.environ.get("CLIPSEARCH_CHROMIUM") or shutil.which("chromium"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipsearch-web-") as folder:
        library = Path(folder) / "library"
        make_library(library, root=Path(folder) / "photos", count=options.pictures, searches=options.searches)
        with served(library) as (url, process):
            print(json.dumps(measure(url, process, searches=options.searches, chromium=options.chromium), indent=2))


def make_library(directory: Path, *, root: Path, count: int, searches: int) -> None:
    """A library of made-up pictures, with the previews that the searches will ask for."""
    root.mkdir(parents=True)
    encoder = load_encoder("mini")
    fill_library(directory, root=root, files=made_up_files(count), count=count, encoder=encoder)
    with sqlite3.connect(directory / CATALOG_NAME) as catalog:
        catalog.execute(_METADATA)
    preview = Image.effect_noise((384, 256), 60).convert("RGB")
    with Library.open(directory) as library:
        lines = ["size:>=1B", *map(_line, range(WARM_UP + searches))]
        for line in lines:
            for result in library.search(line, k=_PAGE + 1):
                if existing_thumbnail(directory, result.content_hash) is None:
                    write_thumbnail(directory, result.content_hash, preview)


def measure(url: str, process: int, *, searches: int, chromium: str) -> dict[str, Any]:
    """Search in a browser, again and again."""
    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_function(_FIRST_PREVIEW, arg={"shown": "", "all": True})
        for number in range(WARM_UP):
            _search(page, _line(number), whole=True)
        before = resident_mib(process)
        for number in range(WARM_UP, WARM_UP + searches):
            line = _line(number)
            whole = number % 4 > 1
            kind = f"{'all in the window' if whole else 'first'}, {'words and filter' if _FILTER in line else 'words'}"
            times.setdefault(kind, []).append(_search(page, line, whole=whole))
        after = resident_mib(process)
        longest = page.evaluate(_FRAMES)
        browser.close()
    return {
        "searches": searches,
        "to_previews": {name: latency(found) for name, found in times.items()},
        "server_mib": {"before": before, "after": after},
        "longest_frame_ms": round(longest, 1),
    }


def _search(page: Page, line: str, *, whole: bool) -> float:
    """Seconds from Enter until the previews are there."""
    box = page.locator(".st-key-search_line input")
    box.fill(line)
    shown = page.evaluate(_SHOWN)
    started = time.perf_counter()
    box.press("Enter")
    page.wait_for_function(_FIRST_PREVIEW, arg={"shown": shown, "all": whole})
    return time.perf_counter() - started


def _line(number: int) -> str:
    """Every other search has a filter."""
    return f"{query_text(number)} {_FILTER}" if number % 2 else query_text(number)


def resident_mib(process: int) -> float:
    """Memory of a process that is in use, on Linux."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


@contextmanager
def served(library: Path) -> Iterator[tuple[str, int]]:
    """The address of a page over a library, and the process that serves it."""
    command = [*clipsearch_command("--library", library), "ui", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=offline())
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
