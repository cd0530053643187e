"""The web server: Streamlit's application with routes for pictures, behind what keeps others out."""

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
"""Largest file that is taken; pictures of the largest cameras fit."""

MAX_MESSAGE_MIB = 64
"""Largest message that a browser may send otherwise."""

_END_LIMIT_S = 5
"""How long requests are waited for when the process is told to end."""

_SCRIPT = Path(__file__).parent / "script" / "app.py"
"""In a folder of its own: Streamlit would take ``pages`` beside it for pages of the kind that it finds by itself."""


@dataclass(frozen=True)
class ServerSettings:
    """How the page is served.

    Attributes:
        library: where the library is, there or not; ``None`` for the user's own.
        remote: the address of a server of `clipsearch serve`, whose library is shown instead.
        remote_token: what lets the page ask that server.
        address: what to bind to.
        port: on which port; ``None`` for the first free one from 8501.
        token: what opens the page; ``None`` if nothing is asked for, which only this machine's own address allows.
        open_browser: show the page as soon as it is there.
    """

    library: LibraryPlace | None = None
    remote: str | None = None
    remote_token: str | None = field(default=None, repr=False)
    address: str = DEFAULT_ADDRESS
    port: int | None = None
    token: str | None = None
    open_browser: bool = True


def serve(settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Serve the page until the process is told to end, by Ctrl-C or a termination signal.

    Args:
        settings: how.
        announce: given the page's address when it is there.

    Raises:
        ConfigError: there is no token where one is needed, or the address or port cannot be used.
        LibraryError: the library is in a database or on a server that cannot be reached.
    """
    check_token(settings)
    keep_script_folder()
    remote = _remote_library(settings)
    shared.configure(settings.library, remote=remote, reads_any_picture=settings.token is None)
    # what a service manager sends ends it as Ctrl-C does
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
                if settings.open_browser and settings.token is None:  # a command line is seen by other users
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
    """Let the folder of the page's script stay among those that modules are looked for in.

    Streamlit would put it first for every run of the script and take it away again, and a thread that imports something
    at that moment passes over a folder: modules that are installed are then not found. What is there it leaves alone.
    """
    folder = str(_SCRIPT.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def _run(app: App, listening: socket.socket, options: dict[str, Any]) -> None:
    """Streamlit's own way to run an application would look for a port that nobody has taken in the meantime."""
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
    """The application, not running yet.

    Args:
        settings: how it is served.
        when_ready: called when it is about to take requests.
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
    """What every request passes before it is answered, the outermost first."""
    layers = [
        Middleware(SecurityHeaders),
        Middleware(SameOrigin, only_loopback=is_loopback(settings.address), refuse=refuse_other_origin),
    ]
    if settings.token is not None:
        layers.append(Middleware(AccessToken, token=settings.token))
    return layers


def streamlit_options(address: str, port: int) -> dict[str, Any]:
    """What is set in Streamlit, whatever its configuration files and the environment say."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": True,  # the browser is opened here
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
    """Refuse to be open to a network without a secret.

    Raises:
        ConfigError: there is no token where one is needed, or it is too short to be one.
    """
    if settings.token is not None and len(settings.token) < MIN_TOKEN_LENGTH:
        raise ConfigError(f"the access token is too short; take {MIN_TOKEN_LENGTH} characters or more")
    if settings.token is None and not is_loopback(settings.address):
        raise ConfigError(
            f"{settings.address} can be reached by others, who would see your pictures; give an access token with "
            "--token-file FILE, or leave out --address"
        )
