"""The learn page in a real browser: a concept is taught, confirmed, and searched for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clipsearch.demo import copy_photographs
from clipsearch.library import Library
from tests.ui_process import Server
from ui import strings_learn as strings


@pytest.fixture
def own_server(tmp_path: Path, start_server: Callable[..., Server]) -> Server:
    """A server over a library that may be changed."""
    copy_photographs(tmp_path / "photos")
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(tmp_path / "photos")
        library.tags.set("crete", tmp_path / "photos" / "china.jpg")
    return start_server(tmp_path / "library")


def test_a_concept_is_taught_and_searched(
    own_server: Server, page: Page, tmp_path: Path, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    page.goto(f"{own_server.url}learn")
    settled(page)
    page.get_by_label(strings.ADD_NAME, exact=True).fill("chelsea")
    page.get_by_label(re.compile(f"^{strings.ADD_EXAMPLES}")).fill(str(tmp_path / "photos" / "chelsea.png"))
    page.get_by_role("button", name=strings.ADD_BUTTON, exact=True).click()
    page.get_by_role("button", name=strings.CONCEPT_SUGGEST).click()
    expect(page.get_by_role("button", name=strings.REJECT, exact=True).first).to_be_visible()
    settled(page)
    page.get_by_role("button", name=strings.REJECT, exact=True).first.click()
    expect(page.get_by_text(strings.CONCEPT_COUNTS.format(positives=1, negatives=1))).to_be_visible()
    settled(page)
    shot(page, "learn")
    page.get_by_role("button", name=strings.CONCEPT_SEARCH, exact=True).click()
    expect(page).to_have_url(re.compile("q=%40chelsea"))
    expect(page.locator(".grid a").first).to_contain_text("chelsea.png")


def test_a_tag_leads_to_its_pictures(
    own_server: Server, page: Page, settled: Callable[[Page], None], show_section: Callable[[Page, str], None]
) -> None:
    page.goto(f"{own_server.url}learn")
    settled(page)
    show_section(page, strings.TAGS)
    page.get_by_role("button", name=strings.TAG_BUTTON.format(tag="crete", count=1)).click()
    expect(page).to_have_url(re.compile("q=tag%3Acrete"))
    settled(page)
    expect(page.locator(".grid img")).to_have_count(1)
