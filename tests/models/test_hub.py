"""Reachability of the hub within the timeout and with the user's settings, with real local servers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clipsearch.models import hub
from clipsearch.models.hub import hub_cache_dir, hub_reachable, is_cached, offline

VARIABLES = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
    "XDG_CACHE_HOME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    hub_reachable.cache_clear()
    yield
    hub_reachable.cache_clear()


class _Server(ThreadingHTTPServer):
    status = 200
    seen: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self.server.seen.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def address(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (401, True), (404, True), (500, False), (503, False)])
def test_a_hub_that_answers(server: _Server, status: int, reachable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    server.status = status
    monkeypatch.setenv("HF_ENDPOINT", address(server))
    assert hub_reachable() is reachable


def test_it_is_asked_once_per_process(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address(server))
    assert [hub_reachable(), hub_reachable()] == [True, True]
    assert len(server.seen) == 1


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_by_setting_asks_nobody(server: _Server, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address(server))
    monkeypatch.setenv(variable, "1")
    assert not hub_reachable()
    assert server.seen == []


def test_a_proxy_is_used(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("http_proxy", address(server))
    assert hub_reachable()
    assert server.seen == ["http://hub.invalid"] or server.seen == ["http://hub.invalid/"]


def test_a_refused_connection_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        started = time.monotonic()
        assert not hub_reachable(60)
        assert time.monotonic() - started < 30


def test_a_silent_hub_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert not hub_reachable(0.3)
        assert time.monotonic() - started < 30  # the server would be silent for ever


def test_slow_name_resolution_counts_against_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(hub, "_answers", lambda url, timeout_s: release.wait(120))
    started = time.monotonic()
    assert not hub_reachable(0.2)
    assert time.monotonic() - started < 60
    release.set()


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "ftp://127.0.0.1:1"])
def test_a_bad_endpoint_is_not_reachable(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert not hub_reachable()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b"}, "/b"),
        ({"HF_HOME": "/c"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_the_cache_is_that_of_huggingface_hub(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hub_cache_dir() == Path(expected)


def test_cached_files_are_found_in_any_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert not is_cached("org/name", ["weights.bin"])
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert not is_cached("org/name", ["weights.bin"])
    (snapshot / "weights.bin").touch()
    assert is_cached("org/name", ["weights.safetensors", "weights.bin"])


def test_offline_keeps_huggingface_hub_from_the_network(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    before = constants.HF_HUB_OFFLINE
    monkeypatch.setattr(constants, "ENDPOINT", address(server))
    with offline(), pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("somebody/no-such-model", "config.json")
    assert server.seen == []
    assert before == constants.HF_HUB_OFFLINE
