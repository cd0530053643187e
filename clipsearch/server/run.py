"""The server: a library opened for many, behind the application, until the process is told to end."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.models.loading import load_encoder
from clipsearch.server.app import create_app
from clipsearch.server.batching import EncoderHandle
from clipsearch.server.listening import in_url, is_loopback, listen
from clipsearch.server.metrics import Metrics
from clipsearch.server.request_log import JsonFormatter
from clipsearch.server.service import Service
from clipsearch.server.tokens import TOKENS_NAME, TokenFile
from clipsearch.system.malloc import use_few_arenas

if TYPE_CHECKING:
    from fastapi import FastAPI

    from clipsearch.config import LibraryPlace
    from clipsearch.media.uploads import UploadReader
    from clipsearch.models.encoder import Encoder
    from clipsearch.server.settings import ServeSettings

logger = logging.getLogger(__name__)

_END_LIMIT_S = 5
"""How long requests are waited for when the process is told to end."""

_KEEP_ALIVE_S = 75
"""Longer than load balancers keep connections that nothing comes over, so that they end them and not this server."""


def serve(
    place: LibraryPlace | None,
    settings: ServeSettings,
    *,
    token_file: Path | None,
    runtime: str,
    device: str,
    make_reader: Callable[[EncoderHandle], UploadReader],
    announce: Callable[[str], None],
) -> None:
    """Serve a library until the process is told to end, by Ctrl-C or a termination signal.

    Args:
        place: where the library is; ``None`` for the user's own.
        settings: how it is served.
        token_file: with the tokens; ``None`` for that of the library.
        runtime: as for `Library.open`.
        device: as for `Library.open`.
        make_reader: makes what decodes the pictures that clients bring, for the encoder in use.
        announce: given the server's address when it is there.

    Raises:
        LibraryError: there is no library, or its catalog is damaged.
        SchemaVersionError: a newer clipsearch wrote it.
        ConfigError: there is no token where one is needed, or the address or port cannot be used.
    """
    use_few_arenas()
    metrics = Metrics()
    encoder = EncoderHandle(observe=metrics.count_batch)

    def load(spec: str) -> Encoder:
        return encoder(load_encoder(spec, runtime=runtime, device=device, notify=logger.info))

    with (
        Library.open(place, load_encoder=load, notify=logger.info) as library,
        _ended_by_sigterm(),
    ):
        tokens = TokenFile(token_file if token_file is not None else library.path / TOKENS_NAME)
        check_tokens(settings.address, tokens)
        with listen(settings.address, settings.port, first=settings.port) as listening:
            service = Service(library, make_reader(encoder), settings.limits, metrics)
            app = create_app(service, tokens=tokens)
            announce(f"http://{in_url(settings.address)}:{listening.getsockname()[1]}/")
            with _logging_json():
                uvicorn.Server(_config(app)).run(sockets=[listening])


def check_tokens(address: str, tokens: TokenFile) -> None:
    """Refuse to be open to a network without tokens.

    Raises:
        ConfigError: there are none, and others than this machine can reach the address.
    """
    if not tokens.required and not is_loopback(address):
        raise ConfigError(
            f"{address} can be reached by others, who would see your pictures; make a token first with: clipsearch "
            "serve token add NAME, or leave out --address"
        )


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the number of whoever asks is that of the connection
        server_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_END_LIMIT_S,
    )


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """What a service manager sends ends the server as Ctrl-C does; it finishes what it is at in either case."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _logging_json() -> Iterator[None]:
    """Everything that is logged meanwhile is a line of JSON on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    chosen = {name: logging.getLogger(name) for name in ("clipsearch", "indexer", "uvicorn")}
    before = {name: (item.level, item.handlers[:], item.propagate) for name, item in chosen.items()}
    for item in chosen.values():
        item.handlers[:] = [handler]
        item.setLevel(min(item.level or logging.INFO, logging.INFO))
        item.propagate = False
    try:
        yield
    finally:
        for name, (level, handlers, propagate) in before.items():
            chosen[name].setLevel(level)
            chosen[name].handlers[:] = handlers
            chosen[name].propagate = propagate
