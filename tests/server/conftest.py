"""A library of coloured photos served to clients of the tests, with the encoder that many share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from clipsearch.library import Library
from clipsearch.server.app import create_app
from clipsearch.server.batching import EncoderHandle
from clipsearch.server.client.connection import ServerConnection
from clipsearch.server.client.library import RemoteLibrary
from clipsearch.server.metrics import Metrics
from clipsearch.server.service import Service
from clipsearch.server.settings import Limits
from clipsearch.server.tokens import Scope, TokenFile, add_token
from indexer.uploads import GuardedReader
from tests.conftest import COLOURS, ColourEncoder, save_photo

ORIGIN = "http://127.0.0.1:8600"
"""What this machine's own clients call the server."""


@pytest.fixture
def in_use() -> EncoderHandle:
    return EncoderHandle()


@pytest.fixture
def encoder(in_use: EncoderHandle) -> object:
    """The colour encoder as a server has it; takes the place of the plain one in all fixtures of libraries."""
    return in_use(ColourEncoder())  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def by_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of six coloured photos by the bundled model, for processes of their own; not to be changed."""
    folder = tmp_path_factory.mktemp("by-mini")
    for colour in COLOURS:
        save_photo(folder / "photos" / f"{colour}.png", colour, size=(300, 200))
    with Library.open(folder / "library", create=True, model="mini") as library:
        library.index(folder / "photos")
    return folder / "library"


@pytest.fixture
def token_path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@dataclass
class Served:
    """An application and what it is made of."""

    app: FastAPI
    service: Service

    def client(self, token: str | None = None) -> TestClient:
        """Who asks, by which token."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return TestClient(self.app, base_url=ORIGIN, headers=headers, raise_server_exceptions=False)


@pytest.fixture
def serve(indexed: Library, in_use: EncoderHandle, token_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes the application over the library of coloured photos, within limits; with the tokens there are by then."""
    services = []

    def serve_(library: Library = indexed, limits: Limits | None = None) -> Served:
        reader = GuardedReader(in_use.transform, time_limit_s=20)
        service = Service(library, reader, limits or Limits(), Metrics())
        services.append(service)
        return Served(create_app(service, tokens=TokenFile(token_path)), service)

    yield serve_
    for service in services:
        service.close()


@pytest.fixture
def client(serve: Callable[..., Served]) -> Iterator[TestClient]:
    """A client on this machine, of a server without tokens."""
    with serve().client() as client:
        yield client


@pytest.fixture
def tokens(token_path: Path) -> dict[str, str]:
    """A token for each scope, by its name, and one for all of them."""
    made = {scope.value: add_token(token_path, f"the {scope.value} one", [scope]) for scope in Scope}
    return {**made, "all": add_token(token_path, "everything", list(Scope))}


@contextmanager
def over_http(app: FastAPI) -> Iterator[str]:
    """An application on a port of this machine; its address."""
    opened = socket.create_server(("127.0.0.1", 0))
    served = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
    thread = threading.Thread(target=served.run, args=([opened],))
    thread.start()
    try:
        while not served.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        served.should_exit = True
        thread.join()
        opened.close()


@pytest.fixture
def remote(serve: Callable[..., Served]) -> Iterator[RemoteLibrary]:
    """The library of coloured photos as another machine sees it, over HTTP."""
    with over_http(serve().app) as url:
        library = RemoteLibrary(ServerConnection(url))
        yield library
        library.close()
