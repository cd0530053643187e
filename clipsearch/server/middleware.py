"""ASGI middleware: authentication, rate, size and time limits, response headers."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response

from clipsearch.server.problem_details import problem
from clipsearch.server.settings import BURST_S
from clipsearch.server.tokens import Scope as TokenScope

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from clipsearch.server.tokens import TokenFile

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""Paths without authentication; they reveal nothing of the library."""

ANONYMOUS_SCOPES = frozenset({TokenScope.READ, TokenScope.IMAGES, TokenScope.METRICS})
"""Scopes of all requests if the server has no tokens and is reachable only from this machine."""

REALM = 'Bearer realm="clipsearch"'

_DOWNLOAD_FACTOR = 10
"""Factor of the time limit for downloading a response, over a slow line."""

_MAX_CLIENTS = 10_000
"""Maximum tracked clients; beyond it the least recently active one is forgotten."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class ResponseHeaders:
    """Adds security headers, and ``no-store`` unless a response sets its own cache control."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Access:
    """Authenticates and rate-limits requests before their body is read.

    Sets the request's state: `token`, a name or ``None``, and `scopes`.
    """

    def __init__(self, app: ASGIApp, *, tokens: TokenFile, rates: RateLimiter) -> None:
        """Wrap an application."""
        self._app = app
        self._tokens = tokens
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        secret = _bearer(Headers(scope=scope))
        token = self._tokens.find(secret) if secret else None
        client = scope.get("client")
        who = f"token {token.name}" if token is not None else f"address {client[0] if client else ''}"
        wait_s = self._rates.wait_s(who)
        if wait_s > 0:
            headers = {"retry-after": str(math.ceil(wait_s))}
            return problem(429, "too many requests; retry later", headers=headers)
        if token is None and (self._tokens.required or secret):
            headers = {"www-authenticate": f'{REALM}, error="invalid_token"' if secret else REALM}
            what = "unknown token" if secret else "a token is required"
            return problem(401, f"{what}; send one as Authorization: Bearer …", headers=headers)
        state = scope.setdefault("state", {})
        state["token"] = token.name if token is not None else None
        state["scopes"] = token.scopes if token is not None else ANONYMOUS_SCOPES
        return None


class BodyLimit:
    """Refuses requests that are too large, by their announced and actual size."""

    def __init__(self, app: ASGIApp, *, limits: dict[str, int], default: int) -> None:
        """Wrap an application.

        Args:
            app: to wrap.
            limits: maximum body size by path, in bytes.
            default: maximum body size of other paths, in bytes.
        """
        self._app = app
        self._limits = limits
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._default)
        detail = f"the request is too large; the limit is {limit} bytes"
        announced = Headers(scope=scope).get("content-length", "")
        # compare lengths first: Python refuses to parse thousands of digits
        if announced.isdecimal() and (len(announced) > len(str(limit)) or int(announced) > limit):
            await problem(413, detail, headers={"connection": "close"})(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, detail, headers={"connection": "close"})
            return message

        await self._app(scope, receive_counted, send)


class TimeLimit:
    """Ends requests that take too long to be received (408), processed (504) or downloaded."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """Wrap an application."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_read = is_answered = False

        async def observed_receive() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or not message.get("more_body", False)
            return message

        async def observed_send(message: Message) -> None:
            nonlocal is_answered
            if not is_answered:
                is_answered = True
                limit.reschedule(asyncio.get_running_loop().time() + _DOWNLOAD_FACTOR * self._seconds)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                await self._app(scope, observed_receive, observed_send)
        except TimeoutError:
            if not limit.expired():
                raise
            if is_answered:  # a partial response: the server closes the connection
                return
            if is_read or scope["method"] == "GET":
                answer = problem(504, f"the request took longer than {self._seconds:g} seconds; request less at once")
            else:
                answer = problem(408, f"the request was not received within {self._seconds:g} seconds")
            await answer(scope, receive, send)


def _bearer(headers: Headers) -> str:
    """The bearer token of a request; empty without one."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


class RateLimiter:
    """Token bucket for each client. For one event loop, not thread-safe."""

    def __init__(self, requests_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the rate; 0 for no limit."""
        self._rate = requests_per_s
        self._capacity = max(1.0, requests_per_s * BURST_S)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, time of the last request

    def wait_s(self, client: str) -> float:
        """Count a request.

        Returns:
            0 if it is allowed; otherwise the seconds until the next one is.
        """
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        left, since = self._buckets.pop(client, (self._capacity, now))
        left = min(self._capacity, left + (now - since) * self._rate)
        allowed = left >= 1.0
        self._buckets[client] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._rate
