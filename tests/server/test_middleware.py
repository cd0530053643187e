"""Authentication, rate, size and time limits, and error responses."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from clipsearch.errors import LibraryError
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from clipsearch.server.middleware import RateLimiter
from clipsearch.server.settings import Limits
from tests.conftest import ColourEncoder
from tests.server.conftest import ORIGIN, Served

ROUTES = (
    "/v1/search?query=red",
    "/v1/status",
    "/v1/saved",
    f"/v1/pictures/{'0' * 32}",
    f"/v1/pictures/{'0' * 32}/similar",
    f"/v1/thumbnails/{'0' * 32}",
    f"/v1/images/{'0' * 32}",
    f"/v1/originals/{'0' * 32}",
    "/metrics",
    "/nothing",
    "/v1/",
)


def test_without_a_token_or_with_a_wrong_one_there_is_nothing(
    serve: Callable[..., Served], tokens: dict[str, str], token_path: Path
) -> None:
    served = serve(limits=Limits(requests_per_s=0))
    hash_of_one = token_path.read_text().partition('"sha256": "')[2][:64]
    wrong = ("", "x", tokens["read"][:-1], tokens["read"] + "x", tokens["read"].upper(), hash_of_one)
    for route in ROUTES:
        answer = served.client().get(route)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer"), route
        assert answer.headers["content-type"] == "application/problem+json"
        for token in wrong:
            headers = {"authorization": f"Bearer {token}"}
            assert served.client().get(route, headers=headers).status_code == 401, route
        assert served.client().get(f"{route}{'&' if '?' in route else '?'}token={tokens['all']}").status_code == 401
    for scheme in ("Basic", "bearer2", ""):
        headers = {"authorization": f"{scheme} {tokens['all']}"}
        assert served.client().get("/v1/status", headers=headers).status_code == 401
    assert served.client(tokens["all"]).get("/nothing").status_code == 404


def test_a_token_opens_its_scopes_and_nothing_else(serve: Callable[..., Served], tokens: dict[str, str]) -> None:
    served = serve()
    opens = {
        "/v1/search?query=red": "read",
        "/v1/status": "read",
        "/v1/saved": "read",
        f"/v1/pictures/{'0' * 32}": "read",
        f"/v1/thumbnails/{'0' * 32}": "read",
        f"/v1/images/{'0' * 32}": "images",
        f"/v1/originals/{'0' * 32}": "originals",
        "/metrics": "metrics",
    }
    for route, scope in opens.items():
        for name in ("read", "images", "originals", "metrics"):
            answer = served.client(tokens[name]).get(route)
            assert (answer.status_code == 403) is (name != scope), (route, name)
        assert served.client(tokens["all"]).get(route).status_code in (200, 404)


def test_nothing_is_taken_from_who_has_no_token(serve: Callable[..., Served], tokens: dict[str, str]) -> None:
    async def take() -> dict[str, object]:
        raise AssertionError("the body is read")

    assert _status_of(serve(), "/v1/similar", take) == 401 and tokens


def test_everybody_may_ask_whether_the_server_is_there(serve: Callable[..., Served], tokens: dict[str, str]) -> None:
    client = serve().client()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["ready"] is True
    assert client.get("/openapi.json").status_code == 200 and tokens
    for path in ("/docs", "/redoc", "/"):
        assert client.get(path).status_code == 401


def test_other_sites_are_kept_out_where_there_are_no_tokens(client: TestClient) -> None:
    assert client.get("/v1/saved").status_code == 200
    assert client.get("/v1/saved", headers={"host": "localhost:8600"}).status_code == 200
    assert client.get("/v1/saved", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/v1/saved", headers={"authorization": "Bearer x"}).status_code == 401
    asked = {"query": "red"}
    assert client.post("/v1/search", json=asked, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/v1/search", json=asked, headers={"origin": "null"}).status_code == 403
    assert client.post("/v1/search", json=asked, headers={"origin": ORIGIN}).status_code == 200


def test_with_tokens_any_name_will_do(serve: Callable[..., Served], tokens: dict[str, str]) -> None:
    """A proxy on this machine passes the name on that it is known by."""
    assert serve().client(tokens["read"]).get("/v1/saved", headers={"host": "photos.example"}).status_code == 200


# --- how much -----------------------------------------------------------------------------------------


def test_a_bucket_fills_again() -> None:
    now = 0.0
    rates = RateLimiter(2.0, clock=lambda: now)
    assert [rates.wait_s("a") for _ in range(10)] == [0.0] * 10, "as much as in five seconds at once"
    assert rates.wait_s("a") == pytest.approx(0.5) and rates.wait_s("b") == 0.0
    now = 0.5
    assert rates.wait_s("a") == 0.0 and rates.wait_s("a") == pytest.approx(0.5)
    now = 1e6
    assert [rates.wait_s("a") for _ in range(11)].count(0.0) == 10, "and no more than that, ever"


def test_without_a_rate_there_is_no_limit() -> None:
    rates = RateLimiter(0.0)
    assert {rates.wait_s("a") for _ in range(1000)} == {0.0}


def test_clients_that_ask_too_often_wait_each_for_itself(serve: Callable[..., Served], tokens: dict[str, str]) -> None:
    served = serve(limits=Limits(requests_per_s=0.001))
    first, second = served.client(tokens["read"]), served.client(tokens["all"])
    assert first.get("/v1/saved").status_code == 200
    refused = first.get("/v1/saved")
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert second.get("/v1/saved").status_code == 200
    assert served.client().get("/v1/saved").status_code == 401
    assert served.client().get("/v1/saved").status_code == 429, "who guesses tokens waits too"
    assert [served.client().get("/healthz").status_code for _ in range(5)] == [200] * 5


def test_what_is_too_large_is_refused_before_it_is_read(serve: Callable[..., Served]) -> None:
    with serve(limits=Limits(upload_mib=1)).client() as client:
        large = b"x" * (2 * 2**20)
        assert client.post("/v1/similar", files={"image": ("x.png", large)}).status_code == 413
        assert client.post("/v1/search", json={"query": "x" * 70_000}).status_code == 413
        for length in ("9" * 12, "9" * 5000):
            announced = client.post("/v1/search", content=b"{}", headers={"content-length": length})
            assert announced.status_code == 413

        def without_length() -> Iterator[bytes]:
            yield from (b"x" * 2**16 for _ in range(40))

        answer = client.post(
            "/v1/similar", content=without_length(), headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert answer.status_code in (400, 413)
        answer = client.post("/v1/search", content=without_length(), headers={"content-type": "application/json"})
        assert answer.status_code == 413 and answer.headers["content-type"] == "application/problem+json"


# --- how long -----------------------------------------------------------------------------------------


class GatedEncoder(ColourEncoder):
    """Embeds nothing before the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.asked = threading.Semaphore(0)

    def encode_texts(self, texts: object) -> FloatMatrix:
        self.asked.release()
        assert self.gate.wait(30)
        return super().encode_texts(texts)  # type: ignore[arg-type]


