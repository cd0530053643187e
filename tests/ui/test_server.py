"""The server of the page over real HTTP: pictures by content hash, and who is kept out."""

from __future__ import annotations

import http.client
import io
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from clipsearch.browse.display_images import VIEW_SIDE
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_path
from clipsearch.server.listening import is_loopback, listen
from tests.conftest import ColourEncoder, save_photo
from ui import shared
from ui.pictures import picture_routes
from ui.security import TOKEN_COOKIE
from ui.server import (
    _SCRIPT,
    DEFAULT_PORT,
    ServerSettings,
    check_token,
    keep_script_folder,
    security,
    streamlit_options,
)

TOKEN = "correct horse battery staple"
MAKE, ORIENTATION, GPS = 0x010F, 0x0112, 0x8825


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def image(self) -> Image.Image:
        return Image.open(io.BytesIO(self.content))


class Client:
    """Sends paths as they are, which polite clients would tidy up."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def open_websocket(self, path: str = "/_stcore/stream", **headers: str) -> int:
        handshake = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        return self.get(path, **handshake, **headers).status


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the page")


async def _stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@contextmanager
def running(settings: ServerSettings) -> Iterator[Client]:
    """The routes and what guards them, without Streamlit, whose place a page and a websocket take."""
    routes = [
        *picture_routes(),
        Route("/", _page, methods=["GET", "POST"]),
        WebSocketRoute("/_stcore/stream", _stream),
    ]
    app = Starlette(routes=routes, middleware=security(settings))
    opened = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio")
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, args=([opened],))
    thread.start()
    try:
        while not served.started:
            time.sleep(0.01)
        yield Client(opened.getsockname()[1])
    finally:
        served.should_exit = True
        thread.join()
        opened.close()


@pytest.fixture
def client(tmp_path: Path, encoder: ColourEncoder) -> Iterator[Client]:
    shared.configure(tmp_path / "library", encoder=encoder)  # type: ignore[arg-type]
    with running(ServerSettings()) as client:
        yield client
    shared.configure()


@pytest.fixture
def locked() -> Iterator[Client]:
    with running(ServerSettings(address="0.0.0.0", token=TOKEN)) as client:
        yield client


@pytest.fixture
def telling(tmp_path: Path, library: Library) -> tuple[Path, str]:
    """A large picture of the library that says where it was taken and stands on its side; and its content hash."""
    path = tmp_path / "pictures" / "telling.jpg"
    path.parent.mkdir()
    pixels = np.random.default_rng(5).integers(0, 255, size=(300, 500, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Secret Camera", 6
    exif[GPS] = {1: "N", 2: (35.0, 18.0, 0.0), 3: "E", 4: (25.0, 6.0, 0.0)}
    Image.fromarray(pixels).resize((2500, 1500)).save(path, exif=exif, comment=b"secret comment")
    library.index(path.parent)
    return path, content_hash(path.read_bytes())


# --- pictures -----------------------------------------------------------------------------------------


def test_a_preview_is_small_upright_and_says_nothing_of_the_file(client: Client, telling: tuple[Path, str]) -> None:
    answer = client.get(f"/thumbnail/{telling[1]}")
    assert answer.status == 200 and answer.headers["content-type"] == "image/jpeg"
    assert answer.image.size == (round(THUMBNAIL_SIDE * 3 / 5), THUMBNAIL_SIDE)
    assert not answer.image.getexif() and b"ecret" not in answer.content
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]


def test_a_missing_preview_is_made_and_kept(client: Client, library: Library, telling: tuple[Path, str]) -> None:
    kept = thumbnail_path(library.path, telling[1])
    kept.unlink()
    answer = client.get(f"/thumbnail/{telling[1]}")
    assert answer.status == 200 and max(answer.image.size) == THUMBNAIL_SIDE
    assert kept.read_bytes() == answer.content


def test_a_picture_is_large_upright_and_says_nothing_of_the_file(client: Client, telling: tuple[Path, str]) -> None:
    answer = client.get(f"/picture/{telling[1]}")
    assert answer.status == 200 and answer.headers["content-type"] == "image/jpeg"
    assert answer.image.size == (round(VIEW_SIDE * 3 / 5), VIEW_SIDE)
    assert not answer.image.getexif() and b"ecret" not in answer.content
    assert "immutable" in answer.headers["cache-control"]


def test_a_small_picture_is_not_enlarged(client: Client, library: Library, tmp_path: Path) -> None:
    path = save_photo(tmp_path / "small" / "red.png", "red", size=(48, 32))
    library.index(path.parent)
    assert client.get(f"/picture/{content_hash(path.read_bytes())}").image.size == (48, 32)


def test_without_its_drive_the_preview_stands_in_for_a_while(client: Client, telling: tuple[Path, str]) -> None:
    shutil.move(telling[0].parent, telling[0].parent.with_name("away"))
    answer = client.get(f"/picture/{telling[1]}")
    assert answer.status == 200 and max(answer.image.size) == THUMBNAIL_SIDE
    assert "immutable" not in answer.headers["cache-control"]


def test_a_file_that_holds_something_else_by_now_is_not_shown(client: Client, telling: tuple[Path, str]) -> None:
    save_photo(telling[0], "green", size=(600, 400))
    answer = client.get(f"/picture/{telling[1]}")
    assert answer.status == 200 and max(answer.image.size) == THUMBNAIL_SIDE


def test_neither_file_nor_preview_is_told(client: Client, library: Library, telling: tuple[Path, str]) -> None:
    thumbnail_path(library.path, telling[1]).unlink()
    telling[0].unlink()
    for route in ("thumbnail", "picture"):
        answer = client.get(f"/{route}/{telling[1]}")
        assert answer.status == 404 and str(telling[0]).encode() not in answer.content


def test_what_the_library_has_forgotten_is_not_served(
    client: Client, library: Library, telling: tuple[Path, str]
) -> None:
    library.maintenance.forget(telling[0])
    assert thumbnail_path(library.path, telling[1]).exists()
    assert client.get(f"/thumbnail/{telling[1]}").status == 404
    assert client.get(f"/picture/{telling[1]}").status == 404


HOSTILE = (
    "../../etc/passwd",
    "../../../../../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "%252e%252e%252fetc%252fpasswd",
    "//etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "catalog.sqlite3",
    "",
    "0" * 31,
    "0" * 32,
    "0" * 33,
    "0" * 31 + "g",
    "0" * 32 + "%00",
    "0" * 32 + "%0a",
    "0" * 32 + ".jpg",
    "A" * 32,
    "%d9%a0" * 32,
    "x" * 5000,
)


def test_anything_but_a_known_hash_is_not_found(client: Client, indexed: Library) -> None:
    for route in ("thumbnail", "picture"):
        for asked in HOSTILE:
            answer = client.get(f"/{route}/{asked}")
            assert answer.status == 404, asked
            assert b"root:" not in answer.content


def test_the_hash_of_a_picture_is_taken_as_it_is(client: Client, indexed: Library) -> None:
    digits = indexed.search("red", k=1)[0].content_hash
    assert client.get(f"/thumbnail/{digits}").status == 200
    for wrong in (digits[:12], digits + "/", f"../thumbnail/{digits}", f"{digits}/../{digits}", digits.upper() + "x"):
        assert client.get(f"/thumbnail/{wrong}").status == 404


def test_many_at_once_are_all_answered(client: Client, indexed: Library) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda found=found: statuses.append(client.get(f"/picture/{found}").status))
        for found in [result.content_hash for result in indexed.search("red", k=6)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6


# --- who is kept out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:1", "[::1]:8501"])
def test_this_machine_is_let_in_by_its_own_names(client: Client, host: str) -> None:
    assert client.get("/", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8501", "", "[::1"])
def test_another_name_for_this_machine_is_refused(client: Client, host: str) -> None:
    assert client.get("/", Host=host).status == 403
    assert client.open_websocket(Host=host) == 403


def test_other_sites_may_not_write_nor_listen(client: Client) -> None:
    own = f"127.0.0.1:{client.port}"
    assert client.open_websocket(Host=own, Origin=f"http://{own}") == 101
    assert client.open_websocket(Host=own, Origin="http://evil.example") == 403
    assert client.open_websocket(Host=own, Origin="null") == 403
    assert client.get("/", method="POST", Host=own, Origin="http://evil.example").status == 403
    assert client.get("/", method="POST", Host=own, Origin="http://[::1").status == 403
    assert client.get("/", method="POST", Host=own, Origin=f"http://{own}").status == 200


def test_browsers_are_told_to_load_nothing_from_elsewhere(client: Client) -> None:
    for path in ("/", "/thumbnail/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "http:" not in policy and "https:" not in policy and "*" not in policy and "unsafe-eval'" in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_without_the_token_there_is_nothing(locked: Client) -> None:
    wrong = ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper())
    for path in ("/", "/thumbnail/x", "/nothing"):
        assert locked.get(path).status == 401
        for token in wrong:
            assert locked.get(f"{path}?token={token.replace(' ', '+')}").status == 401
            assert locked.get(path, Cookie=f"{TOKEN_COOKIE}={token}").status == 401
    assert locked.open_websocket() == 403
    assert locked.open_websocket(path=f"/_stcore/stream?token={TOKEN.replace(' ', '+')}") == 403


def test_the_token_opens_once_and_then_the_cookie_does(locked: Client) -> None:
    answer = locked.get(f"/?q=a+cat&token={TOKEN.replace(' ', '+')}&sort=date")
    assert answer.status == 303 and answer.headers["location"] == "/?q=a+cat&sort=date"
    cookie, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
    assert {"httponly", "samesite=lax"} <= {flag.lower() for flag in flags}
    assert TOKEN not in cookie and "correct" not in cookie
    assert locked.get("/", Cookie=cookie).status == 200
    assert locked.open_websocket(Cookie=cookie) == 101
    assert locked.open_websocket(Cookie=cookie, Host="photos.example", Origin="http://evil.example") == 403
    assert locked.get("/", Cookie=cookie, Host="photos.example").status == 200


def test_the_way_in_leads_nowhere_else(locked: Client) -> None:
    for path in ("//evil.example/", "/%5cevil.example/", "/%2fevil.example/"):
        answer = locked.get(f"{path}?token={TOKEN.replace(' ', '+')}")
        assert answer.headers["location"].startswith("/evil.example")


# --- how it is set up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.20", False),
        ("photos.example", False),
    ],
)
def test_only_this_machines_own_addresses_need_no_token(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
    if expected:
        check_token(ServerSettings(address=address))
    else:
        with pytest.raises(ConfigError, match="access token"):
            check_token(ServerSettings(address=address))
        check_token(ServerSettings(address=address, token=TOKEN))


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="too short"):
        check_token(ServerSettings(token="secret"))


def test_a_taken_port_is_passed_over_unless_it_was_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with listen("127.0.0.1", None, first=port) as found:
            assert found.getsockname()[1] > port
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            listen("127.0.0.1", port, first=DEFAULT_PORT)


def test_two_that_start_at_once_get_different_ports() -> None:
    with (
        listen("127.0.0.1", None, first=DEFAULT_PORT) as first,
        listen("127.0.0.1", None, first=DEFAULT_PORT) as second,
    ):
        assert first.getsockname()[1] != second.getsockname()[1]


@pytest.mark.parametrize("address", ["192.0.2.1", "photos.invalid"])
def test_an_address_of_another_machine_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match=f"{address} is not an address of this machine"):
        listen(address, None, first=DEFAULT_PORT)


def test_streamlit_reports_nothing_and_watches_nothing() -> None:
    from streamlit import config

    options = streamlit_options("127.0.0.1", 8501)
    assert options["browser.gatherUsageStats"] is False and options["server.fileWatcherType"] == "none"
    assert options["server.address"] == "127.0.0.1" and 0 < options["server.maxUploadSize"] <= 100
    config.get_config_options()
    assert set(options) <= set(config._config_options_template)


def test_runs_of_the_script_leave_the_folders_of_modules_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.runtime.scriptrunner.exec_code import modified_sys_path

    monkeypatch.setattr(sys, "path", list(sys.path))
    keep_script_folder()
    before = list(sys.path)
    with modified_sys_path(_SCRIPT):
        assert sys.path == before
    assert sys.path == before
