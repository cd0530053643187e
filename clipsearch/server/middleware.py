"""What every request passes before it is answered: who asks, how much, how long."""

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

FOR_EVERYBODY = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""What needs no token: it tells nothing of the library."""

WITHOUT_TOKENS = frozenset({TokenScope.READ, TokenScope.IMAGES, TokenScope.METRICS})
"""What is open where there are no tokens, on this machine only."""

REALM = 'Bearer realm="clipsearch"'

_TIMES_TO_FETCH = 10
"""Times its limit that an answer may take to be fetched, over a slow line."""

_MOST_CLIENTS = 10_000
"""Clients that are remembered; of more, the one that was quiet for longest is forgotten, which lets it ask anew."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class ResponseHeaders:
    """Tells browsers to make nothing of an answer but what it says it is, and to keep none unless it says so."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add to the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Access:
    """Asks for a token before anything of the request's body is read, and counts what each client asks for.

    Who asks is left in the request's state: `token`, a name or ``None``, and `scopes`.
    """

    def __init__(self, app: ASGIApp, *, tokens: TokenFile, rates: RateLimiter) -> None:
        """Wrap an application."""
        self._app = app
        self._tokens = tokens
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in FOR_EVERYBODY:
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
            return problem(429, "too many requests; wait before the next one", headers=headers)
        if token is None and (self._tokens.required or secret):
            headers = {"www-authenticate": f'{REALM}, error="invalid_token"' if secret else REALM}
            what = "the token is not known here" if secret else "a token is needed"
            return problem(401, f"{what}; send one as Authorization: Bearer …", headers=headers)
        state = scope.setdefault("state", {})
        state["token"] = token.name if token is not None else None
        state["scopes"] = token.scopes if token is not None else WITHOUT_TOKENS
        return None


class BodyLimit:
    """Refuses requests that are too large, before and while they are read."""

    def __init__(self, app: ASGIApp, *, limits: dict[str, int], default: int) -> None:
        """Wrap an application.

        Args:
            app: what is wrapped.
            limits: size of the requests to a path at most, in bytes.
            default: that of all other requests.
        """
        self._app = app
        self._limits = limits
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._default)
        refused = f"the request is too large; at most {limit} bytes are taken"
        announced = Headers(scope=scope).get("content-length", "")
        # as text first: a number of thousands of digits is none that Python reads
        if announced.isdecimal() and (len(announced) > len(str(limit)) or int(announced) > limit):
            await problem(413, refused, headers={"connection": "close"})(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, refused, headers={"connection": "close"})
            return message

        await self._app(scope, receive_counted, send)


class TimeLimit:
    """Ends requests that take too long: to be sent (408), to be answered (504), or for the answer to be fetched."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """Wrap an application."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer in the application's place when its time is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_read = is_answered = False

        async def receive_and_see() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or not message.get("more_body", False)
            return message

        async def send_and_see(message: Message) -> None:
            nonlocal is_answered
            if not is_answered:
                is_answered = True
                limit.reschedule(asyncio.get_running_loop().time() + _TIMES_TO_FETCH * self._seconds)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                await self._app(scope, receive_and_see, send_and_see)
        except TimeoutError:
            if not limit.expired():
                raise
            if is_answered:  # half an answer: the server closes the connection
                return
            if is_read or scope["method"] == "GET":
                answer = problem(504, f"this took longer than {self._seconds:g} seconds; ask for less at once")
            else:
                answer = problem(408, f"the request was not there after {self._seconds:g} seconds")
            await answer(scope, receive, send)


def _bearer(headers: Headers) -> str:
    """The token of a request; empty without one."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


class RateLimiter:
    """Counts requests by client. For one event loop: not safe in threads."""

    def __init__(self, requests_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the rate, 0 for no limit."""
        self._rate = requests_per_s
        self._capacity = max(1.0, requests_per_s * BURST_S)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a request.

        Returns:
            0 if it may be answered; otherwise the seconds after which the next one may.
        """
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        left, since = self._left.pop(client, (self._capacity, now))
        left = min(self._capacity, left + (now - since) * self._rate)
        allowed = left >= 1.0
        self._left[client] = (left - 1.0 if allowed else left, now)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._rate
