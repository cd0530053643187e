"""What those who run the server ask: is it there, is it ready, what does it hold, how is it doing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from clipsearch.errors import LibraryError, ModelError
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from clipsearch.server import readiness
from clipsearch.server.readiness import ReadinessProbe
from clipsearch.server.request_log import JsonFormatter
from clipsearch.server.worker_pool import QueueFullError, WorkerPool
from tests.conftest import ColourEncoder
from tests.server.conftest import Served


def test_the_status_is_that_of_the_library(client: TestClient, indexed: Library) -> None:
    answer, status = client.get("/v1/status").json(), indexed.status()
    assert (answer["files"], answer["pictures"], answer["failures"]) == (status.files, status.images, status.failures)
    assert (answer["model"], answer["dim"], answer["revision"]) == (status.model, status.dim, indexed.revision())
    assert answer["folders"] == [{"path": str(status.roots[0].path), "files": 6, "online": True}]


def _metrics(client: TestClient) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(value for name, value in sample.labels.items() if name != "le"))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_happens(client: TestClient, indexed: Library) -> None:
    client.get("/v1/search", params={"query": "red"})
    client.get("/v1/search", params={"query": "green"})
    client.get("/v1/search", params={"query": "camra:x"})
    client.get("/v1/thumbnails/nothing")
    client.get("/nothing/at/all")
    metrics = _metrics(client)
    assert metrics["clipsearch_requests_total", ("/v1/search", "200", "GET")] == 2
    assert metrics["clipsearch_requests_total", ("/v1/search", "422", "GET")] == 1
    assert metrics["clipsearch_requests_total", ("/v1/thumbnails/{content_hash}", "422", "GET")] == 1
    assert metrics["clipsearch_requests_total", ("404", "GET", "none")] == 1
    assert metrics["clipsearch_request_seconds_count", ("/v1/search", "200")] == 2
    assert metrics["clipsearch_library_files", ()] == 6
    assert metrics["clipsearch_library_revision", ()] == indexed.revision()
    assert metrics["clipsearch_pool_requests", ("searches",)] == 0
    assert metrics["clipsearch_pool_requests", ("pictures",)] == 1, "this very question"


def test_batches_are_counted(serve: Callable[..., Served]) -> None:
    served = serve()
    served.service.metrics.count_batch(3)
    assert _metrics(served.client())["clipsearch_batch_texts_sum", ()] == 3


# --- readiness ----------------------------------------------------------------------------------------


def test_a_server_is_ready_when_it_has_searched(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"catalog": "ok", "model": "ok", "index": "ok"}}


def test_an_empty_library_is_not_ready(
    serve: Callable[..., Served], open_library: Callable[..., Library], tmp_path: Path
) -> None:
    empty = open_library(tmp_path / "empty")
    answer = serve(empty).client().get("/readyz")
    assert answer.status_code == 503 and answer.json()["checks"]["index"] == "no pictures yet"
    assert serve(empty).client().get("/healthz").status_code == 200


@pytest.mark.parametrize(("error", "part"), [(ModelError("x"), "model"), (LibraryError("y"), "catalog")])
def test_what_is_wrong_is_told_by_its_part(
    indexed: Library, monkeypatch: pytest.MonkeyPatch, error: Exception, part: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(indexed, "search", fail)
    probe = ReadinessProbe(indexed)
    found = asyncio.run(probe.check())
    assert not found.ready and [name for name, word in found.checks.items() if word != "ok"] == [part]
    probe.close()


class StuckEncoder(ColourEncoder):
    """Embeds nothing before the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def encode_texts(self, texts: object) -> FloatMatrix:
        assert self.gate.wait(30)
        return super().encode_texts(texts)  # type: ignore[arg-type]


def test_a_start_that_takes_its_time_is_not_waited_for(
    indexed: Library, open_library: Callable[..., Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_WAIT_S", 0.05)
    stuck, now = StuckEncoder(), [0.0]
    probe = ReadinessProbe(open_library(indexed.path, create=False, encoder=stuck), clock=lambda: now[0])

    async def until_ready() -> None:
        while not (await probe.check()).ready:
            pass

    async def story() -> None:
        first = await probe.check()
        assert not first.ready and set(first.checks.values()) == {"starting"}
        stuck.gate.set()
        await until_ready()
        stuck.gate.clear()
        now[0] += 10
        assert (await probe.check()).ready, "what was found before holds for a while"
        now[0] += 60
        assert not (await probe.check()).ready, "and not for ever"
        stuck.gate.set()
        await until_ready()

    asyncio.run(asyncio.wait_for(story(), 60))
    probe.close()


# --- worker pools ------------------------------------------------------------------------------------------


def test_a_pool_is_full_when_it_is_and_empty_again_afterwards() -> None:
    gate = threading.Event()
    pool = WorkerPool("test", threads=1, waiting=1)

    async def story() -> None:
        first = asyncio.create_task(pool.run(gate.wait))
        second = asyncio.create_task(pool.run(lambda: 2))
        await asyncio.sleep(0)
        assert pool.requests == 2
        with pytest.raises(QueueFullError):
            await pool.run(lambda: 3)
        gate.set()
        assert await first is True and await second == 2
        assert await pool.run(lambda: 4) == 4
        await asyncio.sleep(0)
        assert pool.requests == 0

    asyncio.run(story())
    pool.close()


def test_what_nobody_waits_for_is_not_begun() -> None:
    gate, begun = threading.Event(), []
    pool = WorkerPool("test", threads=1, waiting=2)

    async def story() -> None:
        first = asyncio.create_task(pool.run(gate.wait))
        second = asyncio.create_task(pool.run(lambda: begun.append(1)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert pool.requests == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert pool.requests == 1, "what has begun cannot be broken off"
        gate.set()
        assert await pool.run(lambda: 3) == 3 and not begun

    asyncio.run(story())
    pool.close()


# --- the log ------------------------------------------------------------------------------------------


def test_a_line_of_the_log_is_one_line_of_json() -> None:
    record = logging.LogRecord("clipsearch.x", logging.INFO, "", 0, "a %s", ("line\nor two é",), None)
    record.fields = {"status": 200}
    line = JsonFormatter().format(record)
    assert line.isascii() and "\n" not in line
    content = json.loads(line)
    assert (content["message"], content["status"], content["level"]) == ("a line\nor two é", 200, "info")
