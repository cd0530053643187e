from __future__ import annotations

import base64
import io
import os
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.cli.contact_sheet import MARK, check_replaceable, write_contact_sheet
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.retrieval.results import SearchResult
from tests.conftest import save_photo


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def result(path: Path, rank: int = 1, **changes: object) -> SearchResult:
    values = {"width": 48, "height": 32, "format": "PNG", "content_hash": "0" * 32, **changes}
    return SearchResult(path, 0.25, rank, **values)  # type: ignore[arg-type]


def picture(attributes: dict[str, str | None]) -> Image.Image:
    head, _, data = str(attributes["src"]).partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_sheet_holds_everything(indexed: Library, tmp_path: Path, photos: Path) -> None:
    sheet = tmp_path / "sheet.html"
    write_contact_sheet(sheet, indexed.search("red", k=3), title="red")
    page = Page(sheet)
    assert [page.text.count(part) for part in ("3 pictures", "48×32")] == [1, 3]
    images = page.all("img")
    assert images[0]["alt"] == "1: red.png"
    red, green, blue = (int(value) for value in picture(images[0]).resize((1, 1)).getpixel((0, 0)))  # type: ignore[union-attr,misc]
    assert red > 200 and green < 60 and blue < 60
    assert page.all("a")[0]["href"] == (photos / "red.png").as_uri()
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(str(value).startswith(("data:", "file:")) for value in sources)
    assert not page.all("script") and not page.all("link")
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_it_is_readable_on_a_phone_and_in_the_dark(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.html", [], title="x")
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text and 'lang="en"' in text
    assert "no results" in Page(tmp_path / "sheet.html").text


def test_a_preview_is_made_from_the_file_where_there_is_none(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "big.png", "blue", size=(1200, 600))
    write_contact_sheet(tmp_path / "sheet.html", [result(photo)], title="x")
    assert picture(Page(tmp_path / "sheet.html").all("img")[0]).size == (384, 192)


@pytest.mark.parametrize("damage", [b"", b"\xff\xd8\xff half of a pict"])
def test_a_damaged_preview_is_not_used(tmp_path: Path, damage: bytes) -> None:
    photo = save_photo(tmp_path / "photo.png", "blue")
    (tmp_path / "preview.jpg").write_bytes(damage)
    write_contact_sheet(tmp_path / "sheet.html", [result(photo, thumbnail=tmp_path / "preview.jpg")], title="x")
    assert picture(Page(tmp_path / "sheet.html").all("img")[0]).size == (48, 32)


def test_without_any_picture_there_is_still_a_result(tmp_path: Path) -> None:
    gone = [result(tmp_path / "gone.png"), result(tmp_path / "usb.png", 2, online=False)]
    write_contact_sheet(tmp_path / "sheet.html", gone, title="x")
    page = Page(tmp_path / "sheet.html")
    assert not page.all("img")
    assert [div["aria-label"] for div in page.all("div")] == ["1: gone.png (no preview)", "2: usb.png (no preview)"]
    assert "offline" in page.text


def test_names_and_queries_are_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"<img src=x onerror=alert(1)> \"'&\xe9\n.png")
    photo = save_photo(tmp_path / "photo.png", "red").rename(tmp_path / name)
    found = result(photo, taken_at=datetime(2021, 6, 15, 12, 30))
    write_contact_sheet(tmp_path / "sheet.html", [found], title="</title><script>alert(1)</script>")
    page = Page(tmp_path / "sheet.html")
    assert not page.all("script") and len(page.all("img")) == 1
    assert str(page.all("img")[0]["alt"]).endswith(r"<img src=x onerror=alert(1)> " + "\"'&" + r"\xe9\n.png")
    assert "2021-06-15 12:30" in page.text


def test_how_well_they_match_and_how_many_more_there_are_is_told(tmp_path: Path) -> None:
    more = (tmp_path / "a.png", tmp_path / "b.png")
    found = [
        result(tmp_path / "x.png", match="strong", copies=more, near_duplicates=more[:1]),
        result(tmp_path / "y.png", 2, match="none"),
    ]
    write_contact_sheet(tmp_path / "sheet.html", found, title="x")
    text = Page(tmp_path / "sheet.html").text
    assert "1 · 0.250 · strong · 48×32 · and 3 more" in text and "2 · 0.250 · 48×32" in text


def test_an_older_sheet_is_replaced(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    write_contact_sheet(sheet, [], title="first")
    write_contact_sheet(sheet, [], title="second")
    assert "second" in Page(sheet).text and "first" not in Page(sheet).text


@pytest.mark.parametrize("content", ["", "<html>mine</html>", " " * 600 + MARK])
def test_anything_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.html").write_text(content)
    with pytest.raises(ConfigError, match="is not a contact sheet; choose another file"):
        write_contact_sheet(tmp_path / "mine.html", [], title="x")
    assert (tmp_path / "mine.html").read_text() == content
    with pytest.raises(ConfigError, match="cannot replace"):
        check_replaceable(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        check_replaceable(tmp_path / "nowhere" / "sheet.html")


def test_a_sheet_that_breaks_off_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = tmp_path / "sheet.html"
    write_contact_sheet(sheet, [], title="first")

    def fail(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("clipsearch.cli.contact_sheet.preview_jpeg", fail)
    with pytest.raises(KeyboardInterrupt):
        write_contact_sheet(sheet, [result(tmp_path / "x.png")], title="second")
    assert "first" in Page(sheet).text
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.html"]