@pytest.fixture
def gated(indexed: Library, open_library: Callable[..., Library]) -> Iterator[tuple[Library, GatedEncoder]]:
    """The library of coloured photos once more, by an encoder that takes as long as it likes."""
    encoder = GatedEncoder()
    yield open_library(indexed.path, create=False, encoder=encoder), encoder
    encoder.gate.set()


@pytest.mark.long
def test_what_takes_too_long_is_ended(serve: Callable[..., Served], gated: tuple[Library, GatedEncoder]) -> None:
    library, encoder = gated
    served = serve(library, Limits(time_limit_s=1.0))
    with served.client() as client:
        answer = client.get("/v1/search", params={"query": "red"})
        assert answer.status_code == 504 and "1 seconds" in answer.json()["detail"]
        assert served.service.searches.requests == 1, "what has begun keeps its place"
        encoder.gate.set()


def test_a_body_that_does_not_come_is_not_waited_for(serve: Callable[..., Served]) -> None:
    async def never() -> dict[str, object]:
        await asyncio.sleep(30)
        raise AssertionError("waited for")

    assert _status_of(serve(limits=Limits(time_limit_s=0.1)), "/v1/search", never) == 408


def _status_of(served: Served, path: str, receive: Callable[[], Awaitable[dict[str, object]]]) -> object:
    """How a POST is answered whose body comes as it likes."""
    answers: list[dict[str, object]] = []

    async def keep(message: dict[str, object]) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8600),
    }
    asyncio.run(served.app(scope, receive, keep))  # type: ignore[arg-type]
    return answers[0]["status"]


def test_when_too_much_is_waiting_the_rest_is_sent_away(
    serve: Callable[..., Served], gated: tuple[Library, GatedEncoder]
) -> None:
    library, encoder = gated
    served = serve(library, Limits(searches_at_once=1, waiting=1))
    with served.client() as client, ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(client.get, "/v1/search?query=red&k=1") for _ in range(2)]
        assert encoder.asked.acquire(timeout=20)
        while served.service.searches.requests < 2:
            pass
        refused = client.get("/v1/search", params={"query": "green"})
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
        assert client.get("/v1/saved").status_code == 200, "other work goes on"
        encoder.gate.set()
        assert [future.result().status_code for future in waiting] == [200, 200]
        assert client.get("/v1/search", params={"query": "green"}).status_code == 200


# --- log and errors -----------------------------------------------------------------------------------


def test_a_line_for_each_request_without_what_was_looked_for(
    serve: Callable[..., Served], tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    client = serve().client(tokens["read"])
    with caplog.at_level(logging.INFO, "clipsearch.server"):
        answer = client.get("/v1/search", params={"query": "red"}, headers={"x-request-id": "mine.1"})
        client.post("/v1/search", json={"query": "red"}, headers={"x-request-id": "not \n mine"})
    first, second = (record.fields for record in caplog.records if hasattr(record, "fields"))
    assert answer.headers["x-request-id"] == first["id"] == "mine.1" and "\n" not in second["id"]
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v1/search", 200)
    assert (first["token"], first["bytes"]) == ("the read one", len(answer.content)) and first["ms"] > 0
    lines = [str(record.__dict__) for record in caplog.records]
    assert not [line for line in lines if "query=" in line or "'red'" in line or tokens["read"] in line]


def test_the_librarys_own_troubles_are_logged_and_not_told(
    client: TestClient, indexed: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LibraryError(f"{indexed.path} cannot be read")

    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(indexed.saved, "all", fail)
    answer = client.get("/v1/saved")
    assert answer.status_code == 503 and str(indexed.path) not in answer.text
    assert str(indexed.path) in caplog.text
    monkeypatch.setattr(indexed.saved, "all", break_down)
    answer = client.get("/v1/saved")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" in caplog.text and "Traceback" in caplog.text
