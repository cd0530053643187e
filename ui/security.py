"""Access control and browser security headers of the page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.websockets import WebSocketClose

from ui import strings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_PARAMETER = "token"
TOKEN_COOKIE = "clipsearch_access"
MIN_TOKEN_LENGTH = 16

_COOKIE_AGE_S = 30 * 24 * 3600


async def refuse_other_origin(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request from another origin."""
    await _refuse(scope, receive, send, 403, strings.WRONG_ORIGIN)


class AccessToken:
    """Requires the access token: once in a link, then in an HTTP-only cookie."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        """Wrap an application."""
        self._app = app
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"clipsearch access", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, redirect a link with the token, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if hmac.compare_digest(connection.cookies.get(TOKEN_COOKIE, "").encode(), self._cookie.encode()):
            await self._app(scope, receive, send)
            return
        secret = connection.query_params.get(TOKEN_PARAMETER, "")
        if scope["type"] == "http" and hmac.compare_digest(secret.encode(), self._token):
            await self._let_in(scope)(scope, receive, send)
            return
        await _refuse(scope, receive, send, 401, strings.TOKEN_NEEDED)

    def _let_in(self, scope: Scope) -> Response:
        """A redirect to the same address without the token, to keep it out of the browser history."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([pair for pair in pairs if pair[0] != TOKEN_PARAMETER])
        # a path that starts with two slashes would redirect to another host
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(f"{path}?{query}" if query else path, status_code=303)
        response.set_cookie(TOKEN_COOKIE, self._cookie, max_age=_COOKIE_AGE_S, httponly=True, samesite="lax")
        return response


class SecurityHeaders:
    """Adds headers against foreign content, content sniffing and framing."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app
        self._headers = {
            "content-security-policy": content_security_policy(),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


@cache
def content_security_policy() -> str:
    """Allow content of this server only.

    Streamlit uses inline styles, and loads scripts of components as blobs.
    """
    inline = " ".join(f"'sha256-{digest}'" for digest in _inline_script_hashes())
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {inline}".rstrip(),
            "style-src 'self' 'unsafe-inline' blob:",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'self'",
            "frame-ancestors 'none'",
        )
    )


def _inline_script_hashes() -> list[str]:
    """Hashes of the inline scripts of Streamlit's page."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    return [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose(code=1008, reason=reason)(scope, receive, send)
        return
    await PlainTextResponse(reason, status_code=status)(scope, receive, send)
