"""Protect a local server against pages of other sites."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """Refuses cross-origin requests and foreign host names (DNS rebinding)."""

    def __init__(
        self, app: ASGIApp, *, only_loopback: bool, refuse: Callable[[Scope, Receive, Send], Awaitable[None]]
    ) -> None:
        """Wrap an application.

        Args:
            app: to wrap.
            only_loopback: accept only loopback host names.
            refuse: answers refused requests.
        """
        self._app = app
        self._only_loopback = only_loopback
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] in ("http", "websocket") and not self._is_allowed(scope):
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._only_loopback and _host_name(host) not in _LOOPBACK_NAMES:
            return False
        origin = headers.get("origin")
        is_safe = scope["type"] == "http" and scope["method"] in _SAFE_METHODS
        return origin is None or is_safe or _origin_host(origin) == host.lower()


def _origin_host(origin: str) -> str | None:
    """Host and port of an Origin header; ``None`` if it is invalid."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # unbalanced brackets
        return None


def _host_name(host: str) -> str:
    """The host name of a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # unbalanced brackets
        return ""
