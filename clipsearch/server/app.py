"""The application: its routes, and what every request passes on the way to them."""

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

_ABOUT = """Finds pictures of one library by words, by example and by filters.

Send a token as `Authorization: Bearer …`. What goes wrong is told as problem details (RFC 9457). Pictures are named by
their content hash, which every result has. See docs/serve.md of clipsearch.
"""

_PROBLEM = {"$ref": "#/components/schemas/Problem"}

_FORM_BYTES = 2**16
"""What a form has around the picture that is sent in it."""


class _Application(FastAPI):
    """An application whose document says that problems are problem details, which FastAPI takes for plain JSON."""

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
    """The application over an open library, not running yet; at its end the service is closed, the library is not.

    Args:
        service: what requests share.
        tokens: who may ask for what; without any, only this machine is to reach it.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming_up = asyncio.create_task(service.warm_up())
        yield
        warming_up.cancel()
        service.close()

    app = _Application(
        title="clipsearch",
        description=_ABOUT,
        version=version("clipsearch"),
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    for router in (searches.router, pictures.router, operations.router):
        app.include_router(router)
    add_handlers(app)
    upload_bytes = service.limits.upload_mib * 2**20 + _FORM_BYTES
    # the last that is added is the first that a request passes
    app.add_middleware(
        BodyLimit, limits=dict.fromkeys(("/v1/similar", "/v1/search/pictures"), upload_bytes), default=MAX_JSON_BYTES
    )
    app.add_middleware(Access, tokens=tokens, rates=RateLimiter(service.limits.requests_per_s))
    app.add_middleware(TimeLimit, seconds=service.limits.time_limit_s)
    if not tokens.required:  # a token comes from no other site's page, and whoever has one may use any name
        app.add_middleware(SameOrigin, only_loopback=True, refuse=_refuse_other_origin)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(RequestLog, metrics=service.metrics)
    return app


async def _refuse_other_origin(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(403, "requests of other sites are refused")(scope, receive, send)
