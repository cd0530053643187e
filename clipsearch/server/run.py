"""Run the server until the process is terminated."""

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

_SHUTDOWN_LIMIT_S = 5
"""How long to wait for running requests at shutdown."""

_KEEP_ALIVE_S = 75
"""Longer than the idle timeout of load balancers, so that they close connections first."""


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
    """Serve a library until Ctrl-C or SIGTERM.

    Args:
        place: of the library; ``None`` for the user's default.
        settings: of the server.
        token_file: ``None`` for the library's.
        runtime: see `Library.open`.
        device: see `Library.open`.
        make_reader: creates the decoder of uploads, for the encoder in use.
        announce: called with the URL when the server listens.

    Raises:
        LibraryError: there is no library, or its catalog is damaged.
        SchemaVersionError: the library was written by a newer clipsearch.
        ConfigError: a token is required, or the address or port cannot be used.
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
        with listen(settings.address, settings.port, first=settings.port) as bound:
            service = Service(library, make_reader(encoder), settings.limits, metrics)
            app = create_app(service, tokens=tokens)
            announce(f"http://{in_url(settings.address)}:{bound.getsockname()[1]}/")
            with _logging_json():
                uvicorn.Server(_config(app)).run(sockets=[bound])


def check_tokens(address: str, tokens: TokenFile) -> None:
    """Refuse to serve a network without tokens.

    Raises:
        ConfigError: there are no tokens, and the address is not loopback.
    """
    if not tokens.required and not is_loopback(address):
        raise ConfigError(
            f"{address} is reachable from other machines, which requires a token; make one with: clipsearch serve "
            "token add NAME, or omit --address"
        )


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the client address is that of the connection
        server_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_LIMIT_S,
    )


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C: finish running requests and exit."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _logging_json() -> Iterator[None]:
    """Log as JSON lines on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    loggers = {name: logging.getLogger(name) for name in ("clipsearch", "indexer", "uvicorn")}
    before = {name: (item.level, item.handlers[:], item.propagate) for name, item in loggers.items()}
    for item in loggers.values():
        item.handlers[:] = [handler]
        item.setLevel(min(item.level or logging.INFO, logging.INFO))
        item.propagate = False
    try:
        yield
    finally:
        for name, (level, handlers, propagate) in before.items():
            loggers[name].setLevel(level)
            loggers[name].handlers[:] = handlers
            loggers[name].propagate = propagate
