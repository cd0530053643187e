"""Names made to be taken for something else do nothing but show themselves plainly, on every page."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clipsearch.library import Library
from tests.conftest import save_photo
from tests.ui_process import Server
from ui import strings

NAMES = {
    "<img src=x onerror=window.hacked=1>.png": "<img src=x onerror=window.hacked=1>.png",
    "<script>window.hacked=1<script>.png": "<script>window.hacked=1<script>.png",
    "**bold** [link](http:evil.example).png": "**bold** [link](http:evil.example).png",
    "www.evil.example me@evil.example.png": "www.evil.example me@evil.example.png",
    "two\nlines.png": "two\\nlines.png",
    "\u202egnp.exe.png": "\\u202egnp.exe.png",
    "$x^2$ :cat: :material_home: `code`.png": "$x^2$ :cat: :material_home: `code`.png",
}
"""Names of files, and how they are shown."""

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "purple")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "<b>photos"
    for name, colour in zip(NAMES, COLOURS, strict=True):
        save_photo(folder / name, colour, size=(96, 64))
    (folder / "<i>broken.jpg").write_bytes(b"\xff\xd8\xff")
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(folder)
    return tmp_path / "library"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_are_shown_as_they_are(
    hostile: Path,
    start_server: Callable[..., Server],
    page: Page,
    shot: Callable[..., Path],
    settled: Callable[[Page], None],
) -> None:
    server = start_server(hostile)
    page.goto(server.url)
    expect(page.locator("img[src^='/thumbnail/']")).to_have_count(len(NAMES))
    settled(page)
    text = _text(page)
    for shown in NAMES.values():
        assert shown in text
    shot(page, "hostile-names")

    with Library.open(hostile) as library:
        hashes = {result.path.name: result.content_hash for result in library.search("ext:png", k=len(NAMES))}
    for name, shown in NAMES.items():
        page.goto(f"{server.url}?view={hashes[name]}")
        expect(page.locator("img[src^='/picture/']").first).to_be_visible()
        settled(page)
        assert shown in _text(page)
        _nothing_happened(page)

    for link in (strings.EXPLORE_PAGE, strings.LEARN_PAGE, strings.LIBRARY_PAGE):
        page.get_by_role("link", name=link, exact=True).click()
        page.wait_for_url(f"**/{link.lower()}")
        settled(page)
        _nothing_happened(page)


def _text(page: Page) -> str:
    """All text of the page, that of components too, without the invisible marks that part icons' names."""
    read = """() => {
        const read = (node) => node.nodeType === Node.TEXT_NODE ? node.data
            : [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(read).join("");
        return read(document.querySelector("main, [data-testid=stMain]"));
    }"""
    return str(page.evaluate(read)).replace("\u2060", "")


def _nothing_happened(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("a[href*='evil']").count() == 0
    assert page.locator("main b, main i, main img[src='x']").count() == 0
