"""Uploaded and pasted pictures; what is refused is tested in `tests.ui.test_search_page`."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Settled, Shot, cells
from ui import strings_search as strings


def test_a_picture_is_uploaded_and_another_pasted(search: Page, photos: Path, settled: Settled, shot: Shot) -> None:
    search.locator(".st-key-search_upload_area input[type=file]").set_input_files(photos / "moon.png")
    expect(search.get_by_text(strings.UPLOADED.format(name="moon.png"))).to_be_visible()
    expect(cells(search).filter(has_text="moon.png")).to_have_count(0)  # the picture itself is not a result
    expect(cells(search).first).to_be_visible()
    settled(search)
    shot(search, "search-upload")
    search.get_by_role("button", name=strings.REMOVE_UPLOADS).click()
    expect(search.get_by_text(strings.NEWEST)).to_be_visible()
    search.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 })
          canvas.getContext("2d").fillRect(0, 0, 40, 40)
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"))
          const clipboardData = new DataTransfer()
          clipboardData.items.add(new File([blob], "pasted.png", { type: "image/png" }))
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
        }"""
    )
    expect(search.get_by_text(strings.UPLOADED.format(name="pasted.png"))).to_be_visible()
