"""The search page and the picture view, as `streamlit.testing` runs them: every state that an address can name."""

from __future__ import annotations

import io
import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.full_text import OcrLine
from clipsearch.library import Library
from clipsearch.library_parts.protocol import DEFAULT_OPTIONS
from clipsearch.media.decoding import content_hash
from clipsearch.media.segments import WHOLE_IMAGE
from clipsearch.retrieval.results import SearchOptions, SearchResult, Sort
from clipsearch.text import display_text
from tests.conftest import ColourEncoder, save_photo
from tests.retrieval.test_duplicates import scene
from ui import query_box, search_results, shared, uploads
from ui import strings as ui_strings
from ui import strings_search as strings
from ui.plain import plain

LIMIT_S = 60.0

HOSTILE = "<script>alert(1) *b* [x](http:⧸⧸x) :red[y]\n\u202egnp.png"

PHOTOS = {
    "red.jpg": ("red", "2021-05-04", "FUJIFILM X-T4", 5),
    "green.jpg": ("lime", "2021-06-14", "FUJIFILM X-T4", 3),
    "blue.jpg": ("blue", "2021-06-20", "Leica Q2", None),
    "Crete/yellow.jpg": ("yellow", "2022-01-02", "Leica Q2", None),
    "Crete/white.png": ("white", None, None, None),
}


def script() -> None:
    from ui.pages.search import page

    page()


