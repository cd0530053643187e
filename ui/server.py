"""The web server: the Streamlit application with routes for pictures and access control."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware

from clipsearch.config import LibraryPlace
from clipsearch.errors import ConfigError
from clipsearch.server.listening import in_url, is_loopback, listen
from clipsearch.server.origins import SameOrigin
from ui import shared
from ui.pictures import picture_routes
from ui.security import MIN_TOKEN_LENGTH, AccessToken, SecurityHeaders, refuse_other_origin
from ui.theme import theme_options

if TYPE_CHECKING:
    from streamlit import App

    from clipsearch.server.client.library import RemoteLibrary

DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8501
MAX_UPLOAD_MIB = 100
"""Maximum size of an uploaded file."""

MAX_MESSAGE_MIB = 64
"""Maximum size of another message of a browser."""

_END_LIMIT_S = 5
"""Timeout for requests in progress when the process ends."""

_SCRIPT = Path(__file__).parent / "script" / "app.py"
"""In its own folder: Streamlit would treat a folder ``pages`` beside it as its multipage convention."""


@dataclass(frozen=True)
class ServerSettings:
    """The settings of the web server.

    Attributes:
        library: the library, which need not exist; ``None`` for the default one.
        remote: the URL of a `clipsearch serve` whose library is shown instead.
        remote_token: the access token of that server.
        address: the address to listen on.
        port: the port; ``None`` for the first free one from 8501.
        token: the access token of the page; ``None`` is allowed on a loopback address only.
        open_browser: open the page in a browser.
    """

    library: LibraryPlace | None = None
    remote: str | None = None
    remote_token: str | None = field(default=None, repr=False)
    address: str = DEFAULT_ADDRESS
    port: int | None = None
    token: str | None = None
    open_browser: bool = True


def serve(settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or a termination signal.

    Args:
        settings: the settings.
        announce: called with the URL when the server accepts requests.

    Raises:
        ConfigError: a token is required, or the address or port cannot be used.
        LibraryError: the database or server of the library cannot be reached.
    """
    check_token(settings)
    keep_script_folder()
    remote = _remote_library(settings)
    shared.configure(settings.library, remote=remote, reads_any_picture=settings.token is None)
    # stop on SIGTERM as on Ctrl-C
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        shared.check_reachable()
        with (
            contextlib.suppress(KeyboardInterrupt),
            listen(settings.address, settings.port, first=DEFAULT_PORT) as listening,
        ):
            port = listening.getsockname()[1]
            url = f"http://{in_url(settings.address)}:{port}/"

            def when_ready() -> None:
                announce(url)
                if (
                    settings.open_browser and settings.token is None
                ):  # other users could read the token on the command line
                    webbrowser.open(url)

            _run(build_app(settings, when_ready=when_ready), listening, streamlit_options(settings.address, port))
    finally:
        signal.signal(signal.SIGTERM, previous)
        shared.close()


def _remote_library(settings: ServerSettings) -> RemoteLibrary | None:
    if settings.remote is None:
        return None
    from clipsearch.server.client.connection import ServerConnection
    from clipsearch.server.client.library import RemoteLibrary

    return RemoteLibrary(ServerConnection(settings.remote, token=settings.remote_token))


def keep_script_folder() -> None:
    """Keep the folder of the page's script in ``sys.path``.

    Streamlit would insert and remove it at every run of the script. A thread that imports at this moment skips an entry
    of ``sys.path`` and does not find installed modules.
    """
    folder = str(_SCRIPT.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def _run(app: App, listening: socket.socket, options: dict[str, Any]) -> None:
    """Run on the open socket; Streamlit's own runner would choose a port again."""
    import uvicorn
    from streamlit.web.bootstrap import load_config_options

    load_config_options(options)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_MIB * 2**20,
        timeout_graceful_shutdown=_END_LIMIT_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def build_app(settings: ServerSettings, *, when_ready: Callable[[], None] = lambda: None) -> App:
    """Build the application.

    Args:
        settings: the settings.
        when_ready: called just before it accepts requests.
    """
    import streamlit

    from ui.flash import show_script_error

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        when_ready()
        yield

    return streamlit.App(
        _SCRIPT,
        routes=picture_routes(),
        middleware=security(settings),
        lifespan=lifespan,
        on_script_error=show_script_error,
    )


def security(settings: ServerSettings) -> list[Middleware]:
    """The middleware, outermost first."""
    layers = [
        Middleware(SecurityHeaders),
        Middleware(SameOrigin, only_loopback=is_loopback(settings.address), refuse=refuse_other_origin),
    ]
    if settings.token is not None:
        layers.append(Middleware(AccessToken, token=settings.token))
    return layers


def streamlit_options(address: str, port: int) -> dict[str, Any]:
    """Streamlit options that override its configuration files and the environment."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": True,  # `serve` opens the browser
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableStaticServing": False,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.enableAgentApi": False,
        "server.maxUploadSize": MAX_UPLOAD_MIB,
        "server.maxMessageSize": MAX_MESSAGE_MIB,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "global.developmentMode": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        "runner.magicEnabled": False,
        **theme_options(),
    }


def check_token(settings: ServerSettings) -> None:
    """Require a token on any but a loopback address.

    Raises:
        ConfigError: the token is missing or too short.
    """
    if settings.token is not None and len(settings.token) < MIN_TOKEN_LENGTH:
        raise ConfigError(f"the access token is too short; use at least {MIN_TOKEN_LENGTH} characters")
    if settings.token is None and not is_loopback(settings.address):
        raise ConfigError(
            f"others could see your pictures on {settings.address}; set an access token with --token-file FILE, or "
            "remove --address"
        )
