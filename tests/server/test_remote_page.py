"""The page over the library of a server: what it shows, and what it leaves to those who look after the library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from clipsearch.cli import cli
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.server.client.connection import ServerConnection
from clipsearch.server.client.library import RemoteLibrary
from clipsearch.server.tokens import Scope, add_token
from tests.cli.test_ui import _get
from tests.server.processes import serving
from tests.ui.test_search_page import at, data_of, hand_over, jpeg_bytes, names, params, press, well
from tests.ui.test_server import running
from tests.ui_process import start_ui
from tests.videos import write_video
from ui import shared, strings
from ui import strings_search as search_strings
from ui.server import ServerSettings

LIMIT_S = 60.0


def script() -> None:
    from ui.shell import show

    show()


@pytest.fixture
def app(remote: RemoteLibrary) -> Iterator[AppTest]:
    shared.configure(remote=remote)
    yield AppTest.from_function(script, default_timeout=LIMIT_S)
    shared.configure()


def test_words_filters_and_order(app: AppTest, indexed: Library) -> None:
    at(app)
    assert len(names(app)) == 6
    assert strings.ON_SERVER.split("{")[0] in app.caption[0].value
    well(app.text_input(key="search_line").set_value("red").run())
    assert names(app) == [result.path.name for result in indexed.search("red")]
    assert {item["source"] for item in data_of(app, "grid")["items"]} == {
        f"/thumbnail/{result.content_hash}" for result in indexed.search("red")
    }
    at(app, q="red", f="ext:png", sort="path", fold="versions")
    assert set(names(app)) <= {"red.png", "green.png", "blue.png", "yellow.png"}
    assert app.multiselect(key="search_filter_ext").value == ["png"]
    at(app, q="red", f="ext:gif")
    press(app, "search_drop_0")
    assert app.text_input(key="search_line").value == "red"
    assert not [button for button in app.button if button.key == "search_save"], "nothing is saved on the server"


def test_a_picture_and_the_ways_on_from_it(app: AppTest, indexed: Library, photos: Path) -> None:
    digits = content_hash((photos / "red.png").read_bytes())
    at(app, q="red", view=digits)
    assert data_of(app, "box")["source"] == f"/picture/{digits}"
    assert data_of(app, "paths")["files"][0]["path"] == str(photos / "red.png")
    assert not [button for button in app.button if button.key == "search_open_folder"]
    press(app, "search_explain")
    assert search_strings.HEAT in [caption.value for caption in app.caption]
    press(app, "search_like")
    assert params(app) == {"q": f"~#{digits[:12]}"}
    assert names(app) == [result.path.name for result in indexed.similar(f"~#{digits}")]
    at(app, q=f"~#{digits[:12]}", box="0%,0%,50%,50%")
    assert names(app)


@pytest.mark.long
def test_a_video_is_shown_and_where_it_can_be_played(app: AppTest, indexed: Library, photos: Path) -> None:
    path = write_video(photos / "lights.mp4", [("red", 3), ("blue", 3)])
    indexed.index(photos)
    digits = content_hash(path.read_bytes())
    at(app, q="blue kind:video")
    assert names(app) == ["lights.mp4"]
    at(app, q="blue kind:video", view=digits)
    shown = data_of(app, "video")
    assert (shown["source"], shown["poster"], shown["frames"]) == ("", f"/thumbnail/{digits}", [])
    assert shown["words"]["offline"] == search_strings.OFFLINE_VIDEO


@pytest.mark.long
def test_a_picture_that_is_handed_over_is_searched_with(app: AppTest, indexed: Library, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(jpeg_bytes("lime"))
    at(app)
    hand_over(app, (mine.name, mine.read_bytes()))
    assert names(app) == [result.path.name for result in indexed.similar(mine)]
    well(app.text_input(key="search_line").set_value("blue ext:png").run())
    assert names(app) == [result.path.name for result in indexed.search(f"~{mine} blue ext:png")]


def test_what_the_server_says_is_told_in_one_line(app: AppTest, remote: RemoteLibrary) -> None:
    at(app, q="@nobody")
    assert "nobody" in app.error[0].value
    remote.close()
    shared.configure(remote=RemoteLibrary(ServerConnection("http://127.0.0.1:9")))
    at(app)
    assert "cannot be reached" in app.error[0].value and len(app.error) == 1


def test_an_empty_library_has_no_way_to_fill_it_here(app: AppTest, indexed: Library, photos: Path) -> None:
    indexed.maintenance.forget(photos)
    at(app)
    assert app.title[0].value == search_strings.EMPTY_LIBRARY
    assert search_strings.EMPTY_ON_SERVER in [element.value for element in app.markdown]


def test_pictures_come_through_the_page(remote: RemoteLibrary, photos: Path) -> None:
    digits = content_hash((photos / "red.png").read_bytes())
    shared.configure(remote=remote)
    try:
        with running(ServerSettings()) as client:
            for kind in ("thumbnail", "picture"):
                answer = client.get(f"/{kind}/{digits}")
                assert answer.status == 200 and answer.image.size == (48, 32)
                assert client.get(f"/{kind}/{'0' * 32}").status == 404
    finally:
        shared.configure()


def test_visitors_with_a_token_have_no_file_of_the_pages_machine_sent(remote: RemoteLibrary, photos: Path) -> None:
    shared.configure(remote=remote, reads_any_picture=False)
    app = AppTest.from_function(script, default_timeout=LIMIT_S)
    at(app, q=f"~{photos / 'red.png'}")
    assert "is not in the library" in app.error[0].value
    hand_over(app, ("mine.png", jpeg_bytes("lime")))
    shared.configure()


@pytest.mark.long
def test_the_command_shows_a_servers_library(by_mini: Path, tmp_path: Path) -> None:
    tokens, given = tmp_path / "tokens.json", tmp_path / "given"
    given.write_text(add_token(tokens, "page", [Scope.READ, Scope.IMAGES]) + "\n")
    with serving(by_mini, "--token-file", str(tokens), log=tmp_path / "serve.log") as server:
        url = server.url.rstrip("/")
        refused = CliRunner().invoke(cli, ["ui", "--no-browser", "--server", url])
        assert refused.exit_code == 1 and "requires a token" in refused.stderr
        page = start_ui(
            tmp_path / "library",
            "--server", url, "--server-token-file", str(given),
            cache=tmp_path / "cache",
            log=tmp_path / "log",
        )  # fmt: skip
        try:
            digits = content_hash((by_mini.parent / "photos" / "red.png").read_bytes())
            assert _get(page.url, f"/thumbnail/{digits}").status == 200
            assert _get(page.url, "/").status == 200
        finally:
            assert page.stop() == 0
    assert not (tmp_path / "library").exists()


def test_what_will_not_do_is_told_before_anything_is_served() -> None:
    for options, said in (
        (["--server", "http://127.0.0.1:9"], "cannot be reached"),
        (["--server", "photos.example"], "http://photos.example:8600"),
        (["--server-token-file", "x"], "--server"),
    ):
        result = CliRunner().invoke(cli, ["ui", "--no-browser", *options])
        assert result.exit_code in (1, 2) and said in result.stderr and not result.stdout
