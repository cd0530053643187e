"""The FastAPI application: routes and middleware."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from clipsearch.server import operations, pictures, searches
from clipsearch.server.middleware import Access, BodyLimit, RateLimiter, ResponseHeaders, TimeLimit
from clipsearch.server.origins import SameOrigin
from clipsearch.server.problem_details import MEDIA_TYPE, add_handlers, problem
from clipsearch.server.request_log import RequestLog
from clipsearch.server.service import Service
from clipsearch.server.settings import MAX_JSON_BYTES
from clipsearch.server.tokens import TokenFile

_DESCRIPTION = """Search the pictures of a library by text, by example and by filters.

Send a token as `Authorization: Bearer …`. Errors are problem details (RFC 9457). Pictures are identified by their
content hash, which every result has. See docs/serve.md of clipsearch.
"""

_PROBLEM = {"$ref": "#/components/schemas/Problem"}

_FORM_BYTES = 2**16
"""Overhead of a multipart form around the picture."""


class _Application(FastAPI):
    """Corrects the media type of problem details in the OpenAPI document, which FastAPI lists as plain JSON."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        operations = (operation for methods in document["paths"].values() for operation in methods.values())
        for operation in operations:
            for response in operation["responses"].values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == _PROBLEM:
                    content[MEDIA_TYPE] = content.pop("application/json")
        return document


def create_app(service: Service, *, tokens: TokenFile) -> FastAPI:
    """Create the application. Its shutdown closes the service, but not the library.

    Args:
        service: shared by all requests.
        tokens: access control; without tokens, only loopback requests are accepted.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming_up = asyncio.create_task(service.warm_up())
        yield
        warming_up.cancel()
        service.close()

    app = _Application(
        title="clipsearch",
        description=_DESCRIPTION,
        version=version("clipsearch"),
        docs_url=None,  # would load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    for router in (searches.router, pictures.router, operations.router):
        app.include_router(router)
    add_handlers(app)
    upload_bytes = service.limits.upload_mib * 2**20 + _FORM_BYTES
    # the middleware added last runs first
    app.add_middleware(
        BodyLimit, limits=dict.fromkeys(("/v1/similar", "/v1/search/pictures"), upload_bytes), default=MAX_JSON_BYTES
    )
    app.add_middleware(Access, tokens=tokens, rates=RateLimiter(service.limits.requests_per_s))
    app.add_middleware(TimeLimit, seconds=service.limits.time_limit_s)
    if not tokens.required:  # pages of other sites have no token
        app.add_middleware(SameOrigin, only_loopback=True, refuse=_refuse_other_origin)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(RequestLog, metrics=service.metrics)
    return app


async def _refuse_other_origin(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(403, "cross-origin requests are refused")(scope, receive, send)
