"""``clipsearch serve`` as it is run: a process with the bundled model, many clients, replicas, and its end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from clipsearch.library import Library
from clipsearch.server.tokens import Scope, add_token
from tests.conftest import COLOURS, save_photo
from tests.server.processes import Answer, Client, serving

CLIENTS = 50
REQUESTS = 3


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _visit(url: str, number: int) -> list[int]:
    """Search and look at what is found, by turns; the statuses of the answers."""
    statuses = []
    with closing(Client(url)) as client:
        for turn in range(REQUESTS):
            query = f"a {COLOURS[(number + turn) % len(COLOURS)]} wall {number % 7}"
            answer = client.get("/v1/search", query=query, k=3)
            statuses.append(answer.status)
            digits = answer.json["results"][0]["content_hash"]
            statuses.append(client.get(f"/v1/thumbnails/{digits}").status)
    return statuses


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="there is no termination signal to be sent to another process")
def test_fifty_clients_at_once_are_all_answered_and_what_is_under_way_is_finished(
    by_mini: Path, tmp_path: Path
) -> None:
    sent = save_photo(tmp_path / "sent.png", "orange", size=(64, 64)).read_bytes()
    with (
        serving(by_mini, "--rate-limit", "0", log=tmp_path / "log") as server,
        closing(Client(server.url)) as watching,
        closing(Client(server.url)) as asking,
    ):
        _wait(lambda: watching.get("/readyz").status == 200)
        with ThreadPoolExecutor(CLIENTS) as threads:
            visits = list(threads.map(lambda number: _visit(server.url, number), range(CLIENTS)))
        assert [status for statuses in visits for status in statuses] == [200] * (2 * CLIENTS * REQUESTS)
        metrics = watching.get("/metrics").content.decode()
        assert f'route="/v1/search",status="200"}} {CLIENTS * REQUESTS}.0' in metrics

        def decoding() -> bool:
            return 'clipsearch_pool_requests{pool="decodings"} 1.0' in watching.get("/metrics").content.decode()

        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(asking.send_picture, "/v1/similar", sent)
            _wait(decoding)
            assert server.stop() == 0
            answer: Answer = asked.result()
        assert answer.status == 200 and len(answer.json["results"]) == len(COLOURS)
        with pytest.raises(OSError), closing(Client(server.url)) as late:
            late.get("/healthz")
    requests = [line for line in server.lines if line["logger"] == "clipsearch.server.requests"]
    assert len([line for line in requests if line["path"] == "/v1/search"]) == CLIENTS * REQUESTS
    assert "wall" not in server.log.read_text()
    assert not [line for line in server.lines if line["level"] not in ("info", "debug")]


@pytest.mark.long
def test_replicas_serve_one_library_and_see_it_grow(by_mini: Path, tmp_path: Path) -> None:
    library = Path(shutil.copytree(by_mini, tmp_path / "library"))
    token = add_token(tmp_path / "tokens.json", "both", [Scope.READ])
    options = ("--token-file", str(tmp_path / "tokens.json"))
    with (
        serving(library, *options, log=tmp_path / "first") as first,
        serving(library, *options, log=tmp_path / "second") as second,
        ExitStack() as open_,
    ):
        clients = [open_.enter_context(closing(Client(server.url, token=token))) for server in (first, second)]
        strangers = [open_.enter_context(closing(Client(server.url))) for server in (first, second)]
        for query in ("a red wall", "green -red", "ext:png", "size:<1MP a black wall"):
            answers = [client.get("/v1/search", query=query) for client in clients]
            assert [answer.status for answer in answers] == [200, 200]
            assert answers[0].json == answers[1].json
        assert [client.get("/v1/status").status for client in strangers] == [401, 401]
        with Library.open(library) as writer:
            save_photo(tmp_path / "more" / "orange.png", "orange")
            writer.index(tmp_path / "more")
        for client in clients:
            found = client.get("/v1/search", query="path:orange*").json["results"]
            assert [Path(result["path"]).name for result in found] == ["orange.png"]
            assert len(client.get("/v1/search", query="an orange wall", k=20).json["results"]) == len(COLOURS) + 1
        assert [first.stop(), second.stop(signal.SIGINT)] == [0, 0]
