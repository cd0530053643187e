"""The search page and the picture view in a real browser; see `tests.browser.conftest` for what fails by itself."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from clipsearch.demo import copy_photographs
from clipsearch.library import Library
from tests.browser.conftest import Server, start_ui, still_boxes, until
from ui import strings as ui_strings
from ui import strings_library as library_strings
from ui import strings_search as strings

HOSTILE = (
    "<script>document.title='x'.png",
    "<img src=x onerror=alert(1)>.png",
    "**bold** [link](javascript:1) :red[x] $a$.png",
    "two\nlines.png",
    "\u202egnp.right to left.png",
)
DATES = {"coffee.png": "2019:03:01 10:00:00", "chelsea.png": "2021:06:15 10:00:00", "rocket.jpg": "2022:08:02 10:00:00"}
"""When some of them are said to have been taken; they become JPEGs."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's photographs, some with dates and a place, and pictures with names that could do harm."""
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
    for number, name in enumerate(HOSTILE):
        Image.effect_noise((64, 48), 20 + number).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def dated_server(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over `photos`, embedded with the bundled model."""
    place = tmp_path_factory.mktemp("dated-server")
    with Library.open(place / "library", model="mini", create=True) as library:
        library.index(photos)
    started = start_ui(place / "library", cache=place / "cache", log=place / "log")
    yield started
    assert started.stop() == 0


@pytest.fixture
def search(page: Page, dated_server: Server, settled: Callable[[Page], None]) -> Page:
    """The search page, with the newest pictures."""
    page.goto(dated_server.url)
    expect(cells(page).first).to_be_visible()
    settled(page)
    return page


def cells(page: Page) -> Locator:
    return page.locator(".st-key-search_grid a")


def names(page: Page) -> list[str]:
    return page.locator(".st-key-search_grid .name").all_text_contents()


def box(page: Page) -> Locator:
    return page.locator(".st-key-search_line input")


def params(page: Page) -> dict[str, str]:
    return params_of(page.url)


def params_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def expect_params(page: Page, **wanted: str) -> None:
    page.wait_for_url(lambda url: params_of(url) == wanted)


def ask(page: Page, line: str) -> None:
    box(page).fill(line)
    box(page).press("Enter")


def test_from_words_to_a_picture_to_more_like_it(
    search: Page, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    expect(search.get_by_role("button", name="two dogs playing in the snow")).to_be_visible()
    shot(search, "search-newest")
    ask(search, "a cat")
    expect(cells(search).first).to_have_attribute("aria-label", "chelsea.jpg, taken 2021-06-15, strong match")
    expect_params(search, q="a cat")
    images = search.locator(".st-key-search_grid img")
    assert images.first.get_attribute("loading") == "lazy"
    expect(images.first).to_have_js_property("complete", value=True)
    settled(search)
    shot(search, "search-results")

    cells(search).first.click()
    picture = search.locator(".st-key-search_box img")
    expect(picture).to_have_attribute("alt", "chelsea.jpg, taken 2021-06-15, strong match")
    expect(search.get_by_text("A strong match")).to_be_visible()
    expect(search.locator("table")).to_contain_text("2021-06-15")
    expect(search.locator(".st-key-search_files")).to_contain_text("chelsea.jpg")
    expect(search.locator(".st-key-search_map")).to_be_visible()
    settled(search)
    shot(search, "picture")

    search.get_by_role("button", name=strings.LIKE, exact=True).click()
    search.wait_for_url(lambda url: params_of(url).get("q", "").startswith("~#"))
    expect(box(search)).to_have_value(params(search)["q"])
    expect(cells(search).first).to_be_visible()
    expect(search.get_by_text("chelsea.jpg")).to_have_count(0)
    settled(search)
    search.go_back()
    expect(picture).to_be_visible()


def test_a_heat_map_and_more_like_a_part(
    search: Page, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    ask(search, "a cat")
    expect(cells(search).first).to_have_attribute("aria-label", "chelsea.jpg, taken 2021-06-15, strong match")
    settled(search)
    cells(search).first.click()
    expect(search.get_by_role("button", name=strings.SHOW_WHERE)).to_be_visible()
    settled(search)
    search.get_by_role("button", name=strings.SHOW_WHERE).click()
    expect(search.get_by_role("img", name=strings.HEAT)).to_be_visible()
    settled(search)  # what is drawn below the map of heat has moved by then
    search.get_by_role("button", name=strings.SELECT_PART).click()
    (stage,) = still_boxes(search.locator(".st-key-search_box .stage"))
    search.mouse.move(stage["x"] + stage["width"] * 0.25, stage["y"] + stage["height"] * 0.25)
    search.mouse.down()
    search.mouse.move(stage["x"] + stage["width"] * 0.75, stage["y"] + stage["height"] * 0.5, steps=4)
    search.mouse.up()
    width = search.get_by_label(strings.BOX_SIDES["width"])
    expect(width).to_have_value(re.compile(r"(49|50)\.\d"))
    shot(search, "picture-part")
    width.fill("40")
    width.press("Enter")
    expect(search.get_by_text("Like a part of the picture")).to_be_visible()
    assert params(search)["box"].split(",")[2] == "40%"
    expect(cells(search).first).to_be_visible()
    expect(cells(search).filter(has_text="chelsea.jpg")).to_have_count(0)


def test_a_picture_is_uploaded_and_another_pasted(
    search: Page, photos: Path, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    search.locator(".st-key-search_upload_area input[type=file]").set_input_files(photos / "moon.png")
    expect(search.get_by_text("Like the picture moon.png")).to_be_visible()
    expect(cells(search).filter(has_text="moon.png")).to_have_count(0)  # what is looked for is no answer
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
    expect(search.get_by_text("Like the picture pasted.png")).to_be_visible()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has ten thousand million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_an_upload_that_is_a_bomb_is_refused_in_one_line(search: Page) -> None:
    search.locator(".st-key-search_upload_area input[type=file]").set_input_files(
        {"name": "bomb.png", "mimeType": "image/png", "buffer": bomb()}
    )
    refused = search.get_by_role("alert").filter(has_text="bomb.png")
    expect(refused).to_contain_text("megapixels")
    expect(cells(search).first).to_be_visible()


def test_filtered_by_date_and_by_what_is_in_the_address(
    search: Page, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    first = search.get_by_role("slider").first
    first.focus()
    first.press("PageUp")  # one key: the page may answer between two, and puts the slider back
    expect(search.get_by_role("button", name="date:2019-07..2022-08")).to_be_visible()
    expect(cells(search)).to_have_count(2)
    expect(search.locator(".st-key-search_grid .name")).to_have_text(["rocket.jpg", "chelsea.jpg"])
    settled(search)
    shot(search, "search-filtered")
    address = search.url
    search.goto("about:blank")
    search.goto(address)
    expect(cells(search)).to_have_count(2)
    search.get_by_role("button", name="date:2019-07..2022-08").click()
    expect(cells(search)).not_to_have_count(2)
    expect_params(search)


def test_an_error_at_its_place_and_nothing_that_matches(
    search: Page, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    ask(search, "a cat camra:fuji")
    expect(search.get_by_role("alert")).to_contain_text("column 7: there is no field 'camra'")
    expect(search.locator("[data-testid=stCode] code")).to_have_text(re.compile(r"^a cat camra:fuji\n {6}\^\s*$"))
    shot(search, "search-error")
    ask(search, "a steam locomotive crossing a viaduct in Scotland")
    expect(search.get_by_text(strings.NO_STRONG)).to_be_visible()
    settled(search)
    shot(search, "search-no-match")
    ask(search, "a cat date:1999 ext:png")
    expect(search.get_by_text(strings.NOTHING_PASSES)).to_be_visible()
    settled(search)
    shot(search, "search-nothing-passes")
    search.locator(".st-key-search_drop_0 button").click()
    expect(cells(search).first).to_be_visible()
    expect_params(search, q="a cat ext:png")


def listens(page: Page, key: str) -> None:
    """Wait until the script of a component has come, a moment after what it has drawn is to be seen."""
    until(
        page,
        f"""[...document.querySelectorAll(".st-key-{key} *")].flatMap((each) => [
            each, each.shadowRoot, ...(each.shadowRoot?.querySelectorAll("*") ?? [])
        ]).some((each) => each?.listening)""",
    )


def expect_focus(page: Page, label: str) -> None:
    """Wait until what has the focus, inside of components too, has that label."""
    until(
        page,
        f"""(() => {{
            let at = document.activeElement
            while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
            return (at?.getAttribute("aria-label") ?? "") === {json.dumps(label)}
        }})()""",
    )


def test_everything_by_keys(search: Page, settled: Callable[[Page], None]) -> None:
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


def test_a_search_is_saved_and_run_again(
    start_server: Callable[..., Server],
    page: Page,
    photos: Path,
    tmp_path: Path,
    settled: Callable[[Page], None],
    show_section: Callable[[Page, str], None],
    shot: Callable[..., Path],
) -> None:
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(photos)
    page.goto(f"{start_server().url}?q=a+cat&f=ext:jpg&sort=path&fold=versions")
    expect(cells(page).first).to_be_visible()
    settled(page)
    expect(page.get_by_role("switch", name=strings.FOLD)).to_be_checked()
    page.get_by_role("button", name=strings.SAVE_THIS).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("textbox", name=library_strings.SAVE_QUERY)).to_have_value("a cat ext:jpg")
    dialog.get_by_role("textbox", name=library_strings.SAVE_NAME).fill("cats")
    shot(page, "search-save")
    dialog.get_by_role("textbox", name=library_strings.SAVE_NAME).press("Enter")
    expect(page.get_by_text(library_strings.SAVE_DONE.format(name="cats"))).to_be_visible()
    expect(dialog).to_have_count(0)
    page.get_by_role("link", name=ui_strings.LIBRARY_PAGE, exact=True).click()
    show_section(page, library_strings.SAVED)
    page.get_by_test_id("stMain").get_by_role("button", name=library_strings.SAVED_RUN, exact=True).click()
    expect_params(page, q="a cat ext:jpg")
    expect(cells(page).first).to_contain_text("chelsea.jpg")


def test_whoever_needs_a_token_cannot_have_any_file_read(
    start_server: Callable[..., Server], page: Page, photos: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(photos)
    shutil.copy(photos / "moon.png", tmp_path / "elsewhere.png")
    (tmp_path / "token").write_text("correct horse battery staple")
    server = start_server(None, "--token-file", str(tmp_path / "token"))
    page.goto(f"{server.url}?token=correct+horse+battery+staple")
    expect(cells(page).first).to_be_visible()
    ask(page, f"~{tmp_path / 'elsewhere.png'}")
    expect(page.get_by_role("alert")).to_contain_text("elsewhere.png is not in the library")
    ask(page, f"~{photos / 'moon.png'}")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(cells(page).first).to_be_visible()
    expect(cells(page).filter(has_text="moon.png")).to_have_count(0)


def test_a_window_the_size_of_a_phone(
    open_page: Callable[..., Page], dated_server: Server, settled: Callable[[Page], None], shot: Callable[..., Path]
) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.goto(f"{dated_server.url}?q=a+cat")
    expect(cells(page).first).to_be_visible()
    settled(page)
    first, second, *_ = still_boxes(cells(page))
    assert first["y"] == second["y"] and second["x"] + second["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "phone-results")
    cells(page).first.tap()
    expect(page.locator(".st-key-search_box img")).to_be_visible()
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "phone-picture")


def test_hostile_names_show_themselves_and_do_nothing(search: Page, settled: Callable[[Page], None]) -> None:
    ask(search, "noise")
    expect(search.get_by_text(strings.NEWEST)).to_have_count(0)
    settled(search)
    for name in HOSTILE:
        label = name.replace("\n", "\\n").replace("\u202e", "\\u202e")
        search.locator(".st-key-search_grid .name", has_text=label).first.click()
        heading = search.locator("[data-testid=stMarkdown] strong").first
        joined = "\u2060*".join(re.escape(letter) for letter in label)  # which part what would be taken for markup
        expect(heading).to_have_text(re.compile(f"^\u2060*{joined}\u2060*$"))
        settled(search)
        search.keyboard.press("Escape")
        expect(cells(search).first).to_be_visible()
        settled(search)
    assert search.locator("main script, main [onerror]").count() == 0


def test_pictures_whose_drive_is_away_are_shown_as_such(
    start_server: Callable[..., Server], page: Page, photos: Path, tmp_path: Path, shot: Callable[..., Path]
) -> None:
    copied = tmp_path / "drive"
    copied.mkdir()
    for name in ("chelsea.jpg", "coffee.jpg"):
        shutil.copy(photos / name, copied)
    with Library.open(tmp_path / "library", model="mini", create=True) as library:
        library.index(copied)
    copied.rename(tmp_path / "away")
    page.goto(f"{start_server().url}?q=a+cat")
    expect(page.get_by_role("alert")).to_contain_text(strings.SOME_OFFLINE)
    expect(page.locator(".st-key-search_grid .badge.offline").first).to_have_text(strings.OFFLINE)
    shot(page, "search-offline")
    cells(page).first.click()
    expect(page.get_by_text(strings.PREVIEW_ONLY)).to_be_visible()
    expect(page.get_by_role("button", name=strings.SELECT_PART)).to_have_count(0)
