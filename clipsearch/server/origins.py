"""Keeps other sites' pages from a server on this machine."""

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
    """Refuses requests that another site's page makes, or that come under another site's name (DNS rebinding)."""

    def __init__(
        self, app: ASGIApp, *, only_loopback: bool, refuse: Callable[[Scope, Receive, Send], Awaitable[None]]
    ) -> None:
        """Wrap an application.

        Args:
            app: what is wrapped.
            only_loopback: it is reached by this machine's own names only.
            refuse: answers a request that is refused.
        """
        self._app = app
        self._only_loopback = only_loopback
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
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
        harmless = scope["type"] == "http" and scope["method"] in _SAFE_METHODS
        return origin is None or harmless or _place(origin) == host.lower()


def _place(origin: str) -> str | None:
    """The name and port in an Origin header; ``None`` if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # brackets that do not match
        return None


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # brackets that do not match
        return ""
