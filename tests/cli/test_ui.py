"""``clipsearch ui``: what it refuses, what it prints, and how it ends."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from clipsearch.cli import cli
from tests.ui_process import start_ui

TOKEN = "correct-horse-battery-staple"


def _refused(tmp_path: Path, *options: str, **environment: str) -> str:
    """The one line with which a start is refused."""
    result = CliRunner().invoke(cli, ["--library", str(tmp_path / "library"), "ui", *options], env=environment)
    assert result.exit_code == 1 and not result.stdout
    (line,) = result.stderr.splitlines()
    assert not list(tmp_path.glob("library*"))
    return line


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.20", "photos.example"])
def test_others_are_not_let_in_without_a_token(tmp_path: Path, address: str) -> None:
    line = _refused(tmp_path, "--address", address, CLIPSEARCH_UI_TOKEN="")
    assert address in line and "--token-file" in line


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("", "is empty"),
        ("\n" + TOKEN, "is empty"),
        ("secret\n", "too short"),
        (b"\xff", "text"),
    ],
)
def test_a_token_file_that_will_not_do_is_told(tmp_path: Path, content: str | bytes | None, reason: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert reason in _refused(tmp_path, "--token-file", str(file))


def test_a_taken_port_that_was_named_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in _refused(tmp_path, "--port", str(port))


def _get(url: str, path: str, **headers: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_it_serves_this_machine_and_ends_in_order(tmp_path: Path) -> None:
    server = start_ui(tmp_path / "library", cache=tmp_path / "cache", log=tmp_path / "log")
    try:
        page = _get(server.url, "/")
        assert page.status == 200 and "default-src 'self'" in (page.headers["content-security-policy"] or "")
        assert _get(server.url, "/_stcore/health").status == 200
        assert _get(server.url, "/_stcore/stream", **WEBSOCKET).status == 101
        assert _get(server.url, "/_stcore/stream", Origin="http://evil.example", **WEBSOCKET).status == 403
        assert _get(server.url, "/", Host="evil.example").status == 403
        for asked in ("../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "0" * 32):
            assert _get(server.url, f"/thumbnail/{asked}").status in (400, 404)
        for address in socket.gethostbyname_ex(socket.gethostname())[2]:
            if not address.startswith("127."):
                with pytest.raises(OSError):
                    socket.create_connection((address, urlsplit(server.url).port or 0), timeout=5).close()
    finally:
        assert server.stop() == 0
    assert (tmp_path / "log").read_text().splitlines() == ["stop with Ctrl-C", "stopped"]
    assert not (tmp_path / "library").exists(), "looking makes nothing"


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is not a signal that can be sent to another process there")
def test_ctrl_c_ends_it_and_the_token_is_asked_for_everywhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nanother line\n")
    options = ("--token-file", str(tmp_path / "token"))
    server = start_ui(tmp_path / "library", *options, cache=tmp_path / "cache", log=tmp_path / "log")
    try:
        for path in ("/", "/_stcore/health", "/static/nothing", "/thumbnail/x", f"/?token={TOKEN}x"):
            assert _get(server.url, path).status == 401
        assert _get(server.url, "/_stcore/stream", **WEBSOCKET).status == 403
        cookie = (_get(server.url, f"/?token={TOKEN}").headers["set-cookie"] or "").split(";")[0]
        assert _get(server.url, "/", Cookie=cookie).status == 200
        assert _get(server.url, "/_stcore/stream", Cookie=cookie, **WEBSOCKET).status == 101
    finally:
        assert server.stop(signal.SIGINT) == 0
    assert TOKEN not in (tmp_path / "log").read_text()