def dated_photo(path: Path, colour: str, day: str | None, camera: str | None, rating: int | None) -> None:
    save_photo(path, colour)
    if day is None or camera is None:
        return
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = camera.split(" ", 1)
    exif[0x4746] = rating or 0
    exif.get_ifd(0x8769)[0x9003] = f"{datetime.fromisoformat(day):%Y:%m:%d} 12:00:00"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (35.0, 18.0, 0.0), "E", (25.0, 6.0, 0.0)
    with Image.open(path) as image:
        image.save(path, exif=exif)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with dates and cameras, and their library; only read."""
    folder = tmp_path_factory.mktemp("place")
    for name, (colour, day, camera, rating) in PHOTOS.items():
        dated_photo(folder / "photos" / name, colour, day, camera, rating)
    save_photo(folder / "photos" / HOSTILE, "purple")
    with Library.open(folder / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(folder / "photos")
    return folder


@pytest.fixture(autouse=True)
def shared_afresh() -> Iterator[None]:
    yield
    shared.configure()


@pytest.fixture
def app(place: Path) -> AppTest:
    return over(place / "library")


def over(library: Path) -> AppTest:
    shared.configure(library, encoder=ColourEncoder())  # type: ignore[arg-type]
    return AppTest.from_function(script, default_timeout=LIMIT_S)


def at(app: AppTest, **params: str) -> AppTest:
    app.query_params.clear()
    app.query_params.update(params)
    return well(app.run())


def well(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    return app


def data_of(app: AppTest, name: str) -> dict[str, Any]:
    """What a component was given."""
    (found,) = [each.proto for each in app.get("bidi_component") if each.proto.component_name == f"clipsearch_{name}"]
    given: dict[str, Any] = json.loads(found.json or found.mixed.json)
    return given


def names(app: AppTest) -> list[str]:
    return [item["name"] for item in data_of(app, "grid")["items"]]


def params(app: AppTest) -> dict[str, Any]:
    return dict(app.query_params)


def hash_of(place: Path, name: str) -> str:
    return content_hash((place / "photos" / name).read_bytes())


def press(app: AppTest, key: str) -> AppTest:
    button = app.button(key=key)
    assert not button.disabled
    return well(button.click().run())


def hand_over(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    (uploader,) = app.file_uploader
    return well(uploader.set_value([(name, content, "image/png") for name, content in files]).run())


def jpeg_bytes(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has ten thousand million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = (100_000).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


def test_an_empty_box_shows_examples_and_the_newest(app: AppTest) -> None:
    at(app)
    assert names(app)[:4] == ["yellow.jpg", "blue.jpg", "green.jpg", "red.jpg"]
    assert next(button.label for button in app.button if button.key.startswith("search_example")) == (
        "two dogs playing in the snow"
    )
    press(app, "search_example_2")
    assert params(app) == {"q": "beach -people"}


def test_words_find_pictures_and_are_in_the_address(app: AppTest) -> None:
    at(app)
    well(app.text_input(key="search_line").set_value("red").run())
    assert params(app) == {"q": "red"}
    first, *_ = data_of(app, "grid")["items"]
    assert first["name"] == "red.jpg"
    assert first["alt"].startswith("red.jpg, taken 2021-05-04")
    assert first["source"] == f"/thumbnail/{first['hash']}"
    assert first["address"] == f"?q=red&view={first['hash']}"


@pytest.mark.parametrize(
    ("line", "notice"),
    [("red september 2015", "looks like a date"), ("?!", "there are no words"), ("IMG_1.jpg", "name of a file")],
)
def test_what_is_to_be_known_of_a_query_is_on_the_page(app: AppTest, line: str, notice: str) -> None:
    at(app, q=line)
    assert any(notice in info.value for info in app.info)


def test_a_link_restores_line_filters_order_and_page(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_results, "PAGE_SIZE", 2)
    at(app, q="blue", f="camera:leica", sort="path", page="1")
    assert app.text_input(key="search_line").value == "blue"
    assert app.multiselect(key="search_filter_camera").value == ["leica"]
    assert app.selectbox(key="search_sort").value == "path"
    assert names(app) == ["blue.jpg"]


def test_an_error_is_marked_at_its_place(app: AppTest) -> None:
    at(app, q="dog camra:fuji")
    assert "column 5" in app.error[0].value
    assert app.code[0].value == "dog camra:fuji\n    ^"


@pytest.mark.parametrize(("line", "columns"), [("犬 x:1", 3), ("a\tx:1", 3), ("e\u0301 x:1", 2)])
def test_the_mark_stands_under_the_place_whatever_is_before_it(line: str, columns: int) -> None:
    assert query_box.caret(line, line.index("x")) == f"{' ' * columns}^"


def test_filters_are_made_of_what_the_library_holds(app: AppTest) -> None:
    at(app)
    assert app.multiselect(key="search_filter_camera").options == ["FUJIFILM X-T4 (2)", "Leica Q2 (2)"]
    assert app.select_slider(key="search_filter_months_0").options[0] == "2021-05"
    assert data_of(app, "histogram")["counts"] == [1, 2, 0, 0, 0, 0, 0, 0, 1]


def test_filters_that_are_picked_are_written_in_the_query_language(app: AppTest) -> None:
    at(app, q="red")
    well(app.multiselect(key="search_filter_camera").set_value(["FUJIFILM X-T4", "Leica Q2"]).run())
    assert params(app)["f"] == 'camera:"FUJIFILM X-T4" or camera:"Leica Q2"'
    well(app.select_slider(key="search_filter_months_0").set_value(("2021-06", "2021-07")).run())
    assert names(app) == ["green.jpg", "blue.jpg"] or names(app) == ["blue.jpg", "green.jpg"]
    well(app.selectbox(key="search_filter_rating").set_value(3).run())
    assert names(app) == ["green.jpg"]
    well(app.text_input(key="search_filter_near").set_value("35.3, 25.1, 20km").run())
    assert params(app)["f"].endswith("date:2021-06..2021-07") or "near:35.3,25.1,20km" in params(app)["f"]
    assert names(app) == ["green.jpg"]
    press(app, "search_clear_filters")
    assert params(app) == {"q": "red"}


def test_a_place_that_is_none_is_refused_where_it_is_typed(app: AppTest) -> None:
    at(app)
    well(app.text_input(key="search_filter_near").set_value("Crete").run())
    assert "is not a place" in app.error[0].value
    assert params(app) == {}


def test_what_no_widget_shows_stays_and_can_be_removed(app: AppTest) -> None:
    at(app, f="camera:leica not folder:Crete")
    assert names(app) == ["blue.jpg"]
    well(app.multiselect(key="search_filter_camera").set_value([]).run())
    assert params(app)["f"] == "not folder:Crete"
    press(app, "search_chip_0")
    assert params(app) == {}


def test_wrong_filters_in_an_address_can_be_cleared(app: AppTest) -> None:
    at(app, q="red", f="camra:x")
    assert "Invalid filters in the address" in app.error[0].value
    press(app, "search_clear_wrong_filters")
    assert names(app)[0] == "red.jpg"


def test_nothing_passes_and_which_filter_to_drop(app: AppTest) -> None:
    at(app, q="red rating:5", f="folder:Crete")
    assert app.info[0].value == strings.NOTHING_PASSES
    labels = [button.label for button in app.button if button.key.startswith("search_drop_")]
    assert labels == [plain("rating:5"), plain("folder:Crete")]
    press(app, "search_drop_0")
    assert params(app) == {"q": "red", "f": "folder:Crete"}
    assert set(names(app)) == {"yellow.jpg", "white.png"}


def test_a_mistyped_tag_suggests_the_nearest(indexed: Library, photos: Path) -> None:
    indexed.tags.set("dog", photos / "red.png")
    shared.configure(indexed.path, encoder=ColourEncoder())
    app = AppTest.from_function(script, default_timeout=LIMIT_S)
    at(app, q="tag:dgo")
    assert strings.UNKNOWN_TAG.format(tag="dgo", nearest="dog") in [text.value for text in app.markdown]
    shared.configure()


def test_pages_follow_each_other_without_gaps(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_results, "PAGE_SIZE", 4)
    at(app, q="red")
    first = names(app)
    press(app, "search_next_page")
    assert params(app) == {"q": "red", "page": "2"}
    assert len({*first, *names(app)}) == 6
    assert app.button(key="search_next_page").disabled
    press(app, "search_previous_page")
    assert names(app) == first
    at(app, q="red", page="9")
    assert app.info[0].value == strings.NOTHING_MORE


def test_a_picture_with_all_that_is_known_of_it(app: AppTest, place: Path) -> None:
    at(app, q="red", view=hash_of(place, "red.jpg"))
    assert data_of(app, "box")["source"] == f"/picture/{hash_of(place, 'red.jpg')}"
    (table,) = app.table
    said = table.value.to_string()
    assert "FUJIFILM" in said and "★★★★★" in said and "35" in said
    assert data_of(app, "paths")["files"][0]["path"] == str(place / "photos" / "red.jpg")
    assert any(caption.value.startswith("similarity 1.0") for caption in app.caption)


def test_text_in_a_picture_is_highlighted_and_can_be_copied(tmp_path: Path) -> None:
    path = save_photo(tmp_path / "photos" / "bill.png", "white", size=(200, 100))
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(tmp_path / "photos")
    digest = content_hash(path.read_bytes())
    store = Catalog(tmp_path / "library")
    lines = [OcrLine(WHOLE_IMAGE, text, 0.9, "latin", (20, y, 100, 10)) for text, y in (("*IKEA*", 5), ("Total", 50))]
    store.texts.write({digest: lines}, reader="test")
    store.close()
    page = at(over(tmp_path / "library"), q="ikea")
    assert data_of(page, "grid")["items"][0]["matched"] == "Text: “*IKEA*”"
    at(page, q="ikea", view=digest)
    assert data_of(page, "box")["marks"] == [{"x": 10, "y": 5, "width": 50, "height": 10}]
    assert page.tabs[1].label == "Text" and page.tabs[1].code[0].value == "*IKEA*\nTotal"
    assert any("IKEA" in each.value for each in page.markdown)
    at(page, q="white", view=digest)
    assert data_of(page, "box")["marks"] == []


@pytest.mark.parametrize(("key", "line"), [("like", "~#{}"), ("add", "red ~#{}"), ("subtract", "red -~#{}")])
def test_going_on_from_a_picture(app: AppTest, place: Path, key: str, line: str) -> None:
    found = hash_of(place, "blue.jpg")
    at(app, q="red", f="camera:leica", view=found)
    press(app, f"search_{key}")
    assert params(app) == {"q": line.format(found[:12]), "f": "camera:leica"}
    assert "blue.jpg" not in names(app)


def test_pictures_near_the_place_of_one(app: AppTest, place: Path) -> None:
    at(app, q="red", view=hash_of(place, "red.jpg"))
    press(app, "search_near")
    assert params(app) == {"f": "near:35.3,25.1,5km"}
    assert len(names(app)) == 4


def test_from_picture_to_picture_over_the_edge_of_a_page(
    app: AppTest, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_results, "PAGE_SIZE", 3)
    at(app, q="red", view=hash_of(place, "red.jpg"))
    assert app.button(key="search_previous").disabled
    for _ in range(3):
        press(app, "search_next")
    assert params(app)["page"] == "2"
    for _ in range(2):
        press(app, "search_next")
    assert app.button(key="search_next").disabled
    for _ in range(5):
        press(app, "search_previous")
    assert params(app) == {"q": "red", "view": hash_of(place, "red.jpg")}
    press(app, "search_back")
    assert params(app) == {"q": "red"}
    assert data_of(app, "grid")["focus"] == hash_of(place, "red.jpg")


@pytest.mark.parametrize("view", ["0" * 32, "../../etc/passwd", "<b>"])
def test_a_picture_that_the_library_does_not_hold(app: AppTest, view: str) -> None:
    at(app, q="red", view=view)
    assert app.warning[0].value == strings.NOT_THERE


def test_where_in_the_picture_the_match_is(app: AppTest, place: Path) -> None:
    at(app, q="red", view=hash_of(place, "red.jpg"))
    press(app, "search_explain")
    assert strings.HEAT in [caption.value for caption in app.caption]


def test_a_part_of_a_picture(app: AppTest, place: Path) -> None:
    found = hash_of(place, "red.jpg")
    at(app, q=f"~#{found[:12]}", box="10%,10%,50%,50%")
    assert "red.jpg" not in names(app)
    press(app, "search_whole")
    assert params(app) == {"q": f"~#{found[:12]}"}


def test_a_part_of_a_picture_is_looked_for_among_what_passes_both_kinds_of_filters(app: AppTest, place: Path) -> None:
    found = hash_of(place, "red.jpg")
    at(app, q=f"~#{found[:12]} camera:leica", box="10%,10%,50%,50%", f="date:2021-01..2021-12")
    assert names(app) == ["blue.jpg"]
    at(app, q=f"~#{found[:12]} ext:png", box="10%,10%,50%,50%", f="folder:Crete")
    assert names(app) == ["white.png"]
    assert app.button(key="search_save").disabled


@pytest.mark.parametrize("box", ["90%,90%,50%,50%", "nonsense", "1,2,3"])
def test_a_box_that_is_none_is_an_error_in_one_line(app: AppTest, place: Path, box: str) -> None:
    at(app, q=f"~#{hash_of(place, 'red.jpg')[:12]}", box=box)
    assert len(app.error) == 1


def test_an_uploaded_picture_is_searched_for_and_mixed_with_words(app: AppTest) -> None:
    hand_over(at(app), ("mine.png", jpeg_bytes("blue")))
    assert names(app)[0] == "blue.jpg"
    well(app.text_input(key="search_line").set_value("camera:fuji").run())
    assert set(names(app)) == {"red.jpg", "green.jpg"}
    press(app, "search_drop_uploads")
    assert names(app)[0] == "green.jpg"


def test_several_uploads_are_searched_for_together(app: AppTest) -> None:
    hand_over(at(app), ("one.png", jpeg_bytes("red")), ("two.png", jpeg_bytes("lime")))
    assert set(names(app)[:3]) >= {"red.jpg", "green.jpg"} or names(app)[0] == "yellow.jpg"
    assert len(app.session_state["search_uploads"]) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [("bomb.png", bomb()), ("text.jpg", b"not a picture"), (HOSTILE.replace("\n", ""), b""), ("cut.png", b"\x89PNG")],
    ids=["bomb", "text", "empty", "cut"],
)
def test_an_upload_that_cannot_be_decoded_is_refused_in_one_line(app: AppTest, name: str, content: bytes) -> None:
    hand_over(at(app), (name, content))
    assert len(app.error) == 1
    assert "\n" not in app.error[0].value
    assert "search_uploads" not in app.session_state
    assert names(app)[0] == "yellow.jpg"


def test_uploads_make_room_for_others(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT", 3)
    kept = [uploads.keep_upload(f"{number}.png", jpeg_bytes(f"#0000{number:02x}")) for number in range(5)]
    assert [upload.is_kept for upload in kept] == [False, False, True, True, True]


def test_hostile_names_show_themselves_as_text(app: AppTest, place: Path) -> None:
    at(app, q="purple")
    (item,) = [item for item in data_of(app, "grid")["items"] if "script" in item["name"]]
    assert "\n" not in item["name"] and "\u202e" not in item["name"] and "\\u202e" in item["name"]
    at(app, q="purple", view=item["hash"])
    shown = [markdown for markdown in app.markdown if "script" in markdown.value]
    assert shown and not any(markdown.allow_html for markdown in app.markdown)
    assert [markdown.value for markdown in shown] == [f"**{plain(HOSTILE)}**"]


def test_pictures_of_a_drive_that_is_not_there(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "library", tmp_path / "library")
    with Library.open(tmp_path / "library", encoder=ColourEncoder()) as library:
        (root,) = library.roots.all()
        (gone := tmp_path / "gone").mkdir()
        library.roots.move(root.path, gone)
        gone.rmdir()
    app = at(over(tmp_path / "library"), q="red")
    assert strings.SOME_OFFLINE in [warning.value for warning in app.warning]
    assert {"kind": "offline", "text": strings.OFFLINE} in data_of(app, "grid")["items"][0]["badges"]
    at(app, q="red", view=hash_of(place, "red.jpg"))
    assert not data_of(app, "box")["selectable"]
    assert data_of(app, "paths")["files"][0]["note"] == strings.FILE_OFFLINE
    assert strings.PREVIEW_ONLY in [caption.value for caption in app.caption]
    assert not [button for button in app.button if button.key == "search_open_folder"]


def test_a_library_without_pictures(tmp_path: Path) -> None:
    Library.open(tmp_path / "empty", create=True, encoder=ColourEncoder()).close()
    shared.configure(tmp_path / "empty", encoder=ColourEncoder())  # type: ignore[arg-type]

    def navigated() -> None:
        import streamlit as st

        from ui import pages  # noqa: F401
        from ui.navigation import menu

        st.navigation(menu()).run()

    app = well(AppTest.from_function(navigated, default_timeout=LIMIT_S).run())
    assert app.title[0].value == strings.EMPTY_LIBRARY


def test_a_session_holds_no_more_after_many_searches(app: AppTest) -> None:
    at(app, q="red 1")
    before = {key for key in app.session_state.keys() if key.startswith("search_")}  # noqa: SIM118
    for number in range(2, 12):
        at(app, q=f"red {number}")
    assert {key for key in app.session_state.keys() if key.startswith("search_")} == before  # noqa: SIM118


def test_files_of_the_same_content_are_one_result_on_every_page(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_results, "PAGE_SIZE", 2)
    for name in ("yellow.jpg", "white.png"):
        for copy in ("", "again ", "once more "):
            (tmp_path / "photos").mkdir(exist_ok=True)
            shutil.copy(place / "photos" / "Crete" / name, tmp_path / "photos" / f"{copy}{name}")
    save_photo(tmp_path / "photos" / "red.png", "red")
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(tmp_path / "photos")
    app = at(over(tmp_path / "library"), q="yellow")
    first, second = data_of(app, "grid")["items"]
    assert first["name"] == "again yellow.jpg"
    assert {"kind": "copies", "text": strings.COPIES[1].format(count=2)} in first["badges"]
    press(app, "search_next_page")
    (third,) = data_of(app, "grid")["items"]
    assert len({first["hash"], second["hash"], third["hash"]}) == 3
    at(app, q="yellow", view=first["hash"])
    assert len(data_of(app, "paths")["files"]) == 3


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A scene in three sizes and another one."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for size in (400, 300, 200):
        scene(1).resize((size, size * 3 // 4)).save(photos / f"scene {size}.png")
    save_photo(photos / "white.png", "white")
    with Library.open(tmp_path / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(photos)
    return tmp_path / "library"


def test_versions_are_folded_when_asked_for_and_the_address_says_so(versions: Path) -> None:
    app = at(over(versions), q="white")
    assert len(names(app)) == 4
    well(app.toggle(key="search_fold").set_value(True).run())
    assert params(app) == {"q": "white", "fold": "versions"}
    white, folded = data_of(app, "grid")["items"]
    assert white["name"] == "white.png"
    assert {"kind": "versions", "text": strings.VERSIONS[1].format(count=2)} in folded["badges"]
    assert folded["address"] == f"?q=white&fold=versions&view={folded['hash']}"
    well(app.text_input(key="search_line").set_value("scene").run())
    assert params(app) == {"q": "scene", "fold": "versions"}, "it stays for the next search"
    at(app)
    assert not app.toggle(key="search_fold").value and len(names(app)) == 4


@pytest.mark.parametrize("sort", ["date", "path"])
def test_an_order_goes_on_from_page_to_page(
    app: AppTest, place: Path, monkeypatch: pytest.MonkeyPatch, sort: Sort
) -> None:
    monkeypatch.setattr(search_results, "PAGE_SIZE", 2)
    line = f"~#{hash_of(place, 'red.jpg')[:12]}"
    with Library.open(place / "library", encoder=ColourEncoder()) as library:
        whole = [result.path.name for result in library.search(line, k=5, sort=sort)]
        best = {result.path.name for result in library.search(line, k=3)}
    at(app, q=line, sort=sort)
    assert strings.ORDERED["nearest"].format(count=600) in [caption.value for caption in app.caption]
    found = names(app)
    for _ in range(2):
        press(app, "search_next_page")
        found += names(app)
    assert [name for name in found if "script" not in name] == [name for name in whole if "script" not in name]
    assert app.button(key="search_next_page").disabled
    monkeypatch.setattr(search_results, "MOST_ORDERED", 3)
    at(app, q=line, sort=sort)
    few = names(app)
    press(app, "search_next_page")
    assert [*few, *names(app)] == [display_text(name) for name in whole if name in best]
    assert app.button(key="search_next_page").disabled


def test_of_words_only_what_matches_is_put_in_order(app: AppTest, place: Path) -> None:
    with Library.open(place / "library", encoder=ColourEncoder()) as library:
        matching = library.search("red", k=10, sort="date", min_match="possible")
    assert 0 < len(matching) < 6
    at(app, q="red", sort="date")
    assert names(app) == [display_text(result.path.name) for result in matching]
    assert strings.ORDERED["matches"].format(count=600) in [caption.value for caption in app.caption]


def test_where_nothing_matches_the_nearest_are_put_in_order(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = Library.search

    def none_matching(
        self: Library, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any
    ) -> list[SearchResult]:
        options = replace(options, **overrides)
        return [] if options.min_match == "possible" else searched(self, query, options)

    monkeypatch.setattr(Library, "search", none_matching)
    at(app, q="red", sort="path")
    assert len(names(app)) == 6
    assert strings.ORDERED["nearest"].format(count=600) in [caption.value for caption in app.caption]
    assert [info.value for info in app.info] == [strings.NOTHING_CLEAR]


def test_a_search_is_saved_with_its_filters(app: AppTest) -> None:
    """What comes of it is tested in a browser: `streamlit.testing` closes a dialog at the next run."""
    at(app, q="red rating:5", f="camera:fuji or camera:leica")
    press(app, "search_save")
    assert app.text_input(key="search_save_line").value == "red rating:5 camera:fuji or camera:leica"
    assert app.text_input(key="search_save_name").value == ""


def test_there_is_nothing_to_save_of_an_empty_search_and_not_what_does_not_last(app: AppTest) -> None:
    at(app)
    assert "search_save" not in [button.key for button in app.button]
    hand_over(at(app), ("mine.png", jpeg_bytes("blue")))
    assert app.button(key="search_save").disabled


@pytest.fixture
def guarded(place: Path) -> AppTest:
    """The page as other users see it."""
    shared.configure(place / "library", encoder=ColourEncoder(), reads_any_picture=False)  # type: ignore[arg-type]
    return AppTest.from_function(script, default_timeout=LIMIT_S)


@pytest.mark.parametrize("address", ["q", "f"])
@pytest.mark.parametrize("name", ["elsewhere.png", "nowhere.png", "~nobody/x.png"])
def test_others_cannot_have_any_picture_of_the_server_read(
    guarded: AppTest, tmp_path: Path, address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "elsewhere.png", "red")
    monkeypatch.setattr("clipsearch.media.loading.open_media", lambda path: pytest.fail(f"{path} was read"))
    path = name if name.startswith("~") else str(tmp_path / name)
    at(guarded, **{address: f'~"{path}"'})
    assert [error.value for error in guarded.error] == [
        plain(ui_strings.NOT_A_PICTURE_OF_THE_LIBRARY.format(path=path))
    ]
    assert not guarded.get("bidi_component") or "clipsearch_grid" not in str(guarded.get("bidi_component"))


def test_others_can_name_pictures_of_the_library_which_are_not_read(
    guarded: AppTest, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipsearch.media.loading.open_media", lambda path: pytest.fail(f"{path} was read"))
    at(guarded, q=f"~{place / 'photos' / 'red.jpg'}")
    by_path = names(guarded)
    assert "red.jpg" not in by_path and len(by_path) == 5
    at(guarded, q=f"~#{hash_of(place, 'red.jpg')[:12]}")
    assert names(guarded) == by_path


def test_whoever_sits_here_may_name_any_picture(app: AppTest, tmp_path: Path) -> None:
    at(app, q=f"~{save_photo(tmp_path / 'elsewhere.png', 'blue')}")
    assert names(app)[0] == "blue.jpg"
